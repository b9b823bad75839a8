"""A node whose projects live in two databases: placed, moved, one of them away; all by its face."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from casemate.cli.systemd_unit import unit_text
from casemate.maintenance.cluster_doctor import examine_cluster
from support.cli import casemate
from support.cluster import KEYS, Cluster, SharingNode
from support.manifests import with_databases
from support.node import TestNode
from support.s3 import S3Server
from support.waiting import wait_for

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

    def write_map(self, west: str, name: str = "west") -> None:
        url = f"postgresql://test@127.0.0.1:{self.server.port}/{west}"
        self.map.write_text(f'{name} = "{url}"\n')
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
        wait_for(lambda: databases()["west"]["problem"])
        assert calls(one, "other", {"read": "a"}) == "a"
        # The function goes on, and is told why its table cannot be read.
        assert calls(one, "shop", {"read": "a"}) in (500, 502, 503)
        wait_for(lambda: not _part(one)["ok"])
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
        audited = casemate(one, "audit", "node", "--json").stdout
        assert "west (1 projects)" in audited
        found = {each.name: each for each in examine_cluster(cluster.environment())}
        assert not found["database west"].holds
        assert "timeline 1" in found["database"].detail
    finally:
        cluster.set_away(False)
    wait_for(lambda: calls(one, "shop", {"read": "a"}) == "a")
    moved = casemate(one, "nodes", "place", "shop", "main")
    assert "shop lives in main" in moved.stdout, moved.stderr
    assert calls(one, "shop", {"read": "a"}) == "a"
    # Another database under that name is refused at the start, by name; nothing was changed.
    assert "shop lives in west" in casemate(one, "nodes", "place", "shop", "west").stdout
    found = {each.name: each for each in examine_cluster(cluster.environment())}
    assert found["name of database west"].holds and "timeline 1" in found["database west"].detail
    assert found["clock against west"].holds
    one.stop()
    cluster.write_map(cluster.west, "east")
    found = {each.name: each for each in examine_cluster(cluster.environment())}
    assert not found["name of database east"].holds
    assert found["name of database east"].detail == "it says that it is west"
    cluster.write_map(cluster.server.database())
    with pytest.raises(RuntimeError, match="given as west is empty"):
        one.start()
    cluster.write_map(cluster.west)
    one.start()
    assert calls(one, "shop", {"read": "a"}) == "a"


@pytest.mark.parametrize("form", ["systemd", "kubernetes"])
def test_a_node_of_each_form_starts_with_other_databases(
    form: str, tmp_path_factory: pytest.TempPathFactory, postgresql_server: Any
) -> None:
    """With the words and variables that each form gives, its files in another folder."""
    with contextlib.closing(S3Server(tmp_path_factory.mktemp("s3"))) as objects:
        made = TwoDatabases(tmp_path_factory.mktemp(form), postgresql_server, objects)
        files = {
            "store-url": made.store,
            "master-key": base64.b64encode(os.urandom(32)).decode(),
            "databases.toml": made.map.read_text(),
        }
        for name, text in files.items():
            (made.folder / name).write_text(text)
            (made.folder / name).chmod(0o600)
        words, environment = _of_systemd() if form == "systemd" else _of_kubernetes()
        named = {**KEYS, "CASEMATE_OBJECTS": made.objects, **environment}

        def placed(text: str) -> str:
            text = text.replace("${CREDENTIALS_DIRECTORY}", str(made.folder))
            return text.replace("/etc/casemate", str(made.folder))

        node = SharingNode(
            made.folder / "node",
            *map(placed, words),
            environment={name: placed(value) for name, value in named.items()},
        )
        made.nodes.append(node)
        try:
            node.start()
            told = json.loads(casemate(node, "nodes", "ls", "--json").stdout)
            assert [one["name"] for one in told["databases"]] == ["main", "west"]
        finally:
            made.close()


def _of_systemd() -> tuple[list[str], dict[str, str]]:
    unit = unit_text(
        *(Path("/opt/casemate/bin/casemate"), ["--encrypted-disks"]),
        **{"user": False, "data": None, "shared": True, "databases": True},
    )
    [command] = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    return command.partition(" serve ")[2].split(), {}


def _of_kubernetes() -> tuple[list[str], dict[str, str]]:
    [container] = with_databases()["spec"]["template"]["spec"]["containers"]
    # Where it keeps its data and answers differs here, and it has no certificate.
    own = ("serve", "--data=", "--host=", "--port=", "--tls", "--public-url=", "--function-ids=")
    words = [word for word in container["args"] if not word.startswith(own)]
    assert len(words) == 2
    return words, {each["name"]: each["value"] for each in container["env"] if "value" in each}


def _part(node: TestNode) -> dict[str, Any]:
    parts = node.get("/node/health")["parts"]
    return next(each for each in parts if each["name"] == "databases")
