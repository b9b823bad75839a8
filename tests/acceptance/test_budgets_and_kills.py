"""What runs when a gateway is killed counts for its budget, once."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from support.node import TestNode
from support.processes import gateway_of

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(180)]
SOURCE = """
import time
def handler(event, context):
    time.sleep(event)
    return 1
"""
PROJECTS = {"many": "requests", "long": "gb-seconds"}
AT_ONCE = 3


@pytest.fixture
def node(tmp_path: Path) -> Iterator[TestNode]:
    node = TestNode(tmp_path / "data")
    try:
        node.start()
        for project, unit in PROJECTS.items():
            node.deploy(SOURCE, project=project, limits='timeout = "30s"')
            budget = {"amount": 1000, "unit": unit, "per": "day", "hard": True}
            put = node.client.put(f"{node.url}/api/v1/budgets/{project}/b", json=budget)
            assert put.status_code == 200, put.text
        yield node
    finally:
        node.close()


def used(node: TestNode, project: str) -> float:
    [found] = node.get("/budgets", project=project)["budgets"]
    return float(found["used"])


def running(node: TestNode, pool: ThreadPoolExecutor) -> list[Future[bool]]:
    """Return calls that run, each of which tells whether it was answered."""

    def call(project: str) -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            headers = {"authorization": f"Bearer {node.key}"}
            url = f"{node.url}/invoke/{project}/f"
            return httpx2.post(url, json=20, headers=headers, timeout=60).status_code == 200
        return False

    calls = [pool.submit(call, project) for project in PROJECTS for _ in range(AT_ONCE)]
    node.wait_until(lambda: instances(node) == len(calls), 20)
    time.sleep(1.0)
    return calls


def instances(node: TestNode) -> int:
    """Return how many instances are at work."""
    page = node.client.get(f"{node.url}/metrics").text
    found = re.search(r"^casemate_instances_running (\d+)$", page, re.MULTILINE)
    return int(found[1]) if found else 0


def answers(node: TestNode) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        return node.client.get(f"{node.url}/api/v1/ready").status_code == 200
    return False


def test_calls_that_run_when_a_gateway_is_killed_are_charged_once(node: TestNode) -> None:
    for project in PROJECTS:
        assert node.invoke(0, function=f"{project}/f").status_code == 200
    with ThreadPoolExecutor(2 * AT_ONCE) as pool:
        for kills in (1, 2):
            calls = running(node, pool)
            assert node.process is not None
            gateway = gateway_of(node.process.pid)
            assert gateway is not None
            os.kill(gateway, signal.SIGKILL)
            assert not any(call.result() for call in calls)
            node.wait_until(lambda: answers(node), 40)
            assert used(node, "many") == 1 + kills * AT_ONCE
            # A quarter of a gigabyte each, for the second or more that they ran.
            least = kills * AT_ONCE * 0.25
            assert least <= used(node, "long") <= 15 * least
    records = node.get("/invocations", project="many")["invocations"]
    assert [each["outcome"] for each in records].count("crashed") == 2 * AT_ONCE
    assert all(1000 <= each["run_ms"] <= 20_000 for each in records if each["status"] == 500)
