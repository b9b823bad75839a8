"""A node whose projects live in two databases: placed, moved, one of them away; all by its face."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cli import casemate
from support.cluster import Cluster
from support.node import TestNode
from support.s3 import S3Server

pytestmark = [pytest.mark.sandbox, pytest.mark.storm]

KEEPS = """\
def handler(event, context):
    table = context.table("notes")
    if "note" in event.data:
        table.put({"id": event.data["note"]})
        return {"said": event.data["note"]}
    return {"said": table.get(event.data["read"]).value["id"]}
"""


class TwoDatabases(Cluster):
    """A cluster whose projects may live in a second database."""

    def __init__(self, folder: Path, database: Any, objects: S3Server) -> None:
        super().__init__(folder, database, objects)
        self.server, self.west = database, database.database()
        self.map = folder / "databases.toml"
        self.write_map(self.west)

    def write_map(self, west: str) -> None:
        url = f"postgresql://test@127.0.0.1:{self.server.port}/{west}"
        self.map.write_text(f'west = "{url}"\n')
        self.map.chmod(0o600)

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "CASEMATE_DATABASES": str(self.map)}

    def set_away(self, away: bool) -> None:
        with self.server.connect("postgres") as connection:
            connection.execute(f"ALTER DATABASE {self.west} ALLOW_CONNECTIONS {not away}")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                (self.west,),
            )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, postgresql_server: Any) -> Iterator[Any]:
    with contextlib.closing(S3Server(tmp_path_factory.mktemp("s3"))) as objects:
        made = TwoDatabases(tmp_path_factory.mktemp("cluster"), postgresql_server, objects)
        made.node("one").start()
        yield made
        made.close()


def until(holds: Any, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def calls(node: TestNode, project: str, event: dict[str, str]) -> Any:
    """Return what a function says, or the status of its refusal."""
    answer = node.invoke(event, function=f"{project}/keep")
    return answer.json()["said"] if answer.status_code == 200 else answer.status_code


def test_projects_live_where_they_are_placed_and_one_database_stops_its_own_alone(
    cluster: TwoDatabases,
) -> None:
    (one,) = cluster.nodes
    placed = casemate(one, "nodes", "place", "shop", "west")
    assert "shop lives in west" in placed.stdout, placed.stderr
    for project in ("shop", "other"):
        one.deploy(
            KEEPS,
            name="keep",
            project=project,
            grants='tables = [{ name = "notes", actions = ["get", "put"] }]',
            resources='[table.notes]\nkey = "id"',
            approve=True,
        )
        assert calls(one, project, {"note": "a"}) == "a"

    def databases() -> dict[str, Any]:
        told = json.loads(casemate(one, "nodes", "ls", "--json").stdout)
        return {each["name"]: each for each in told["databases"]}

    assert {name: each["projects"] for name, each in databases().items()} == {"main": 1, "west": 1}
    cluster.set_away(True)
    try:
        until(lambda: databases()["west"]["problem"])
        assert calls(one, "other", {"read": "a"}) == "a"
        # The function goes on, and is told why its table cannot be read.
        assert calls(one, "shop", {"read": "a"}) in (500, 502, 503)
        until(lambda: not _part(one)["ok"])
        assert "west (1 projects)" in _part(one)["detail"]
        assert one.get("/ready") is not None
        # A node that is started meanwhile serves the others.
        one.stop()
        one.start()
        assert calls(one, "other", {"read": "a"}) == "a"
        refused = one.client.get(f"{one.url}/api/v1/queues/shop")
        print("REFUSED", refused.status_code, refused.text)
        metrics = one.client.get(f"{one.url}/metrics").text
        assert 'casemate_database_up{database="west"} 0' in metrics
        assert 'casemate_database_up{database="main"} 1' in metrics
    finally:
        cluster.set_away(False)
    until(lambda: calls(one, "shop", {"read": "a"}) == "a")
    moved = casemate(one, "nodes", "place", "shop", "main")
    assert "shop lives in main" in moved.stdout, moved.stderr
    assert calls(one, "shop", {"read": "a"}) == "a"
    # Another database under that name is refused at the start, by name; nothing was changed.
    assert "shop lives in west" in casemate(one, "nodes", "place", "shop", "west").stdout
    one.stop()
    cluster.write_map(cluster.server.database())
    with pytest.raises(RuntimeError, match="given as west is empty"):
        one.start()
    cluster.write_map(cluster.west)
    one.start()
    assert calls(one, "shop", {"read": "a"}) == "a"


def _part(node: TestNode) -> dict[str, Any]:
    parts = node.get("/node/health")["parts"]
    return next(each for each in parts if each["name"] == "databases")
