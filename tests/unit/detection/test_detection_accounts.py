"""What an account does with several tokens counts as done by one."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.detection import over, shipped_rules, shipped_texts
from casemate.detection.documents import Map, read_documents
from casemate.drills.recorded import events_of

DOCUMENTS: dict[str, Map] = {
    document["name"]: document
    for data, name in shipped_texts()
    for document in read_documents(data, name)
}
OPERATION = "OperationPerformed"
BY_PLACE = {"token-from-new-addresses"}
"""What is counted are places from which one token is used, so that each token is told apart."""


def parts_of(document: Map) -> set[str]:
    """Return the facts that a correlation counts."""
    found = set()
    for part in document["correlation"]["rules"]:
        chosen = DOCUMENTS[part].get("detection", {}).get("selection", {})
        found.add(str(chosen.get("metadata.event_code")))
    return found


def split(operation: str, times: int, **about: Any) -> list[dict[str, Any]]:
    """Return events of one operation, done with two tokens of one account in turns."""
    base = {"account": "user:mallory", "remote_address": "203.0.113.9", "project": "shop"}
    return list(
        events_of(
            [
                {OPERATION: {**base, **about, "operation": operation, "by": f"token:{n % 2}"}}
                for n in range(times)
            ]
        )
    )


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


def test_no_rule_counts_operations_by_the_token_that_was_used() -> None:
    by_token = {
        name
        for name, document in DOCUMENTS.items()
        if "correlation" in document
        and OPERATION in parts_of(document)
        and "actor.user.name" in document["correlation"]["group-by"]
    }
    assert by_token == BY_PLACE
