"""Rights that nobody has looked at for too long are told on a real node, until somebody does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.cli import casemate
from support.node import TestNode
from support.stepped_clock import SteppedClock

pytestmark = pytest.mark.sandbox
DAY = 86_400.0


def overdue(node: TestNode) -> set[str]:
    shown = casemate(node, "access", "review", "--overdue", "--json")
    assert shown.returncode == 0, shown.stderr
    return {each["id"] for each in json.loads(shown.stdout)["entries"]}


def told(node: TestNode) -> list[dict[str, Any]]:
    found = node.get("/node/audit")["weaknesses"]
    return [one for one in found if one["rule"] == "NODE-070"]


def test_what_is_overdue_is_told_until_it_is_looked_at(tmp_path: Path) -> None:
    clock = SteppedClock(tmp_path / "clock")
    node = TestNode(tmp_path / "data")
    node.launcher = clock.launcher
    node.start()
    try:
        done = casemate(node, "access", "every", "2")
        assert done.returncode == 0, done.stderr
        made = node.client.post(
            f"{node.url}/api/v1/tokens", json={"name": "ci", "roles": ["invoker@t"]}
        ).json()["token"]
        token = f"token:{made['id']}"
        assert token not in overdue(node) and not told(node)

        clock.set(3 * DAY)
        node.wait_until(lambda: token in overdue(node))
        node.wait_until(lambda: bool(told(node)), 30)
        assert "due for review, one since 1 day" in json.dumps(told(node))
        assert {one["level"] for one in told(node)} == {"medium"}
        shown = casemate(node, "audit", "node", "--fail-on", "medium")
        assert shown.returncode == 1
        assert "NODE-070" in shown.stdout
        assert "casemate access review --overdue" in shown.stdout

        clock.set(5 * DAY)  # twice the time
        node.wait_until(lambda: {one["level"] for one in told(node)} == {"high"}, 30)

        for each in sorted(overdue(node)):
            kept = casemate(node, "access", "keep", each, "--reason", "builds the shop")
            assert kept.returncode == 0, kept.stderr
        assert overdue(node) == set()
        node.wait_until(lambda: not told(node), 30)
        entries = json.dumps(node.get("/journal", kind="AccessReviewed"))
        assert token in entries and "builds the shop" in entries
    finally:
        node.close()
