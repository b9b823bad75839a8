"""Processes that are started again while the clock is wrong delete nothing for good by it."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from support.clocks import SetClockNode

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.storm,
    pytest.mark.timeout(400),
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler"),
]
DAY = 86_400.0
LOOK_SECONDS = 70.0
"""The recorder looks once a minute for what is over."""
CALLS = 5


@pytest.mark.parametrize("process", ["recorder", "gateway"])
def test_records_and_tokens_outlive_a_restart_while_the_clock_is_far_ahead(
    tmp_path: Path, process: str
) -> None:
    node = SetClockNode(tmp_path / "data")
    try:
        node.start()
        node.deploy("def handler(event, context):\n    return 1\n")
        for _ in range(CALLS):
            assert node.invoke({}).status_code == 200
        made = node.client.post(
            f"{node.url}/api/v1/tokens", json={"name": "ci", "roles": ["auditor"]}
        ).json()
        node.client.delete(f"{node.url}/api/v1/tokens/{made['token']['id']}")
        tokens = len(node.get("/tokens")["tokens"])
        assert len(node.get("/invocations", project="t")["invocations"]) == CALLS
        node.set_clock(500 * DAY)
        os.kill(node.part(process), signal.SIGKILL)
        time.sleep(LOOK_SECONDS)
        node.set_clock(0.0)
        node.wait_until(lambda: ready(node), 30)
        assert len(node.get("/invocations", project="t")["invocations"]) == CALLS
        assert len(node.get("/tokens")["tokens"]) == tokens
    finally:
        node.close()


def test_they_outlive_a_start_while_the_clock_is_far_ahead(tmp_path: Path) -> None:
    node = SetClockNode(tmp_path / "data")
    try:
        node.start()
        node.deploy("def handler(event, context):\n    return 1\n")
        for _ in range(CALLS):
            assert node.invoke({}).status_code == 200
        body = {"name": "ci", "roles": ["auditor"], "minutes": 5}
        assert node.client.post(f"{node.url}/api/v1/tokens", json=body).status_code == 201
        tokens = len(node.get("/tokens")["tokens"])
        node.stop()
        node.set_clock(300 * DAY)
        node.start()
        time.sleep(LOOK_SECONDS)
        node.set_clock(0.0)
        node.wait_until(lambda: ready(node), 30)
        assert len(node.get("/invocations", project="t")["invocations"]) >= CALLS
        assert len(node.get("/tokens")["tokens"]) == tokens
    finally:
        node.close()


def ready(node: SetClockNode) -> bool:
    return node.client.get(f"{node.url}/api/v1/ready").status_code == 200
