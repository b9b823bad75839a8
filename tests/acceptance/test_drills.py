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


def standing(node: TestNode, *, decoys: bool) -> dict[str, object]:
    """Return all that a run could leave: what is in force, and what waits for people.

    Looking at decoys is itself found, so nobody does before a run.
    """
    closed = ("resolved", "false-alarm")
    tokens = node.get("/tokens")["tokens"]
    incidents = node.get("/incidents")["incidents"]
    return {
        "functions": [each["name"] for each in node.get("/functions")["functions"]],
        "tokens": [each["id"] for each in tokens if not each["revoked_at"]],
        "users": node.get("/users")["users"],
        "secrets": node.get("/secrets")["secrets"],
        "incidents": [each["id"] for each in incidents if each["state"] not in closed],
        "approvals": node.get("/playbook-runs", state="waits")["runs"],
        "silences": node.get("/alerts/silences")["silences"],
        "off": [each for each in node.get("/decoys")["decoys"] if not each["on"]] if decoys else [],
        "restrictions": node.get("/restrictions")["restrictions"],
        "policies": node.get("/policies")["files"],
        "routes": node.get("/route-claims")["claims"],
        "budgets": node.get("/budgets"),
        "buckets": node.client.get(f"{node.url}/api/v1/buckets/casemate-drill")
        .json()
        .get("buckets", []),
    }


SOME = (
    *("event-http", "request-no", "residue-global", "contain-by-itself", "rule-host-not-granted"),
    *("rule-rights-probed", "rule-keys-rotated", "rule-alerts-silenced", "rule-secret-reading"),
)
"""At least one of each way that a run of all goes; with all of the quick ones, which are calls."""


@pytest.mark.parametrize(
    "every", [False, pytest.param(True, marks=pytest.mark.storm)], ids=["quick", "all"]
)
@pytest.mark.timeout(900)
def test_every_attack_is_stopped_and_on_record(
    node: TestNode, tmp_path: Path, *, every: bool
) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path)}
    listed = json.loads(casemate(node, "drill", "ls", "--json").stdout)
    assert len({each["id"] for each in listed}) >= 120
    if not every:
        listed = [each for each in listed if each["way"] == "call" or each["id"] in SOME]
    ids = [] if every else [each["id"] for each in listed]
    before = standing(node, decoys=False)
    done = casemate(node, "drill", "run", *ids, "--json", env=state, timeout=800)
    run = json.loads(done.stdout)
    assert (done.returncode, run["failed"]) == (0, []), [
        each for each in run["outcomes"] if not each["passed"]
    ]
    assert [each["id"] for each in run["outcomes"]] == [each["id"] for each in listed]
    assert run["calls"] > 20 and run["lost_calls"] == 0 and run["left"] == ""
    assert standing(node, decoys=True) == before
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
