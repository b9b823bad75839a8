"""Every operation of a node, and what must hold among them; what does not fit does not build."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from casemate.model.principal import Action
from casemate.operations import (
    access,
    accounts,
    advisories,
    attestations,
    backup,
    baselines,
    budgets,
    bundles,
    check,
    decoys,
    delivery,
    deployments,
    error_groups,
    evidence,
    findings,
    functions,
    grants,
    inboxes,
    incidents,
    invocations,
    items,
    journal,
    leases,
    login,
    messages,
    metrics,
    node,
    node_audit,
    nodes,
    objects,
    oidc,
    playbooks,
    policies,
    positions,
    quarantine,
    recordings,
    records,
    resources,
    restrictions,
    rotations,
    routes,
    secrets,
    signing,
    sources,
    tokens,
    traces,
    trials,
    triggers,
    usage,
    users,
    uses,
    vault,
    workloads,
)
from casemate.operations.declaration import Decided, Effect, Operation
from casemate.operations.errors import DeclarationError
from casemate.operations.form import Form, form_of

MODULES: tuple[ModuleType, ...] = (
    *(node, nodes, node_audit, access, check, backup),
    *(functions, trials, quarantine, advisories, triggers, grants, baselines),
    *(sources, bundles, signing),
    records,
    traces,
    metrics,
    usage,
    budgets,
    error_groups,
    recordings,
    *(journal, findings, incidents, playbooks, evidence, restrictions),
    rotations,
    delivery,
    routes,
    *(objects, items, messages, uses),
    *(resources, leases, inboxes, invocations, positions),
    *(deployments, accounts, attestations),
    *(login, users, tokens, oidc, workloads),
    *(policies, secrets, decoys, vault),
)


def operations_of(module: ModuleType) -> tuple[type[Operation[Any]], ...]:
    """Return the operations that a module declares, in its order."""
    return tuple(
        found
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, Operation)
        and found.__module__ == module.__name__
        and "declared" in vars(found)
    )


def checked(kinds: Iterable[type[Operation[Any]]]) -> tuple[Form, ...]:
    """Return the forms of operations; DeclarationError names what does not agree."""
    forms = tuple(map(form_of, kinds))
    for form in forms:
        _require_sound(form)
    _require_unique("HTTP method and path", [_shape(f) for f in forms if f.declared.http])
    _require_unique("name of a capability", [n for f in forms if (n := f.declared.capability)])
    _require_unique("id", [form.id for form in forms])
    _require_one_effect(forms)
    return forms


def require_readable(forms: Iterable[Form]) -> None:
    """Raise DeclarationError where the type of a field of operations cannot be read.

    By what writes the reference, and so by `make lint`: for a start of a node it takes too long.
    """
    for form in forms:
        form.fields, form.body  # noqa: B018


def _require_sound(form: Form) -> None:
    declared, name = form.declared, form.kind.__name__
    if (declared.action is None) == (declared.decided is None):
        raise DeclarationError(
            f"{name} declares an action and that there is none, or neither; expected one of them."
        )
    reached = bool(declared.http or declared.capability)
    if declared.decided is Decided.INSIDE and reached:
        raise DeclarationError(f"{name} is the node's own and can be reached from outside.")
    if declared.decided is not Decided.INSIDE and not reached:
        raise DeclarationError(f"{name} cannot be reached by anything.")
    named = {*form.in_path, declared.content, declared.key, *declared.inside, *declared.secret}
    named -= {""}
    if missing := named.difference(form.names):
        found = ", ".join(sorted(missing))
        raise DeclarationError(f"{name} names fields that it has not: {found}.")
    if shown := declared.secret & {*form.in_path, *form.in_query}:
        raise DeclarationError(f"{name} has a secret in its address: {', '.join(sorted(shown))}.")
    if declared.http and not form.required.issuperset(form.in_path):
        raise DeclarationError(f"{name} has a field in its path that need not be given.")
    if declared.capability and "project" not in form.names:
        raise DeclarationError(f"{name} is for functions and has no project.")
    # Read now what is read later: a type or docstring that is missing ends the start of a node.
    form.summary, form.answer, form.line  # noqa: B018


def _shape(form: Form) -> str:
    """Return method and path; what a parameter is called tells no two paths apart."""
    return re.sub(r"{\w+}", "{}", form.declared.http)


def _require_unique(what: str, found: list[str]) -> None:
    twice = {each for each in found if found.count(each) > 1}
    if twice:
        raise DeclarationError(f"There is more than one operation with the {what} {min(twice)}.")


def _require_one_effect(forms: tuple[Form, ...]) -> None:
    """Refuse an action that guards both reading and destroying."""
    effects: dict[Action, dict[Effect, str]] = {}
    for form in forms:
        if form.declared.action is not None:
            effects.setdefault(form.declared.action, {})[form.effect] = form.kind.__name__
    for action, found in effects.items():
        if Effect.DESTROY in found and Effect.READ in found:
            raise DeclarationError(
                f"{action.value} guards both {found[Effect.READ]}, which reads, and "
                f"{found[Effect.DESTROY]}, which destroys."
            )


FORMS = checked(kind for module in MODULES for kind in operations_of(module))
"""All of them."""
