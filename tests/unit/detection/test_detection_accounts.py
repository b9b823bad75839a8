"""What an account does with several tokens counts as done by one."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.detection import over, shipped_rules, shipped_texts
from casemate.detection.documents import Map, read_documents
from casemate.drills.recorded import events_of
from casemate.model.facts import Accountable
from casemate.recorder import ocsf

DOCUMENTS: dict[str, Map] = {
    document["name"]: document
    for data, name in shipped_texts()
    for document in read_documents(data, name)
}
OPERATION = "OperationPerformed"
ACCOUNTABLE = {kind.__name__ for kind in ocsf.KINDS if issubclass(kind, Accountable)}
BY_PLACE = {"token-from-new-addresses", "deployed-from-many-addresses"}
"""What is counted are places from which one token is used, so that each token is told apart."""
WITHOUT = {"request", "authentication"}
"""Denials that come before it is known whose token it is, if there is one."""


def parts_of(document: Map) -> set[str]:
    """Return the facts that a correlation counts, also by what it is made of."""
    found = set[str]()
    for part in document["correlation"]["rules"]:
        if "correlation" in DOCUMENTS[part]:
            found |= parts_of(DOCUMENTS[part])
            continue
        chosen = DOCUMENTS[part].get("detection", {}).get("selection", {})
        codes, kind = chosen.get("metadata.event_code"), chosen.get("unmapped.kind")
        if kind not in WITHOUT:
            found |= set(codes if isinstance(codes, list) else [str(codes)])
    return found


def split_up(kind: str, times: int, about: Map) -> list[dict[str, Any]]:
    """Return events of one kind, with as many tokens of one account; `{n}` is which it is."""
    base = {"account": "user:mallory", "remote_address": "203.0.113.9", "project": "shop"}
    return list(events_of([{kind: {**base, "by": "token:{n}", **about}, "times": times}]))


def split(operation: str, times: int, **about: Any) -> list[dict[str, Any]]:
    """Return events of one operation, done with as many tokens of one account."""
    return split_up(OPERATION, times, {**about, "operation": operation})


DENIED = {"kind": "authorization", "reason": "no policy allows it"}
OTHER_KINDS: list[tuple[str, int, dict[str, Any], str]] = [
    ("Denial", 3, {**DENIED, "action": "secret:read", "resource": "secret:shop/{n}"},
     "secrets-enumerated"),
    ("Denial", 6, {**DENIED, "action": "secret:list", "resource": "secret:shop/{n}"},
     "secrets-enumerated-slowly"),
    ("Denial", 5, {**DENIED, "action": "table:get", "resource": "table:shop/{n}"},
     "data-read-denied"),
    ("Denial", 8, {**DENIED, "action": "a:{n}", "resource": "node"}, "rights-probed"),
    ("Denial", 10, {**DENIED, "action": "a:b", "resource": "table:shop/{n}"}, "resources-probed"),
    ("Denial", 5, {**DENIED, "action": "log:read", "resource": "node"}, "records-denied"),
    ("Denial", 4, {"kind": "grants", "function": "pay", "action": "function:deploy",
                   "resource": "function:shop/pay", "reason": "wider"}, "wider-grants-tried"),
    ("Denial", 5, {"kind": "load", "function": "f{n}", "action": "function:invoke",
                   "resource": "function:shop/f{n}", "reason": "busy"}, "flood-over-functions"),
    ("VersionDeployed", 20, {"function": "f{n}", "version": 1, "digest": "d"},
     "many-functions-replaced"),
    ("FunctionRemoved", 5, {"function": "f{n}"}, "functions-removed-fast"),
    ("GrantsApproved", 10, {"function": "pay", "version": 1, "added": ["bucket:read a"]},
     "approvals-fast"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "effect", "times", "rule"),
    [
        ("deleteItem", "change", 60, "items-deleted-by-hand"),
        ("deleteObject", "change", 60, "objects-deleted-by-hand"),
        ("writeItem", "change", 220, "items-replaced-by-hand"),
        ("putObject", "change", 220, "objects-replaced-by-hand"),
        ("deleteSecret", "destroy", 4, "secrets-deleted"),
        ("dropTable", "destroy", 6, "mass-destruction"),
        ("putSecret", "change", 12, "secrets-set-fast"),
        ("addUser", "change", 6, "users-added-fast"),
        ("resetUser", "change", 4, "factors-reset-fast"),
        ("removeUser", "destroy", 6, "people-locked-out"),
        ("addToken", "change", 12, "tokens-made-fast"),
    ],
)
def test_two_tokens_of_one_account_have_one_threshold(
    operation: str, effect: str, times: int, rule: str
) -> None:
    events = split(operation, times, effect=effect)
    assert rule in {found.rule for found in over(events, shipped_rules())}


def test_accounts_that_have_nothing_in_common_are_counted_apart() -> None:
    events = split("deleteItem", 60, effect="change")
    for number, event in enumerate(events):
        event["unmapped"]["account"] = f"user:{number % 2}"
    found = {each.rule for each in over(events, shipped_rules())}
    assert "items-deleted-by-hand" not in found


@pytest.mark.parametrize(("kind", "times", "about", "rule"), OTHER_KINDS)
def test_so_have_as_many_tokens_that_are_denied_something_deploy_or_remove(
    kind: str, times: int, about: dict[str, Any], rule: str
) -> None:
    events = split_up(kind, times, about)
    assert rule in {found.rule for found in over(events, shipped_rules())}
    for number, event in enumerate(events):
        event["unmapped"]["account"] = f"user:{number}"
    assert rule not in {found.rule for found in over(events, shipped_rules())}


@pytest.mark.parametrize(
    ("first", "then", "rule"),
    [
        ("VersionDeployed", "FunctionRemoved", "function-there-and-gone"),
        ("Denial", "GrantsApproved", "refused-then-approved"),
    ],
)
def test_one_token_begins_and_another_of_its_account_ends(first: str, then: str, rule: str) -> None:
    own: dict[str, dict[str, Any]] = {
        "VersionDeployed": {"digest": "d"},
        "FunctionRemoved": {},
        "GrantsApproved": {"added": ["bucket:read a"]},
        "Denial": {"kind": "grants", "action": "function:deploy", "reason": "wider"}
        | {"resource": "function:shop/pay"},
    }
    of_pay = {"function": "pay", "version": 1}
    events = split_up(first, 1, {**of_pay, **own[first]})
    later = split_up(then, 1, {**of_pay, **own[then], "by": "token:other"})
    found = over([*events, *later], shipped_rules())
    assert rule in {each.rule for each in found}


def test_no_rule_counts_by_the_token_that_was_used() -> None:
    by_token = {
        name
        for name, document in DOCUMENTS.items()
        if "correlation" in document
        and ACCOUNTABLE & parts_of(document)
        and "actor.user.name" in document["correlation"]["group-by"]
    }
    assert by_token == BY_PLACE
