"""The node's own status."""

from __future__ import annotations

from casemate.model.node import NodeHealth, PartHealth


def test_status_is_given_on(ask) -> None:
    status = ask("GET", "/node").json()
    assert status["protections"][0] == {
        "name": "seccomp",
        "holds": True,
        "required": True,
        "accepted": False,
        "detail": "",
    }
    assert status["lost_records"] == 0


def test_strangers_are_told_whether_all_is_well_and_the_operator_what_is_not(ask, parts) -> None:
    assert ask("GET", "/health", key=None).json()["status"] == "ok"
    assert ask("GET", "/ready", key=None).json() == {"ready": True}
    bad = PartHealth(name="bundles", ok=False, detail="abc is missing.")
    parts.health = NodeHealth(ok=False, ready=True, checked_at=7.0, parts=(bad,))
    health = ask("GET", "/health", key=None)
    assert (health.status_code, set(health.json())) == (200, {"status", "version"})
    assert health.json()["status"] == "not ok"
    assert ask("GET", "/ready", key=None).status_code == 200
    assert ask("GET", "/node/health", key=None).status_code == 401
    assert ask("GET", "/node/health").json() == {
        "ok": False,
        "ready": True,
        "checked_at": 7.0,
        "parts": [{"name": "bundles", "ok": False, "detail": "abc is missing."}],
    }
    parts.health = NodeHealth(ok=False, ready=False, checked_at=7.0, parts=())
    assert ask("GET", "/ready", key=None).status_code == 503
