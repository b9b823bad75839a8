"""Rotation over HTTP: rights of their own, no value anywhere, and who is called is chosen by who
may call it."""

from __future__ import annotations

from typing import Any

import pytest
from api_fake_control import Client, Parts

from casemate.model.account import PolicyFile
from casemate.model.restriction import RestrictionKind

PATH = "/secrets/shop/db-password"
HOW = {"form": "password", "length": 32, "overlap": 60}
WHY = {"reason": "inc_1"}


@pytest.fixture
def declared(ask: Client, parts: Parts) -> Client:
    parts.service.rotations._vault.put("shop", "db-password")  # type: ignore[attr-defined]
    answer = ask("PUT", f"{PATH}/rotation", json=HOW)
    assert answer.status_code == 200, answer.text
    return ask


def test_it_is_declared_rotated_reverted_and_removed(declared: Client) -> None:
    [one] = declared("GET", "/rotations/shop").json()["rotations"]
    assert one["value"] == {"form": "password", "length": 32} and one["by"] == "token:owner"
    assert declared("GET", "/rotations/other").json() == {"rotations": []}
    rotated = declared("POST", f"{PATH}/rotate", json=WHY).json()
    assert (rotated["version"], rotated["former"]) == (2, 1) and rotated["until"]
    assert declared("POST", f"{PATH}/revert", json=WHY).json()["version"] == 3
    assert declared("POST", f"{PATH}/revert", json=WHY).status_code == 409
    assert declared("DELETE", f"{PATH}/rotation").status_code == 204
    assert declared("DELETE", f"{PATH}/rotation").status_code == 404
    assert declared("POST", f"{PATH}/rotate", json=WHY).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/rotate", {}, 400),
        ("/rotate", {"reason": ""}, 400),
        ("/rotate", {**WHY, "overlap": -1}, 400),
        ("/rotate", {**WHY, "overlap": 8 * 86_400}, 400),
        ("/rotate", {**WHY, "value": "mine"}, 400),
        ("/revert", {**WHY, "version": 1}, 400),
    ],
)
def test_what_means_nothing_is_refused(
    declared: Client, path: str, body: dict[str, Any], status: int
) -> None:
    assert declared("POST", PATH + path, json=body).status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**HOW, "form": "mine"}, 400),
        ({**HOW, "length": 17}, 422),
        ({**HOW, "length": 2000}, 400),
        ({**HOW, "function": "../x"}, 400),
    ],
)
def test_values_that_are_not_made(ask: Client, body: dict[str, Any], status: int) -> None:
    assert ask("PUT", f"{PATH}/rotation", json=body).status_code == status


def test_who_may_rotate_need_not_be_let_set_a_value(declared: Client, parts: Parts) -> None:
    text = 'forbid (principal, action == Casemate::Action::"secret:write", resource);'
    file = PolicyFile(name="no", text=text, changed_at=1.0, changed_by="user:ada")
    parts.policy.activate(parts.policy.prepare([file]))
    assert declared("PUT", f"{PATH}/rotation", json=HOW).status_code == 403
    assert declared("DELETE", f"{PATH}/rotation").status_code == 403
    assert declared("POST", f"{PATH}/rotate", json=WHY).status_code == 200


def test_who_may_not_rotate_does_not(declared: Client, parts: Parts) -> None:
    text = 'forbid (principal, action == Casemate::Action::"secret:rotate", resource);'
    file = PolicyFile(name="no", text=text, changed_at=1.0, changed_by="user:ada")
    parts.policy.activate(parts.policy.prepare([file]))
    for how in ("rotate", "revert"):
        assert declared("POST", f"{PATH}/{how}", json=WHY).status_code == 403


def test_a_function_that_one_may_not_call_is_not_had_called(ask: Client, parts: Parts) -> None:
    text = 'forbid (principal, action == Casemate::Action::"function:invoke", resource);'
    file = PolicyFile(name="no", text=text, changed_at=1.0, changed_by="user:ada")
    parts.policy.activate(parts.policy.prepare([file]))
    wanted = {**HOW, "function": "cart"}
    assert ask("PUT", f"{PATH}/rotation", json=wanted).status_code == 403
    assert ask("PUT", f"{PATH}/rotation", json=HOW).status_code == 200


def test_a_secret_that_was_withheld_is_given_again(declared: Client, parts: Parts) -> None:
    body = {"kind": "secret", "what": "db-password", "project": "shop", "reason": "r"}
    assert declared("POST", "/restrictions", json=body).status_code == 200
    held = parts.service.restrictions
    assert held.withholds("shop", "pay", "db-password")
    assert declared("POST", f"{PATH}/rotate", json=WHY).status_code == 200
    assert not held.withholds("shop", "pay", "db-password")
    assert RestrictionKind.SECRET
