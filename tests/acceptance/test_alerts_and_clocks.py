"""The clock of a node is set: silences, quiet hours and escalations last as long as is said."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.cli import casemate
from support.clocks import SetClockNode
from support.monitor import Receiver

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.storm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler"),
]
CODE = """
import sqlite3
def handler(event, context):
    with sqlite3.connect(":memory:") as database:
        return database.execute(f"SELECT '{event.get('name', '')}'").fetchall()
"""
RULE = "sql-injection"
HOUR = 3600.0
AFTER = 40.0
CHANNEL = """
[alerts.{name}]
kind = "webhook"
url = "http://127.0.0.1:{port}/{name}"
secret = "ops/alert-key"
level = "low"
accept = ["private", "plaintext"]
{more}
"""
FUNCTIONS = ("morning", "evening", "back", "forward", "silent", "over")


class Told:
    """A node, and what its channels were told of which function."""

    def __init__(self, folder: Path) -> None:
        self.hook = Receiver().__enter__()
        now = datetime.now(UTC)
        # By the clock of the host it is night for two hours yet.
        hours = "-".join(f"{now + timedelta(hours=each):%H:%M}" for each in (-1, 2))
        more = {"team": "", "asleep": f'quiet = "{hours}"', "second": f'after = "{AFTER:.0f}s"'}
        text = "".join(
            CHANNEL.format(name=name, port=self.hook.port, more=line) for name, line in more.items()
        )
        (folder / "node.toml").write_text(text)
        self.node = SetClockNode(folder / "data", "--config", str(folder / "node.toml"))
        self.node.start()
        key = casemate(self.node, "secrets", "set", "ops/alert-key", stdin="a long, random text")
        assert key.returncode == 0, key.stderr
        for name in FUNCTIONS:
            self.node.deploy(CODE, name=name)

    def close(self) -> None:
        self.node.close()
        self.hook.__exit__(None, None, None)

    def by(self, channel: str, name: str) -> bool:
        with self.hook.lock:
            requests = list(self.hook.requests)
        path = f"POST /{channel} "
        sent = [json.loads(body) for _, head, body in requests if head[":request"].startswith(path)]
        found = [one for body in sent for one in body["findings"] if one["rule"] == RULE]
        return any(f"t/{name}" in one["entity"] for one in found)

    def attack(self, name: str, channel: str = "team") -> float:
        """Have an attack found, and return when it was told."""
        answer = self.node.invoke({"name": "x' OR '1'='1"}, function=f"t/{name}")
        assert answer.status_code == 500
        self.node.wait_until(lambda: self.by(channel, name), 60)
        return time.monotonic()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    found = Told(tmp_path_factory.mktemp("told"))
    yield found
    found.close()


def test_a_night_ends_and_begins_with_the_clock(told: Told) -> None:
    told.attack("morning")
    time.sleep(5)
    assert not told.by("asleep", "morning")
    told.node.set_clock(3 * HOUR)
    told.node.wait_until(lambda: told.by("asleep", "morning"), 90)
    told.node.set_clock(0.0)
    told.attack("evening")
    time.sleep(65)
    assert not told.by("asleep", "evening")
    told.node.set_clock(-2 * HOUR)
    told.node.wait_until(lambda: told.by("asleep", "evening"), 90)
    told.node.set_clock(0.0)


@pytest.mark.parametrize(("name", "off"), [("back", -HOUR), ("forward", HOUR)])
def test_an_escalation_waits_for_as_long_as_is_said(told: Told, name: str, off: float) -> None:
    at = told.attack(name)
    told.node.set_clock(off)
    told.node.wait_until(lambda: told.by("second", name), AFTER + 30)
    assert time.monotonic() - at > AFTER * 0.8
    told.node.set_clock(0.0)


def test_a_silence_is_no_longer_than_is_said(told: Told) -> None:
    began = time.monotonic()
    put = casemate(told.node, "alert", "silence", RULE, "--for", "1m", "--reason", "known")
    assert put.returncode == 0, put.stderr
    time.sleep(2)
    answer = told.node.invoke({"name": "x' OR '1'='1"}, function="t/silent")
    assert answer.status_code == 500

    def is_found() -> bool:
        found = told.node.get("/findings")["findings"]
        return any(one["rule"] == RULE and "t/silent" in one["entity"] for one in found)

    told.node.wait_until(is_found, 30)
    time.sleep(max(0.0, began + 50 - time.monotonic()))
    assert not told.by("team", "silent")
    told.node.set_clock(-45.0)
    time.sleep(max(0.0, began + 65 - time.monotonic()))
    assert not told.node.get("/alerts/silences")["silences"]
    told.attack("over")
    assert not told.by("team", "silent")
