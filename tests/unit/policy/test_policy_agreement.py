"""An operation that the policy's rules do not cover is refused before a node starts."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.model.principal import Action, ResourceKind
from casemate.operations.catalogue import FORMS
from casemate.operations.declaration import Decided, Declaration, Operation, on
from casemate.operations.errors import DeclarationError
from casemate.operations.fields import Name
from casemate.operations.form import form_of
from casemate.policy import actions
from casemate.policy.agreement import require_agreement


def test_every_operation_has_its_rule() -> None:
    require_agreement(FORMS)


class _Base(Operation[None], frozen=True, kw_only=True):
    """Do something."""

    project: Name
    bucket: Name


def refused(declared: Declaration) -> str:
    made: Any = type("Made", (_Base,), {"declared": declared, "__doc__": "Do."}, frozen=True)
    with pytest.raises(DeclarationError) as caught:
        require_agreement([form_of(made)])
    return str(caught.value)


def test_an_action_without_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {a: r for a, r in actions.RULES.items() if a is not Action.BUCKET_READ}
    monkeypatch.setattr("casemate.policy.agreement.RULES", rules)
    declared = Declaration(action=Action.BUCKET_READ, on=on(ResourceKind.BUCKET))
    assert "no rule" in refused(declared)
    somewhere = Declaration(decided=Decided.FOR_EACH, anywhere=Action.BUCKET_READ)
    assert "no rule" in refused(somewhere)


def test_an_action_on_a_resource_that_it_is_not_for() -> None:
    declared = Declaration(action=Action.TABLE_GET, on=on(ResourceKind.BUCKET))
    assert "on a bucket" in refused(declared)


def test_an_action_that_functions_have_not() -> None:
    declared = Declaration(
        action=Action.BUCKET_DROP, on=on(ResourceKind.BUCKET), capability="bucket.drop"
    )
    assert "for functions" in refused(declared)
