"""The audit of the node over HTTP: who may see what of it."""

from __future__ import annotations

import time

import pytest

from casemate.node_audit.state import DecoyOff, NodeState, Settings
from support.accounts import World
from support.accounts_node import Asking


@pytest.fixture
def ask() -> Asking:
    world = World()
    world.clock.now = time.time()
    world.start()
    asking = Asking(world)

    async def look() -> NodeState:
        return NodeState(
            now=time.time(),
            settings=Settings(address="http://0.0.0.0:80", loopback=False, tls=False),
            versions={"Casemate": "1"},
            decoys_off=tuple(
                DecoyOff(project=name, kind="host", reason="x", by="user:ada")
                for name in ("shop", "mine")
            ),
        )

    asking.service.audit._look = look
    return asking


@pytest.mark.parametrize("role", ["developer", "invoker", "developer@shop", "operator@shop"])
def test_who_only_looks_on_is_told_nothing(ask: Asking, role: str) -> None:
    text = ask.token("t", role)
    for path in ("/node/audit", "/node/audit/history"):
        refused = ask("GET", path, token=text)
        assert refused.status_code == 403 and "0.0.0.0" not in refused.text
    assert ask("GET", "/node/audit?project=mine", token=text).status_code == 403


@pytest.mark.parametrize("role", ["owner", "operator", "auditor"])
def test_who_may_is_told_all(ask: Asking, role: str) -> None:
    text = ask.token("t", role)
    found = ask("GET", "/node/audit", token=text).json()
    assert {one["rule"] for one in found["weaknesses"]} == {"NODE-005", "NODE-066"}
    assert found["score"] == 54 and found["versions"] == {"Casemate": "1"}
    assert ask("GET", "/node/audit/history", token=text).json()["points"][0]["score"] == 54


def test_an_auditor_of_a_project_is_told_what_is_of_it(ask: Asking) -> None:
    text = ask.token("t", "auditor@shop")
    for path in ("/node/audit", "/node/audit?project=mine", "/node/audit/history"):
        assert ask("GET", path, token=text).status_code == 403
    found = ask("GET", "/node/audit?project=shop", token=text)
    assert [one["subject"] for one in found.json()["weaknesses"]] == ["decoy:shop/host"]
    assert "mine" not in found.text and "0.0.0.0" not in found.text
    for wrong in ("?project=S", "?project=", "?limit=1", "?project=shop&project=shop"):
        assert ask("GET", f"/node/audit{wrong}").status_code == 400
    assert ask("GET", "/node/audit/history?limit=0").status_code == 400
