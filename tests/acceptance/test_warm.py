"""`limits.warm` on a node: ready without a call, after a deploy, and after the gateway's end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.node import TestNode
from support.processes import gateway_of

HANDLER = "def handler(event, context):\n    return {}\n"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[TestNode]:
    node = TestNode(tmp_path / "data", "--max-warm", "3").start()
    yield node
    node.close()


def ready(node: TestNode, name: str = "f") -> int:
    found: int = node.get(f"/functions/t/{name}")["ready"]
    return found


def test_instances_are_kept_ready_over_deploys_and_the_gateways_end(node: TestNode) -> None:
    assert node.get("/node")["caps"]["warm"] == 3
    node.deploy(HANDLER.format(1), limits="warm = 2")
    node.wait_until(lambda: ready(node) == 2, 60)
    answer = node.invoke({})
    assert answer.json() == 1
    assert node.get(f"/invocations/{answer.headers['x-request-id']}")["cold"] is False
    node.wait_until(lambda: ready(node) == 2, 60)
    # What is ready after a deploy is of the new version.
    node.deploy(HANDLER.format(2), limits="warm = 3")
    node.wait_until(lambda: ready(node) == 3, 60)
    assert node.invoke({}).json() == 2
    node.wait_until(lambda: node.get("/node")["zygotes"] == 1, 60)
    refused = node.deploy(HANDLER, name="g", limits="warm = 1", expect=422)
    assert "at most 3 instances ready, of which others have 3" in refused["detail"]
    # A gateway that is started again has them made anew, with no call.
    assert node.process is not None
    before = gateway_of(node.process.pid)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    node.wait_until(lambda: gateway_of(node.process.pid if node.process else 0) != before, 20)

    def again() -> bool:
        try:
            return ready(node) == 3
        except Exception:  # whatever a gateway answers that has just been started
            return False

    node.wait_until(again, 20)
    assert node.invoke({}).json() == 2
    node.deploy(HANDLER.format(3))
    node.wait_until(lambda: node.get("/node")["spares"] == 0, 20)
