"""That the policy's table of rules and the declared operations say the same, or no node starts."""

from __future__ import annotations

from collections.abc import Iterable

from casemate.model.principal import Action, PrincipalKind, ResourceKind
from casemate.operations.declaration import On, on_chosen, on_project
from casemate.operations.errors import DeclarationError
from casemate.operations.form import Form
from casemate.policy.actions import CAPABILITY, RULES, Rule

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
    rule = RULES.get(action)
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
