"""Every declared operation asks for what the policy's table of rules allows somebody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from casemate.model.principal import Action, PrincipalKind, ResourceKind
from casemate.operations.catalogue import FORMS
from casemate.operations.declaration import (
    Decided,
    Declaration,
    On,
    Operation,
    on,
    on_chosen,
    on_project,
)
from casemate.operations.errors import DeclarationError
from casemate.operations.fields import Name
from casemate.operations.form import Form, form_of
from casemate.policy import actions
from casemate.policy.actions import CAPABILITY, Rule

_CHOSEN = frozenset({ResourceKind.NODE, ResourceKind.PROJECT, ResourceKind.FUNCTION})


def require_agreement(forms: Iterable[Form]) -> None:
    """Raise DeclarationError for an operation that no rule, or another one, is for."""
    for form in forms:
        if form.declared.action is not None:
            _require_rule(form, form.declared.action)
        if form.declared.anywhere is not None:
            _rule_of(form, form.declared.anywhere)


def _require_rule(form: Form, action: Action) -> None:
    name, rule = form.kind.__name__, _rule_of(form, action)
    for kind in _kinds(form):
        if kind not in rule.resources:
            raise DeclarationError(f"{name} asks for {action.value} on a {kind.value}.")
    if form.declared.capability and not (
        PrincipalKind.FUNCTION in rule.principals and CAPABILITY in rule.groups
    ):
        raise DeclarationError(f"{name} is for functions, which {action.value} is not for.")


def _rule_of(form: Form, action: Action) -> Rule:
    rule = actions.RULES.get(action)
    if rule is None:
        raise DeclarationError(
            f"{form.kind.__name__} needs {action.value}, for which there is no rule."
        )
    return rule


def _kinds(form: Form) -> frozenset[ResourceKind]:
    scope = form.declared.on
    if isinstance(scope, On):
        return frozenset({scope.kind})
    if scope is on_project:
        return frozenset({ResourceKind.PROJECT})
    return _CHOSEN if scope is on_chosen else frozenset({ResourceKind.NODE})


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
    monkeypatch.setattr(actions, "RULES", rules)
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
