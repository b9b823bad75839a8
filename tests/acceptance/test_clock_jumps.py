"""A real node whose clock is set an hour forward and back: nothing is lost or hidden."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from support.cli import casemate
from support.monitor import Receiver
from support.node import TestNode
from support.stepped_clock import SteppedClock

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(600)]
HOUR = 3600.0
SPRAYED = "passwords-sprayed"
SETTINGS = """
[alerts.pager]
kind = "webhook"
url = "http://127.0.0.1:{port}/hook"
secret = "ops/alert-key"
level = "medium"
fold = "1m"
accept = ["private", "plaintext"]
[deadman]
url = "http://127.0.0.1:{port}/alive"
every = "1s"
accept = ["private", "plaintext"]
"""


def spray(node: TestNode, name: str) -> None:
    for n in range(6):
        body = {"name": f"{name}-{n}", "password": "Summer2026!", "code": "123456"}
        assert node.client.post(f"{node.url}/api/v1/login", json=body).status_code in (401, 429)


def told(receiver: Receiver, rule: str) -> list[dict[str, Any]]:
    with receiver.lock:
        bodies = [body for _, head, body in receiver.requests if "/hook" in head[":request"]]
    every = [each for body in bodies for each in json.loads(body)["findings"]]
    return [each for each in every if each["rule"] == rule]


def signs(receiver: Receiver) -> int:
    with receiver.lock:
        return sum("/alive" in head[":request"] for _, head, _ in receiver.requests)


def entries(node: TestNode, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = node.get("/journal", kind=kind, limit=1000)["entries"]
    return found


def is_whole(node: TestNode) -> None:
    """The journal verifies, and what is signed goes on."""
    verified = node.client.post(f"{node.url}/api/v1/journal/verify").json()
    assert verified["findings"] == [], verified


def test_an_hour_forward_and_back(tmp_path: Path) -> None:
    clock = SteppedClock(tmp_path / "clock")
    with Receiver() as receiver:
        (tmp_path / "node.toml").write_text(SETTINGS.format(port=receiver.port))
        node = TestNode(tmp_path / "data", "--config", str(tmp_path / "node.toml"))
        node.launcher = clock.launcher
        node.start()
        try:
            _walk(node, clock, receiver)
        finally:
            node.close()


def _walk(node: TestNode, clock: SteppedClock, receiver: Receiver) -> None:
    done = casemate(node, "secrets", "set", "ops/alert-key", stdin="a long and random text")
    assert done.returncode == 0, done.stderr
    node.deploy("def handler(event, context):\n    print('line', event)\n    return event\n")
    calls = 0
    steps: list[float] = []
    for off in (0.0, HOUR, 0.0, -HOUR, 0.0):
        before, size = signs(receiver), len(node.get("/journal", limit=1000)["entries"])
        clock.set(off)
        if steps or off:
            steps.append(off)
            node.wait_until(lambda: len(entries(node, "ClockStepped")) == len(steps), 20)
        for _ in range(5):
            calls += 1
            assert node.invoke(calls).status_code == 200
        # Folded after the jump as before it: the window is of a clock that nobody sets.
        for _ in range(50):
            assert node.client.get(
                f"{node.url}/api/v1/functions", headers={"authorization": "Bearer nonsense"}
            ).status_code in (401, 429)
        spray(node, f"p{calls}")
        node.wait_until(lambda: len(entries(node, "Denial")) > 0, 10)
        node.wait_until(
            lambda size=size: len(node.get("/journal", limit=1000)["entries"]) > size, 20
        )
        is_whole(node)
        # A sign of life each second, whatever the clock says.
        node.wait_until(lambda before=before: signs(receiver) >= before + 3, 30)
        lines = node.client.get(f"{node.url}/api/v1/logs?project=t&function=f&limit=1000").text
        assert sorted(json.loads(line)["text"] for line in lines.splitlines()) == sorted(
            f"line {n}" for n in range(1, calls + 1)
        )
        assert len(node.get("/invocations", limit=1000)["invocations"]) == calls
    assert [
        round(each["event"]["unmapped"]["seconds"] / HOUR) for each in entries(node, "ClockStepped")
    ][::-1] == [1, -1, -1, 1]
    node.wait_until(lambda: len(told(receiver, "clock-change-tried")) >= 1, 20)
    node.wait_until(lambda: len(told(receiver, SPRAYED)) >= 1, 20)
    print({rule: len(told(receiver, rule)) for rule in ("clock-change-tried", SPRAYED)})
    _silences(node, clock, receiver)
    stamps = [each["event"]["metadata"]["logged_time"] for each in entries(node, "Denial")]
    assert all(abs(stamp / 1000 - time.time()) < 2 * HOUR for stamp in stamps)


def _silences(node: TestNode, clock: SteppedClock, receiver: Receiver) -> None:
    """One of half an hour is over an hour later, and holds no longer for a clock set back."""

    def known() -> int:
        out = casemate(node, "alert", "silences", "--json").stdout
        return len(json.loads(out)["silences"])

    reason = ("--for", "30m", "--reason", "a test")
    assert casemate(node, "alert", "silence", SPRAYED, *reason).returncode == 0
    node.wait_until(lambda: known() == 1)
    before = len(told(receiver, SPRAYED))
    spray(node, "silent")
    time.sleep(3)
    assert len(told(receiver, SPRAYED)) == before
    clock.set(HOUR)
    node.wait_until(lambda: known() == 0)
