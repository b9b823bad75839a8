"""Deploying, listing, aliasing, rolling back and removing through the API."""

from __future__ import annotations

import pytest
from api_fake_control import BROKEN_DIGEST, OWNER_TEXT

from casemate.model.errors import (
    CasemateError,
    ConflictError,
    HeldByAnotherError,
    InvalidInputError,
    ProtectionMissingError,
    QuotaError,
    UnavailableError,
)
from casemate.model.grant import Grant, GrantKind
from casemate.operations.functions import Forgets

DIGEST = "a" * 64
CART = "/functions/shop/cart"


@pytest.fixture
def deployed(ask, control):
    control.bundles[DIGEST] = b"bundle"
    assert ask("POST", CART + "/versions", json={"digest": DIGEST}).status_code == 201
    return ask


def test_deploy_then_list_and_show(deployed, control) -> None:
    listed = deployed("GET", "/functions").json()["functions"]
    shown = deployed("GET", CART).json()
    assert listed == [shown]
    assert shown["versions"][0]["digest"] == DIGEST
    assert shown["aliases"][0]["targets"] == [{"version": 1, "weight": 100}]
    assert control.asked_by == ["token:owner"]


def test_how_often_processes_are_used_again_is_told(deployed, ask) -> None:
    told = deployed("GET", CART + "/restoring").json()
    assert (told["restored"], told["discarded"]) == (3, 1)
    assert told["reasons"][0]["change"] == "remove it"
    assert ask("GET", "/functions/shop/nobody/restoring").status_code == 404


def test_head_answers_like_get_without_a_body(deployed) -> None:
    response = deployed("HEAD", CART)
    assert (response.status_code, response.content) == (200, b"")


def test_import_error_is_told_in_full_and_nothing_is_deployed(ask) -> None:
    response = ask("POST", CART + "/versions", json={"digest": BROKEN_DIGEST})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["failure"]["type"] == "ModuleNotFoundError"
    assert "nothere" in problem["failure"]["message"]
    assert "import nothere" in problem["failure"]["trace"]
    assert problem["error_id"].startswith("err_")
    assert ask("GET", "/functions").json() == {"functions": []}


def test_dry_run_deploys_nothing(ask, control) -> None:
    control.bundles[DIGEST] = b"bundle"
    response = ask("POST", CART + "/versions", json={"digest": DIGEST, "dry_run": True})
    assert (response.status_code, response.json()) == (200, {"digest": DIGEST})
    assert control.deployed == {}
    body = {"digest": BROKEN_DIGEST, "dry_run": True}
    assert ask("POST", CART + "/versions", json=body).status_code == 422


def test_deploy_without_the_bundle_says_what_to_do(ask) -> None:
    response = ask("POST", CART + "/versions", json={"digest": DIGEST})
    assert response.status_code == 404
    assert response.json()["next_step"] == "Upload it first."


def test_alias_with_weights(deployed) -> None:
    deployed("POST", CART + "/versions", json={"digest": DIGEST})
    targets = [{"version": 1, "weight": 95}, {"version": 2, "weight": 5}]
    response = deployed("PUT", CART + "/aliases/live", json={"targets": targets})
    assert response.json()["targets"] == targets


@pytest.mark.parametrize(
    "targets",
    [
        [],
        [{"version": 1, "weight": 99}],
        [{"version": 1, "weight": 50}, {"version": 1, "weight": 50}],
        [{"version": 0, "weight": 100}],
        [{"version": 1, "weight": 100}, {"version": 2, "weight": 0}],
        [{"version": 1, "weight": 200}, {"version": 2, "weight": -100}],
        [{"version": True, "weight": 100}],
        [{"version": 1.5, "weight": 100}],
        [{"version": "1", "weight": 100}],
        [{"version": 1, "weight": 100, "extra": 1}],
        [{"version": n, "weight": 1} for n in range(1, 101)],
    ],
)
def test_wrong_targets(deployed, targets) -> None:
    response = deployed("PUT", CART + "/aliases/live", json={"targets": targets})
    assert response.status_code == 400
    assert response.json()["detail"]


def test_alias_to_a_version_that_does_not_exist(deployed) -> None:
    body = {"targets": [{"version": 9, "weight": 100}]}
    assert deployed("PUT", CART + "/aliases/live", json=body).status_code == 404


def test_rollback_with_and_without_a_version(deployed) -> None:
    assert deployed("POST", CART + "/rollback").status_code == 409
    deployed("POST", CART + "/versions", json={"digest": DIGEST})
    back = deployed("POST", CART + "/rollback")
    assert back.json()["targets"] == [{"version": 1, "weight": 100}]
    forth = deployed("POST", CART + "/rollback", json={"to": 2})
    assert forth.json()["targets"] == [{"version": 2, "weight": 100}]


def test_who_may_approve_grants_is_said_to_whoever_points_live(deployed, parts, control) -> None:
    deployed("POST", CART + "/versions", json={"digest": DIGEST})
    developer = parts.accounts.add("cm_dev_" + "a" * 43, "developer@shop")
    targets = {"targets": [{"version": 1, "weight": 100}]}
    trial = {"version": 2, "terms": {"weight": 10, "seconds": 60}}
    for key, may in ((OWNER_TEXT, True), (developer, False)):
        control.approvals.clear()
        for method, path, body in (
            ("PUT", "/aliases/live", targets),
            ("POST", "/rollback", {"to": 1}),
            ("POST", "/trial", trial),
        ):
            answer = deployed(method, CART + path, json=body, key=key)
            assert answer.status_code in (200, 201), (path, answer.text)
        assert set(control.approvals) == {may}
    assert parts.denied == []


def test_remove(deployed) -> None:
    response = deployed("DELETE", CART)
    assert (response.status_code, response.content) == (204, b"")
    assert deployed("DELETE", CART).status_code == 404
    assert deployed("GET", CART).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/functions/Shop/cart",
        "/functions/shop/cart%0a",
        "/functions/shop/-cart",
        "/functions/shop/" + "c" * 64,
        "/functions/sh%00p/cart",
        "/functions/%2e%2e/cart",
        "/functions/shop/c%C3%A4rt",
    ],
)
def test_names_that_are_none(ask, path) -> None:
    response = ask("GET", path)
    assert response.status_code == 400
    assert "expected 1 to 63 lower-case letters, digits" in response.json()["detail"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (ConflictError("busy"), 409),
        (ProtectionMissingError("no seccomp"), 503),
        (CasemateError("odd"), 500),
    ],
)
def test_our_own_errors_keep_their_text(ask, control, fault, status) -> None:
    control.fault = fault
    response = ask("GET", "/functions")
    assert response.status_code == status
    assert response.json()["detail"] == fault.message


def test_what_passes_by_itself_leaves_a_trace_in_the_log_only_with_its_cause(
    ask, control, caplog
) -> None:
    control.fault = UnavailableError("stopping")
    assert ask("GET", "/functions").status_code == 503
    assert "stopping" in caplog.text
    assert "Traceback" not in caplog.text
    control.fault.__cause__ = OSError("disk full")
    assert ask("GET", "/functions").status_code == 503
    assert "OSError: disk full" in caplog.text


def test_foreign_errors_are_sealed_and_logged(ask, control, caplog) -> None:
    control.fault = RuntimeError(f"secret {OWNER_TEXT}")
    response = ask("GET", "/functions")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "RuntimeError" not in response.text
    assert response.json()["error_id"] in caplog.text
    assert "secret" in caplog.text


@pytest.mark.parametrize("number", ["007", "0", "-1", "1.0", "x"])
def test_a_version_is_removed_by_its_number_alone(deployed, control, number) -> None:
    assert deployed("DELETE", f"{CART}/versions/{number}").status_code == 400
    assert control.asked_by == ["token:owner"]


TARGETS = {"targets": [{"version": 1, "weight": 100}]}
WAITING = {
    "deploy": ("POST", CART + "/versions", {"digest": DIGEST}),
    "deploy with approval": ("POST", CART + "/versions", {"digest": DIGEST, "approve": True}),
    "deploy all": (
        "POST",
        "/deployments",
        {"functions": [{"project": "shop", "function": "cart", "digest": DIGEST}]},
    ),
    "point": ("PUT", CART + "/aliases/old", TARGETS),
    "roll back": ("POST", CART + "/rollback", {"to": 1}),
    "remove": ("DELETE", CART, None),
    "remove a version": ("DELETE", CART + "/versions/1", None),
    "release": ("POST", CART + "/release", {"reason": "r"}),
    "claim routes": ("PUT", "/route-claims/shop", {"prefixes": ["/mine"], "hosts": []}),
}


@pytest.mark.parametrize("taken", ["token", "role", "project"])
@pytest.mark.parametrize("what", WAITING)
def test_a_change_that_had_to_wait_is_decided_again(
    deployed, control, parts, what: str, taken: str
) -> None:
    accounts, text = parts.accounts, "cm_dee"
    accounts.add(text, "owner")
    deployed("POST", CART + "/quarantine", json={"reason": "r"})

    def take() -> None:
        if taken == "token":
            del accounts.known[text]
        else:
            accounts.add(text, *(["owner@other"] if taken == "project" else []))

    before = dict(control.deployed)
    control.meanwhile = take
    method, path, body = WAITING[what]
    answer = deployed(method, path, key=text, json=body)
    assert answer.status_code == (401 if taken == "token" else 403)
    assert (control.deployed, control.claims) == (before, ())
    assert [one.principal for one in parts.denied] == ["token:dee"]


def test_an_approval_that_had_to_wait_is_decided_again(deployed, control, parts) -> None:
    parts.accounts.add("cm_dee", "developer", "operator")
    control.meanwhile = lambda: parts.accounts.add("cm_dee", "developer") and None
    answer = deployed("PUT", CART + "/aliases/live", key="cm_dee", json=TARGETS)
    assert answer.status_code == 403
    assert "grant:approve" in answer.json()["detail"]


def test_who_has_it_still_is_not_held_up(deployed, control, parts) -> None:
    parts.accounts.add("cm_dee", "developer@shop")
    control.meanwhile = lambda: parts.accounts.add("cm_dee", "developer") and None
    assert deployed("PUT", CART + "/aliases/live", key="cm_dee", json=TARGETS).status_code == 200


TWO = [{"project": "shop", "function": name} for name in ("cart", "mail")]


@pytest.mark.parametrize(
    ("roles", "approve", "status", "action"),
    [
        (("developer@shop",), False, 204, ""),
        (("developer@shop",), True, 403, "grant:approve"),
        (("developer@other",), False, 403, "function:deploy"),
        (("owner",), True, 204, ""),
    ],
)
def test_whether_a_deploy_is_allowed_is_decided_as_the_deploy_is(
    ask, parts, control, roles, approve: bool, status: int, action: str
) -> None:
    """One request, however many functions; a denial is recorded as one of the deploy."""
    key = parts.accounts.add("cm_dee", *roles)
    asked = {"functions": TWO, "approve": approve}
    assert ask("POST", "/deployments/check", key=key, json=asked).status_code == status
    together = {
        "functions": [{**one, "digest": DIGEST} for one in TWO],
        "approve": approve,
    }
    deployed = ask("POST", "/deployments", key=key, json=together)
    assert (deployed.status_code == 403) is (status == 403)
    assert [(one.action, one.function) for one in parts.denied] == [(action, "cart")] * (
        2 if action else 0
    )
    assert control.deployed == {}


PLANNED = [{"project": "shop", "spec": {"name": "cart", "handler": "app:handle"}}]


def test_what_is_in_the_way_is_told_of_what_is_planned(ask, control) -> None:
    asked = {"functions": TWO, "planned": PLANNED, "key": "0" * 64, "sigstore": True}
    answer = ask("POST", "/deployments/check", json=asked)
    assert (answer.status_code, answer.json()) == (200, {"obstacles": [], "forgets": []})
    [wanted] = control.planned
    assert (wanted.project, wanted.function, wanted.packages) == ("shop", "cart", False)
    ttl = Grant(kind=GrantKind.TABLE, name="items", actions=("forget items by their expires",))
    control.forgotten = [Forgets(function="shop/cart", grants=(ttl,))]
    [told] = ask("POST", "/deployments/check", json=asked).json()["forgets"]
    assert told["function"] == "shop/cart" and told["grants"][0]["actions"] == list(ttl.actions)
    refused = InvalidInputError("It is too large.", next_step="Make it smaller.")
    refused.about = "shop/cart"
    control.foreseen = [refused, QuotaError("Too much waits.")]
    assert ask("POST", "/deployments/check", json=asked).json()["obstacles"] == [
        {"function": "shop/cart", "message": "It is too large.", "next_step": "Make it smaller."},
        {"function": "", "message": "Too much waits.", "next_step": ""},
    ]
    assert control.deployed == {}


def test_who_may_not_deploy_learns_nothing_of_what_is_in_the_way(ask, parts, control) -> None:
    control.foreseen = [QuotaError("Too much waits.")]
    key = parts.accounts.add("cm_dee", "developer@shop/cart")
    asked = {"functions": TWO, "planned": PLANNED}
    answer = ask("POST", "/deployments/check", key=key, json=asked)
    assert answer.status_code == 403 and "Too much" not in answer.text
    assert control.planned == ()


def test_whose_something_is_is_told_who_may_see_that(ask, parts, control) -> None:
    """As where a deploy is refused for it."""
    strangers = ConflictError("It is taken.", next_step="Take another.")
    held = HeldByAnotherError(
        "It is other/secret's.", next_step="Ask.", strangers=strangers, project="other",
        function="secret",
    )  # fmt: skip
    held.about = "shop/cart"
    control.foreseen = [held]
    asked = {"functions": TWO, "planned": PLANNED}
    whole = ask("POST", "/deployments/check", json=asked).json()["obstacles"]
    assert whole[0]["message"] == "It is other/secret's."
    key = parts.accounts.add("cm_dee", "developer@shop")
    [told] = ask("POST", "/deployments/check", key=key, json=asked).json()["obstacles"]
    assert told == {
        "function": "shop/cart", "message": "It is taken.", "next_step": "Take another.",
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"planned": [{"project": "shop", "spec": {"name": "other", "handler": "app:handle"}}]},
        {"planned": [{"project": "other", "spec": {"name": "cart", "handler": "app:handle"}}]},
        {"planned": [{"project": "shop", "spec": {"name": "cart"}}]},
        {"planned": PLANNED * 101},
        {"planned": [{**PLANNED[0], "bundle": "x"}]},
        {"planned": PLANNED, "key": "short"},
    ],
)
def test_what_is_planned_is_read_strictly(ask, control, wrong) -> None:
    answer = ask("POST", "/deployments/check", json={"functions": TWO, **wrong})
    assert answer.status_code in (400, 422), answer.text
    assert control.planned == ()


def test_so_many_plans_are_looked_at_at_the_same_time(ask, parts) -> None:
    parts.service.foreseen.free = 0
    asked = {"functions": TWO, "planned": PLANNED}
    assert ask("POST", "/deployments/check", json=asked).status_code == 429
    assert ask("POST", "/deployments/check", json={"functions": TWO}).status_code == 204


def test_a_plan_that_is_too_large_is_not_read(ask, control) -> None:
    asked = {"functions": TWO, "planned": PLANNED, "more": "x" * (5 << 20)}
    assert ask("POST", "/deployments/check", json=asked).status_code == 413


def test_what_a_client_refused_is_recorded_by_who_may_deploy_and_never_in_its_words(
    ask, parts
) -> None:
    key = parts.accounts.add("cm_dee", "developer@shop")
    told = {"functions": [*TWO, TWO[0]], "kind": "licence"}
    assert ask("POST", "/deployments/refused", key=key, json=told).status_code == 204
    assert [(one.by, one.kind.value, one.resource) for one in parts.denied] == [
        ("token:dee", "licence", "function:shop/cart"),
        ("token:dee", "licence", "function:shop/mail"),
    ]
    parts.denied.clear()
    for wrong in ({"kind": "injection"}, {"reason": "x"}, {"functions": TWO * 51}):
        answer = ask("POST", "/deployments/refused", key=key, json={**told, **wrong})
        assert answer.status_code in (400, 422), wrong
    assert parts.denied == []
    other = parts.accounts.add("cm_eve", "developer@other")
    assert ask("POST", "/deployments/refused", key=other, json=told).status_code == 403
    assert [one.kind.value for one in parts.denied] == ["authorization"]
