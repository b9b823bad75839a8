"""Whose account what a token does is counted for: told with the fact, as rules count by it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from casemate.facts import FactStream
from casemate.model.facts import Accountable
from casemate.model.principal import PrincipalKind
from casemate.recorder.ocsf import KINDS

_TOKEN = f"{PrincipalKind.TOKEN.value}:"


def tell_accounts(facts: FactStream, answerable: Callable[[str], str]) -> None:
    """Have facts of all kinds that are counted by account say who answers for the token."""

    def told(fact: Accountable) -> Accountable:
        if not fact.by.startswith(_TOKEN):
            return fact
        account = answerable(fact.by)
        return fact if account == fact.by else msgspec.structs.replace(fact, account=account)

    for kind in KINDS:
        if issubclass(kind, Accountable):
            facts.restate(kind, told)
