"""Several changes of accounts in one transaction: all or none."""

from __future__ import annotations

from typing import Any

from casemate.operations.accounts import AcceptTotpStep, ChangeAccounts, UseOnce
from casemate.operations.performing import DirectPerformers
from casemate.sqlite import engine
from casemate.store.errors import UsedBeforeError
from casemate.store.sqlite import accounts, policies, used_once

_BY_TYPE = {
    **accounts.performs.by_type,
    **policies.performs.by_type,
    **used_once.performs.by_type,
}

performs = DirectPerformers()


@performs(ChangeAccounts)
def change(connection: engine.Connection, operation: ChangeAccounts) -> tuple[Any, ...]:
    """Make them in their order. Raises UsedBeforeError, and what each of them raises."""
    answers = []
    for each in operation.changes:
        answer = _BY_TYPE[type(each)](connection, each)
        if answer is False and isinstance(each, AcceptTotpStep | UseOnce):
            raise UsedBeforeError
        answers.append(answer)
    return tuple(answers)
