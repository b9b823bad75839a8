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
from support.s3 import S3Server

pytestmark = pytest.mark.sandbox

KEEPS = """\
def handler(event, context):
    table = context.table("notes")
    if "note" in event.data:
        table.put({"id": event.data["note"]})
        return {"kept": event.data["note"]}
    return {"found": table.get(event.data["read"]).value["id"]}
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


def test_projects_live_where_they_are_placed_and_one_database_stops_its_own_alone(
    cluster: TwoDatabases,
) -> None:
    (one,) = cluster.nodes
    placed = casemate("nodes", "place", "shop", "west", node=one)
    assert "shop lives in west" in placed.stdout
    for project in ("shop", "other"):
        one.deploy("keep", KEEPS, project=project, manifest=_manifest(project))
        assert one.call(f"{project}/keep", {"note": "a"})["kept"] == "a"

    def databases() -> dict[str, Any]:
        told = json.loads(casemate("nodes", "ls", "--json", node=one).stdout)
        return {each["name"]: each for each in told["databases"]}

    assert {name: each["projects"] for name, each in databases().items()} == {"main": 1, "west": 1}
    cluster.set_away(True)
    try:
        until(lambda: databases()["west"]["problem"])
        assert one.call("other/keep", {"read": "a"})["found"] == "a"
        assert one.ready()
        assert not one.call_ok("shop/keep", {"read": "a"})
    finally:
        cluster.set_away(False)
    until(lambda: one.call_ok("shop/keep", {"read": "a"}))
    moved = casemate("nodes", "place", "shop", "main", node=one)
    assert "shop lives in main" in moved.stdout
    assert one.call("shop/keep", {"read": "a"})["found"] == "a"
