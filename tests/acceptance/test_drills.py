"""Drills on a real node: all attacks go as they must, and nothing of them is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.cli import casemate
from support.node import TestNode

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.parametrize("node", ["--playbooks"], indirect=True, scope="module"),
]


def test_every_attack_is_stopped_and_on_record(node: TestNode, tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path)}
    listed = json.loads(casemate(node, "drill", "ls", "--json").stdout)
    assert len({each["id"] for each in listed}) >= 120
    done = casemate(node, "drill", "run", "--json", env=state, timeout=170)
    run = json.loads(done.stdout)
    assert (done.returncode, run["failed"]) == (0, []), [
        each for each in run["outcomes"] if not each["passed"]
    ]
    assert [each["id"] for each in run["outcomes"]] == [each["id"] for each in listed]
    assert run["calls"] > 20 and run["lost_calls"] == 0 and run["left"] == ""
    assert {"injection-burst", "mount-tried", "secret-denied"} <= set(run["findings"])
    assert not [each for each in node.get("/functions")["functions"] if "drill" in each["project"]]
    report = casemate(node, "drill", "report", "--format", "markdown", env=state)
    assert f"# Drill {run['id']}" in report.stdout


def test_it_is_for_those_with_the_right(node: TestNode, tmp_path: Path) -> None:
    token = json.loads(
        casemate(node, "tokens", "add", "reader", "--role", "invoker@other", "--json").stdout
    )["text"]
    done = casemate(
        node, "drill", "run", env={"CASEMATE_KEY": token, "XDG_STATE_HOME": str(tmp_path)}
    )
    assert done.returncode == 4, done.stderr
    assert not (tmp_path / "casemate").exists()
