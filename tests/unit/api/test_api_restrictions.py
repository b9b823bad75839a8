"""Restrictions over HTTP: each is decided by what it is of."""

from __future__ import annotations

from typing import Any

import pytest
from api_fake_control import Client, Parts

from casemate.model.account import PolicyFile

HOST = {"kind": "host", "what": "evil.example", "reason": "inc_1"}


def test_what_is_held_back_is_listed_and_lifted(ask: Client, parts: Parts) -> None:
    made = ask("POST", "/restrictions", json={**HOST, "project": "shop"})
    assert made.status_code == 200, made.text
    one = made.json()
    assert (one["project"], one["what"], one["by"]) == ("shop", "evil.example", "token:owner")
    assert ask("POST", "/restrictions", json={**HOST, "project": "shop"}).json() == one
    assert ask("GET", "/restrictions").json() == {"restrictions": [one]}
    assert ask("GET", "/restrictions", params={"project": "other"}).json() == {"restrictions": []}
    path = f"/restrictions/{one['id']}/lift"
    assert ask("POST", path, json={}).status_code == 400
    assert ask("POST", path, json={"reason": "over"}).json() == one
    assert ask("POST", path, json={"reason": "over"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**HOST, "project": "shop", "function": "ghost"}, 404),
        ({**HOST, "function": "pay"}, 422),
        ({**HOST, "what": "a b"}, 422),
        ({**HOST, "kind": "everything"}, 400),
        ({**HOST, "reason": ""}, 400),
        ({**HOST, "more": 1}, 400),
        ({"kind": "address", "what": "0.0.0.0/0", "reason": "r"}, 422),
    ],
)
def test_what_means_nothing_is_refused(ask: Client, body: Any, status: int) -> None:
    assert ask("POST", "/restrictions", json=body).status_code == status
    assert ask("GET", "/restrictions").json() == {"restrictions": []}


def test_who_may_not_hold_back_of_one_project_may_of_another(ask: Client, parts: Parts) -> None:
    of_shop = ask("POST", "/restrictions", json={**HOST, "project": "shop"}).json()["id"]
    of_node = ask("POST", "/restrictions", json=HOST).json()["id"]
    text = """forbid (
      principal, action == Casemate::Action::"restriction:write", resource
    ) unless { resource has project && resource.project == "cart" };"""
    parts.policy.replace([PolicyFile(name="n", text=text, changed_at=1.0, changed_by="user:ada")])
    assert ask("POST", "/restrictions", json=HOST).status_code == 403
    assert ask("POST", "/restrictions", json={**HOST, "project": "shop"}).status_code == 403
    for id in (of_shop, of_node, "res_none"):
        assert ask("POST", f"/restrictions/{id}/lift", json={"reason": "r"}).status_code == 403
    assert ask("POST", "/restrictions", json={**HOST, "project": "cart"}).status_code == 200
    assert len(ask("GET", "/restrictions").json()["restrictions"]) == 3
