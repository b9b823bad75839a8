"""The node's own status."""

from __future__ import annotations


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
