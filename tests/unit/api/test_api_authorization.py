"""What may be done over the API is decided before it is done, and what was not is recorded."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from api_fake_control import GUEST_TEXT, OWNER_TEXT, WIDE, WIDE_DIGEST, log_line
from test_api_records import invocation

from casemate.api.app import OPERATIONS
from casemate.model.denial import Denial, DenialKind
from casemate.model.invocation import ErrorRecord, Outcome
from casemate.model.principal import Action

DIGEST = "a" * 64
GZIP = {"content-type": "application/gzip"}

UNDECIDED = {
    "health": "open to everybody; tells that the node answers",
    "ready": "open to everybody; tells whether the node can serve",
    "login": "gets a credential",
    "beginOidcLogin": "gets a credential",
    "oidcLogin": "gets a credential",
    "workloadLogin": "gets a credential",
    "beginEnrolment": "needs a code that is used once",
    "confirmEnrolment": "needs a code that is used once",
    "openapi": "describes the API, the same for every node",
    "logout": "ends the caller's own session",
    "whoami": "shows the caller itself",
    "vaultKey": "a public key, to which values are sealed on their way in",
}
"""Operations that nothing is decided for, and why that is right."""
DECIDED_INSIDE = {
    "listFunctions": "each function that is listed",
    "hasBundle": "who may deploy anything",
    "putBundle": "who may deploy anything",
    "addBuilderKey": "who may deploy anything, for a key of their own",
    "putAttestation": "who may deploy anything",
    "listBuilderKeys": "each key that is listed",
    "revokeBuilderKey": "the key's owner",
    "showInvocation": "the function of the record",
    "showError": "the function of the record",
    "showTrace": "the function of each record",
    "listBuckets": "each that is listed",
    "listTables": "each that is listed",
    "listQueues": "each that is listed",
    "listDeadLetterPlaces": "each that is listed",
    "listSources": "the function of each that is listed",
    "listSecrets": "each project that is listed",
    "putSecrets": "each secret that is named",
    "listTokens": "each token that is listed",
    "decide": "whether it is about the caller or about others",
    "addToken": "each role that is given",
    "deployFunctions": "each function that is named",
    "checkDeploy": "each function that is named",
    "noteRefusedDeploy": "each function that is named",
    "revokeToken": "the token's owner",
    "restrict": "the function, project or node that is named",
    "liftRestriction": "the function, project or node that it is of",
}
"""Operations that decide themselves, and for what."""


def test_every_operation_has_an_action_or_a_reason_for_having_none() -> None:
    without = {o.id for o in OPERATIONS if o.action is None}
    assert without == set(UNDECIDED) | set(DECIDED_INSIDE)
    assert not set(UNDECIDED) & set(DECIDED_INSIDE)


def test_what_needs_no_credential_has_no_action() -> None:
    assert all(o.action is None for o in OPERATIONS if not o.authenticated)


def test_what_changes_something_asks_for_more_than_reading() -> None:
    reading = {a for a in Action if a.value.rpartition(":")[2] in ("read", "list", "get", "query")}
    for operation in OPERATIONS:
        if operation.method in ("PUT", "DELETE") and operation.action is not None:
            assert operation.action not in reading, operation.id


def test_no_action_guards_both_reading_and_destroying() -> None:
    """Nor does a right over one thing in a container cover the container."""
    destroying = {o.action: o.id for o in OPERATIONS if o.method == "DELETE" or "purge" in o.path}
    for operation in OPERATIONS:
        if operation.action in destroying and operation.action is not None:
            assert operation.method != "GET", (operation.id, destroying[operation.action])
    for operation in OPERATIONS:
        if operation.id.startswith("drop"):
            assert operation.action is not None
            assert operation.action.value.endswith(":drop")
            others = [o.id for o in OPERATIONS if o.action is operation.action]
            assert all(other.startswith("drop") for other in others), others


def test_the_decision_comes_before_the_body_and_the_look_up(ask, control) -> None:
    async def body():
        raise AssertionError("read")
        yield b""

    for path in ("/functions/shop/cart", "/functions/no/such"):
        response = ask("POST", path + "/versions", key=GUEST_TEXT, content=body())
        assert response.status_code == 403
        assert ask("GET", path, key=GUEST_TEXT).status_code == 403
    assert control.asked_by == []


def test_a_denial_names_what_was_wanted(ask, parts) -> None:
    response = ask("DELETE", "/functions/shop/cart", key=GUEST_TEXT)
    assert response.status_code == 403
    assert "token:guest" in response.json()["detail"] and response.json()["next_step"]
    [denial] = parts.denied
    assert (denial.action, denial.resource) == ("function:remove", "function:shop/cart")
    assert (denial.project, denial.function) == ("shop", "cart")


@pytest.mark.parametrize("fault", [RuntimeError("s3cr3t"), KeyError("s3cr3t"), MemoryError()])
def test_a_fault_of_the_policy_denies(ask, parts, control, monkeypatch, fault) -> None:
    def broken(*_: object, **__: object) -> bool:
        raise fault

    monkeypatch.setattr(type(parts.policy), "allows", broken)
    for method, path in (("DELETE", "/functions/shop/cart"), ("PUT", "/bundles/" + DIGEST)):
        response = ask(method, path)
        assert response.status_code == 500 and "s3cr3t" not in response.text
    assert control.asked_by == [] and control.bundles == {}


def test_a_fault_of_the_record_denies(ask, parts, control) -> None:
    def broken(_: Denial) -> None:
        raise OSError("disk full")

    parts.facts.listen(Denial, broken)
    assert ask("DELETE", "/functions/shop/cart", key=GUEST_TEXT).status_code == 403
    assert control.asked_by == []
    object.__setattr__(parts.service, "facts", SimpleNamespace(happened=broken))
    assert ask("DELETE", "/functions/shop/cart", key=GUEST_TEXT).status_code == 500
    assert control.asked_by == []


# -- bundles -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("owner", True),
        ("developer", True),
        ("developer@shop", True),
        ("developer@shop/cart", True),
        ("owner@shop", True),
        ("operator", False),
        ("auditor", False),
        ("invoker", False),
        ("invoker@shop", False),
        ("auditor@shop/cart", False),
    ],
)
def test_a_bundle_needs_someone_who_may_deploy(ask, parts, control, role, allowed) -> None:
    key = parts.accounts.add("cm_some", role)
    control.bundles["c" * 64] = b"x"
    assert ask("HEAD", "/bundles/" + "c" * 64, key=key).status_code == (200 if allowed else 403)
    assert ask("HEAD", "/bundles/" + DIGEST, key=key).status_code == (404 if allowed else 403)
    response = ask("PUT", "/bundles/" + DIGEST, key=key, content=b"x", headers=GZIP)
    assert response.status_code == (201 if allowed else 403)
    assert (DIGEST in control.bundles) is allowed
    assert [d.action for d in parts.denied] == ([] if allowed else ["function:deploy"] * 3)


def test_the_body_of_a_bundle_is_not_read_before(ask, parts) -> None:
    async def body():
        raise AssertionError("read")
        yield b""

    key = parts.accounts.add("cm_some", "operator")
    response = ask("PUT", "/bundles/" + DIGEST, key=key, content=body(), headers=GZIP)
    assert response.status_code == 403


@pytest.mark.parametrize("rest", ["NO-DIGEST", "e" * 64 + "?all=true", "e" * 64 + "?a=1&a=2"])
def test_who_may_not_deploy_is_told_nothing_of_a_wrong_request(ask, parts, rest) -> None:
    key = parts.accounts.add("cm_some", "auditor")
    for method in ("HEAD", "PUT"):
        assert ask(method, "/bundles/" + rest, key=key, content=b"x").status_code == 403
        assert ask(method, "/bundles/" + rest, content=b"x").status_code == 400


# -- deploys that widen --------------------------------------------------------------------------


def test_approving_needs_a_right_of_its_own(ask, parts, control) -> None:
    control.bundles[WIDE_DIGEST] = b"x"
    path = "/functions/shop/cart/versions"
    developer = parts.accounts.add("cm_dev", "developer")
    stopped = ask("POST", path, key=developer, json={"digest": WIDE_DIGEST})
    assert stopped.status_code == 409
    assert stopped.json()["grants"]["widening"][0]["name"] == WIDE.name
    body = {"digest": WIDE_DIGEST, "approve": True}
    assert ask("POST", path, key=developer, json=body).status_code == 403
    assert [(d.action, d.resource) for d in parts.denied] == [
        ("grant:approve", "function:shop/cart")
    ]
    assert control.deployed == {}
    assert ask("POST", path, json=body).status_code == 201
    assert control.asked_by == ["token:owner"]


def test_only_true_is_an_approval(ask, control) -> None:
    for value in (1, "true", "yes", None, []):
        body = {"digest": WIDE_DIGEST, "approve": value}
        assert ask("POST", "/functions/shop/cart/versions", json=body).status_code == 400
    assert control.deployed == {}


# -- what is shown -------------------------------------------------------------------------------


@pytest.fixture
def three(ask, control):
    """Three functions in two projects."""
    control.bundles[DIGEST] = b"x"
    for name in ("shop/cart", "shop/mail", "bank/pay"):
        assert ask("POST", f"/functions/{name}/versions", json={"digest": DIGEST}).is_success
    return ask


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        ("owner", ["bank/pay", "shop/cart", "shop/mail"]),
        ("auditor", ["bank/pay", "shop/cart", "shop/mail"]),
        ("developer@shop", ["shop/cart", "shop/mail"]),
        ("developer@shop/cart", ["shop/cart"]),
        ("developer@other", []),
    ],
)
def test_lists_show_only_what_may_be_read(three, parts, role, seen) -> None:
    key = parts.accounts.add("cm_some", role)
    listed = three("GET", "/functions", key=key).json()["functions"]
    assert [f"{f['project']}/{f['name']}" for f in listed] == seen
    assert parts.denied == []
    for name in ("shop/cart", "shop/mail", "bank/pay"):
        expected = 200 if name in seen else 403
        assert three("GET", f"/functions/{name}", key=key).status_code == expected
    # What is there looks like what is not to who may read neither.
    answers = [three("GET", f"/functions/{name}", key=key) for name in ("bank/pay", "bank/nothing")]
    if "bank/pay" not in seen:
        assert {a.status_code for a in answers} == {403}


def test_records_are_shown_to_who_may_read_their_scope(ask, parts, control) -> None:
    control.invocation_records = [invocation(1)]
    control.lines = [log_line(1)]
    control.denial_records = [
        Denial(
            at=1.0,
            kind=DenialKind.CAPABILITY,
            by="function:shop/cart",
            action="bucket:read",
            resource="bucket:shop/uploads",
            reason="not granted",
            project="shop",
            function="cart",
        )
    ]
    key = parts.accounts.add("cm_some", "auditor@shop", "developer@bank")
    for path in ("/invocations", "/logs", "/denials"):
        # Without a scope it would be those of every project.
        assert ask("GET", path, key=key).status_code == 403
        assert ask("GET", path + "?project=other", key=key).status_code == 403
        assert ask("GET", path + "?project=other&function=cart", key=key).status_code == 403
        # A function without its project is of none.
        assert ask("GET", path + "?function=cart", key=key).status_code in (400, 403)
    for path in ("/invocations", "/denials"):
        assert ask("GET", path + "?project=shop", key=key).status_code == 200
        assert ask("GET", path + "?project=shop&function=cart", key=key).status_code == 200
    assert ask("GET", "/denials?project=shop", key=key).json()["denials"][0]["action"]


def test_a_scope_is_not_told_twice(ask, parts) -> None:
    """What the decision reads of a query is what the operation reads."""
    key = parts.accounts.add("cm_some", "auditor@shop")
    for query in ("project=shop&project=bank", "project=bank&project=shop", "project=shop%00"):
        assert ask("GET", f"/invocations?{query}", key=key).status_code == 400


def test_a_single_record_is_shown_to_who_may_read_its_function(ask, parts, control) -> None:
    control.invocation_records = [invocation(1)]
    control.error_records["err_1"] = ErrorRecord(
        id="err_1",
        invocation="inv_1",
        project="shop",
        function="cart",
        version=1,
        outcome=Outcome.HANDLER_ERROR,
        at=1.0,
        type="KeyError",
        message="s3cr3t",
        trace="s3cr3t",
    )
    good = parts.accounts.add("cm_good", "developer@shop")
    bad = parts.accounts.add("cm_bad", "developer@bank", "invoker")
    for path in ("/invocations/inv_1", "/errors/err_1"):
        assert ask("GET", path, key=good).status_code == 200
        response = ask("GET", path, key=bad)
        assert response.status_code == 404 and "s3cr3t" not in response.text
    assert [d.action for d in parts.denied] == ["invocation:read", "error:read"]


def test_a_record_of_another_project_looks_like_none(ask, parts, control) -> None:
    control.invocation_records = [invocation(1)]
    bad = parts.accounts.add("cm_bad", "developer@bank")
    there, not_there = (ask("GET", f"/invocations/inv_{n}", key=bad) for n in (1, 2))
    assert there.status_code == not_there.status_code
    assert "shop" not in there.text


def test_nobody_reads_as_somebody_else(ask, parts) -> None:
    """No header, query or path names the principal; the token alone does."""
    for headers in (
        {"x-casemate-principal": "token:owner"},
        {"x-forwarded-user": "owner"},
        {"cookie": f"token={OWNER_TEXT}"},
        {"proxy-authorization": f"Bearer {OWNER_TEXT}"},
    ):
        assert ask("GET", "/node", key=GUEST_TEXT, headers=headers).status_code == 403
    assert ask("GET", f"/node?access_token={OWNER_TEXT}", key=GUEST_TEXT).status_code == 403
