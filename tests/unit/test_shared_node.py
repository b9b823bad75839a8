"""The node that modules of tests share is replaced when one of them broke it, and that is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from support.node import TestNode
from support.shared_node import SHARED, SharedNode, pytest_runtest_call

CHILD = "import time; print('ready', flush=True); time.sleep(60)"
SUPERVISOR = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", {CHILD!r}, "casemate.x.process"])
time.sleep(60)
"""


class Pretended(TestNode):
    """Two processes such as a node's, and what is deployed and kept, which is only counted."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.told: dict[str, dict[str, object]] = {
            "/functions": {
                "functions": [{"project": "t", "name": "f"}, {"project": "u", "name": "g"}]
            },
            "/secrets": {"secrets": [{"project": "v", "name": "s"}]},
            "/buckets/t": {"buckets": [{"name": "b"}]},
            "/queues/t": {"queues": [{"name": "q"}], "topics": [{"name": "t"}]},
            "/tables/v": {"tables": [{"name": "i"}]},
            "/tokens": {
                "tokens": [{"id": "own"}, {"id": "other"}, {"id": "gone", "revoked_at": 1.0}]
            },
        }
        self.removed: list[str] = []
        self.refuses = False

    def start(self) -> TestNode:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SUPERVISOR], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()
        self.url, self.key = "http://node", "cm_own_key"
        return self

    def get(self, path: str, **query: object) -> dict[str, object]:
        assert query == {}
        self.client = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        return self.told.get(path, {})

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        assert request.method == "DELETE"
        self.removed.append(request.url.path)
        return httpx2.Response(500 if self.refuses else 204)

    def stop(self, number: int = signal.SIGTERM) -> int:
        for pid in self.processes()[1:]:
            os.kill(pid, signal.SIGKILL)
        return super().stop(number)


@pytest.fixture
def started(tmp_path: Path) -> list[Pretended]:
    return []


@pytest.fixture
def shared(started: list[Pretended], tmp_path: Path) -> Iterator[SharedNode]:
    def start() -> TestNode:
        node = Pretended(tmp_path / str(len(started)))
        started.append(node)
        return node.start()

    shared = SharedNode(start)
    yield shared
    shared.close()


def ended(node: TestNode, number: int) -> None:
    """Kill one of the node's two processes, and wait until it is dead."""
    pid = node.processes()[number]
    os.kill(pid, signal.SIGKILL)
    if number == 0:
        assert node.process is not None
        node.process.wait()
    else:
        node.wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z")


def test_one_is_lent_again_empty_and_without_the_marks_of_a_test(
    shared: SharedNode, started: list[Pretended]
) -> None:
    node = shared.lend()
    node.client.headers["authorization"] = "of a test"
    shared.take_back()
    assert started[0].removed == [
        *("/api/v1/functions/t/f", "/api/v1/functions/u/g", "/api/v1/secrets/v/s"),
        *("/api/v1/buckets/t/b", "/api/v1/queues/t/q", "/api/v1/topics/t/t"),
        *("/api/v1/tables/v/i", "/api/v1/tokens/other"),
    ]
    assert shared.lend() is node
    assert node.client.headers["authorization"] == "Bearer cm_own_key"
    assert (len(started), shared.broken()) == (1, "")


@pytest.mark.parametrize(("number", "name"), [(0, "supervisor"), (1, "casemate.x.process")])
def test_one_that_a_test_broke_is_told_and_replaced(
    shared: SharedNode, started: list[Pretended], number: int, name: str
) -> None:
    node = shared.lend()
    ended(node, number)
    assert name in shared.broken()
    other = shared.lend()
    assert other is not node and len(started) == 2
    assert shared.broken() == ""


def test_one_that_the_last_test_of_a_module_broke_is_told(
    shared: SharedNode, started: list[Pretended]
) -> None:
    ended(shared.lend(), 1)
    with pytest.raises(RuntimeError, match=r"casemate\.x\.process"):
        shared.take_back()
    shared.lend()
    assert len(started) == 2


def test_one_that_is_not_emptied_is_told_and_replaced(
    shared: SharedNode, started: list[Pretended]
) -> None:
    shared.lend()
    started[0].refuses = True
    with pytest.raises(httpx2.HTTPStatusError):
        shared.take_back()
    shared.lend()
    assert len(started) == 2


def test_the_test_that_broke_it_fails(shared: SharedNode, request: pytest.FixtureRequest) -> None:
    class Item:
        config = request.config
        module = type("module", (), {"SHARES_NODE": True})

    before = request.config.stash.get(SHARED, None)
    request.config.stash[SHARED] = shared
    try:
        node = shared.lend()
        assert finished(Item()) == "passed"
        ended(node, 1)
        with pytest.raises(pytest.fail.Exception, match=r"casemate\.x\.process"):
            finished(Item())
        Item.module = type("module", (), {})
        assert finished(Item()) == "passed", "it uses none"
    finally:
        if before is None:
            del request.config.stash[SHARED]
        else:
            request.config.stash[SHARED] = before


def finished(item: object) -> object:
    """Go through what is done around the call of a test that passed."""
    around = pytest_runtest_call(item)
    next(around)
    with pytest.raises(StopIteration) as stopped:
        around.send("passed")
    return stopped.value.value
