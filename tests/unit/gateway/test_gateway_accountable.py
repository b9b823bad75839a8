"""What a token does is told with who answers for it, of all kinds that rules count by account."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from casemate.facts import FactStream
from casemate.gateway.accountable import tell_accounts
from casemate.model.denial import Denial, DenialKind
from casemate.model.facts import (
    Accountable,
    Actor,
    Fact,
    FunctionRemoved,
    GrantsApproved,
    OperationPerformed,
    VersionDeployed,
)
from casemate.recorder import ocsf
from casemate.recorder.folding import OTHERS, Folding

ABOUT = {"at": 1.0, "remote_address": "192.0.2.7", "project": "shop", "function": "pay"}
MAKERS = {"token:a": "user:mallory", "token:b": "user:mallory"}


def denial(**fields: Any) -> Denial:
    about = {"action": "secret:read", "resource": "secret:shop/x", "reason": "no policy allows it"}
    return Denial(**{**ABOUT, **about, "kind": DenialKind.AUTHORIZATION, **fields})


def of_each_kind(by: str) -> list[Accountable]:
    return [
        denial(by=by),
        OperationPerformed(**ABOUT, by=by, operation="addUser", effect="change"),
        VersionDeployed(**ABOUT, by=by, digest="ab"),
        FunctionRemoved(**ABOUT, by=by),
        GrantsApproved(**ABOUT, by=by, added=("bucket:read photos",)),
    ]


def unmapped(fact: Fact) -> dict[str, Any]:
    found = msgspec.json.decode(ocsf.event(fact, 1, "1-1"))
    assert found["actor"]["user"]["name"] == (fact.by or "node")
    own: dict[str, Any] = found["unmapped"]
    return own


def told(facts: list[Accountable]) -> list[Any]:
    stream, heard = FactStream(), list[Any]()
    tell_accounts(stream, lambda caller: MAKERS.get(caller, caller))
    for fact in facts:
        stream.listen(type(fact), heard.append)
        stream.happened(fact)
    return heard


def test_all_that_rules_count_by_account_are_tried_here() -> None:
    counted = {kind for kind in ocsf.KINDS if issubclass(kind, Accountable)}
    assert {type(fact) for fact in of_each_kind("token:a")} == counted


def test_who_made_a_token_is_told_with_what_it_did() -> None:
    for fact in told(of_each_kind("token:a")):
        assert (fact.by, fact.account) == ("token:a", "user:mallory"), type(fact)
        assert unmapped(fact)["account"] == "user:mallory", type(fact)


@pytest.mark.parametrize(
    "by", ["user:ada", "token:of-the-node", "anonymous:public", "function:shop/pay", ""]
)
def test_what_others_do_is_counted_for_themselves(by: str) -> None:
    facts = of_each_kind(by)
    assert told(facts) == facts
    for fact in facts:
        assert unmapped(fact)["account"] == (by or "node"), type(fact)


def test_a_denial_in_an_answer_names_no_account() -> None:
    assert b"account" not in msgspec.json.encode(denial(by="token:a"))


def test_those_that_stand_for_many_are_counted_for_nobody() -> None:
    folding = Folding()
    for number in range(600):
        folding.passes(
            denial(by="token:a", account="user:mallory", resource=f"secret:shop/{number}")
        )
    rest = [fact for fact, _ in folding.close_window() if fact.by == OTHERS]
    assert rest
    assert {unmapped(fact)["account"] for fact in rest} == {OTHERS}


def test_an_account_that_cannot_be_told_keeps_nothing_from_being_heard() -> None:
    stream, heard = FactStream(), list[Any]()

    def fail(_: str) -> str:
        raise RuntimeError("the accounts cannot be read")

    tell_accounts(stream, fail)
    stream.listen(Denial, heard.append)
    stream.happened(denial(by="token:a"))
    assert unmapped(heard[0])["account"] == "token:a"


def test_of_no_project_and_of_which_account_are_both_told() -> None:
    stream, heard = FactStream(), list[Any]()
    stream.restate(Denial, lambda fact: msgspec.structs.replace(fact, project=""))
    tell_accounts(stream, lambda caller: MAKERS.get(caller, caller))
    stream.listen(Denial, heard.append)
    stream.happened(denial(by=Actor("token:b", "").principal))
    assert (heard[0].project, heard[0].account) == ("", "user:mallory")
