"""Clocks that are an hour off while nodes run: one node's, and the database's."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from casemate.maintenance.cluster_doctor import examine_cluster
from cluster.faults import Faults, compile_faults
from support.clocks import SetClockNode
from support.cluster import Cluster
from support.database import Server
from support.node import TestNode
from support.rolling import is_ready
from support.s3 import S3Server

pytestmark = [
    *(pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(400)),
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler"),
]
HOUR = 3600
SOON = 20.0
KEEPS = """\
def handler(event, context):
    table = context.table("notes")
    if "note" in event.data:
        table.put({"id": event.data["note"]})
        return {"kept": event.data["note"]}
    return {"found": table.get(event.data["read"]).value}
"""


class SetClockSharingNode(SetClockNode):
    """One that shares, and whose clock is set."""

    environment: dict[str, str]

    def start(self) -> TestNode:
        with mock.patch.dict(os.environ, self.environment):
            return super().start()


class Places:
    """Two nodes, one of them with a clock that is set, and a database with one as well."""

    def __init__(self, folder: Path) -> None:
        self.database = Server("fsync=off")
        self.database.make()
        given = self.database.folder / "faults"
        library = compile_faults(self.database.folder)
        library.chmod(0o755)
        self.clock = Faults(library, given)
        os.environ.update(self.clock.environment)
        try:
            self.database.start()
        finally:
            for name in self.clock.environment:
                del os.environ[name]
        self.objects = S3Server(folder / "s3")
        self.cluster = Cluster(folder, self.database, self.objects)
        self.right = self.cluster.node("right").start()
        self.set = SetClockSharingNode(folder / "set", *self.right.arguments)
        self.set.environment = self.cluster.environment()
        self.set.key = self.right.key
        self.cluster.nodes.append(self.set)
        self.set.start()
        self.right.deploy(
            KEEPS, name="notes", grants='tables = [{ name = "notes", actions = ["get", "put"] }]',
            resources='[table.notes]\nkey = "id"', approve=True,
        )  # fmt: skip
        self.set.wait_until(lambda: keep(self.set, "first") == 200, SOON)

    def close(self) -> None:
        self.cluster.close()
        self.objects.close()
        self.database.end()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    made = Places(tmp_path_factory.mktemp("clocks"))
    yield made
    made.close()


def keep(node: TestNode, note: str, **headers: str) -> int:
    """Have a note kept; return what is answered."""
    return node.invoke({"note": note}, function="t/notes", headers=headers).status_code


def is_kept(node: TestNode, note: str) -> bool:
    return node.invoke({"read": note}, function="t/notes").status_code == 200


def told(node: TestNode) -> str:
    """Return what an owner is told who asks a node for its health, which takes no calls."""
    answer = node.client.get(f"{node.url}/api/v1/node/health")
    assert answer.status_code == 503
    return answer.text


def listed(asked: TestNode, meant: TestNode) -> dict[str, Any]:
    (found,) = [one for one in asked.get("/nodes")["nodes"] if one["address"] == meant.url]
    return found


@pytest.mark.parametrize("off", [HOUR, -HOUR])
def test_a_nodes_clock(places: Places, off: int) -> None:
    """It takes no calls and no events, and says why; the other does its work."""
    right, wrong = places.right, places.set
    for number in range(6):
        assert keep(wrong, f"{off}-{number}", prefer="respond-async") == 202
    wrong.set_clock(off)
    try:
        wrong.wait_until(lambda: not is_ready(wrong), SOON)
        assert keep(wrong, f"never{off}") == 503
        assert keep(wrong, f"never{off}", prefer="respond-async") == 503
        assert f"clock is {off:+d} s off" in told(wrong)
        assert keep(right, f"right{off}") == 200
        for number in range(6):
            right.wait_until(lambda n=number: is_kept(right, f"{off}-{n}"), SOON)
        time.sleep(3)
        assert is_ready(right) and not is_ready(wrong)
        word = "ahead" if off > 0 else "s old"
        right.wait_until(lambda: word in listed(right, wrong)["problem"], SOON)
    finally:
        wrong.set_clock(0)
    wrong.wait_until(lambda: is_ready(wrong) and keep(wrong, f"again{off}") == 200, SOON)
    assert is_kept(right, f"again{off}") and not is_kept(right, f"never{off}")


@pytest.mark.parametrize("off", [HOUR, -HOUR])
def test_the_databases_clock(places: Places, off: int) -> None:
    """All nodes refuse, and go on once it is right; what was acknowledged is there."""
    nodes = (places.right, places.set)
    assert keep(places.right, f"before{off}", prefer="respond-async") == 202
    places.clock.step_clock(off)
    try:
        for node in nodes:
            node.wait_until(lambda node=node: not is_ready(node), SOON)
            assert keep(node, f"unheard{off}") == 503
            assert "s off that of the control store" in told(node)
        found = {one.name: one for one in examine_cluster(places.cluster.environment())}
        assert not found["clock"].holds and found["clock"].next_step
    finally:
        places.clock.step_clock(0)
    for node in nodes:
        node.wait_until(lambda node=node: is_ready(node), 2 * SOON)
        node.wait_until(lambda node=node: keep(node, f"after{off}") == 200, SOON)
    places.right.wait_until(lambda: is_kept(places.right, f"before{off}"), SOON)
    assert not is_kept(places.right, f"unheard{off}")
