"""Each process is killed while a playbook runs: what was begun is finished and taken back."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import httpx2
import pytest
from test_playbooks import CODE, asked, kill, runs
from test_records_storm import OTHERS, SUPERVISOR, victim

from support.cli import casemate
from support.node import TestNode

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.storm,
    pytest.mark.timeout(900),
    pytest.mark.parametrize("node", ["--playbooks"], indirect=True, scope="module"),
]
SEVERAL = """
title = "Several"
approval = "none"
[when]
rules = ["mount-tried"]
[bounds]
targets = 20
[[actions]]
do = "rotate-secret"
[[actions]]
do = "withhold-secrets"
[[actions]]
do = "cut-egress"
[[actions]]
do = "limit-calls"
calls = 5
[[actions]]
do = "freeze-alias"
[[actions]]
do = "quarantine"
"""
HORSE = "correct horse battery staple"
GRANTS = 'secrets = ["key"]\negress = [{ host = "example.org" }]'


@pytest.mark.parametrize("kind", [*OTHERS, SUPERVISOR])
def test_a_kill_of_each_process_while_a_playbook_runs(node: TestNode, kind: str) -> None:
    """Each action comes to be in force, once, and is taken back."""
    project = f"k-{kind}"
    node.deploy(CODE, name="evil", project=project, grants=GRANTS, approve=True)
    assert casemate(node, "secrets", "set", f"{project}/key", stdin=HORSE).returncode == 0
    how = {"form": "hex", "length": 32, "overlap": 60}
    asked(node, f"PUT /secrets/{project}/key/rotation", how)
    asked(node, "PUT /playbooks/escape-tried", {"text": SEVERAL})

    def run() -> dict[str, Any]:
        found = [
            each
            for each in runs(node)
            if (each["project"], each["playbook"]) == (project, "escape-tried")
        ]
        assert len(found) <= 1
        return dict(found[0]) if found else {}

    assert node.invoke({"escape": True}, function=f"{project}/evil").status_code == 200
    while not run():
        time.sleep(0.002)
    acts = run()["acts"]
    if kind == SUPERVISOR:
        kill(node)
    else:
        pid = victim(node.processes(), kind)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    print(kind, [act["state"] for act in acts])

    def done() -> bool:
        try:
            return bool(run()["state"] in ("done", "failed"))
        except httpx2.HTTPError:
            return False

    node.wait_until(done, 90)
    found = run()
    states = {act["do"]: (act["state"], act["problem"]) for act in found["acts"]}
    assert {state for state, _ in states.values()} == {"done"}, states
    assert node.invoke({}, function=f"{project}/evil").status_code == 503
    assert len(node.get("/restrictions", project=project)["restrictions"]) == 3
    [secret] = node.get(f"/secrets/{project}")["secrets"]
    assert secret["versions"][-1]["version"] == 2
    undone = asked(node, f"POST /playbook-runs/{found['id']}/undo", {"reason": "a test"})
    assert undone["state"] == "undone", undone
    assert node.get("/restrictions", project=project)["restrictions"] == []
    assert node.invoke({}, function=f"{project}/evil").status_code == 200
