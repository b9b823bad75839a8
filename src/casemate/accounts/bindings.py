"""Role bindings as text, `ROLE[@PROJECT[/FUNCTION]]`, and which of them covers which.

Nobody gives, takes or resets what their own bindings do not cover: that is what keeps the right
to manage accounts from being the right to become an owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from casemate.accounts.errors import EscalationError
from casemate.model.account import MAX_BINDINGS
from casemate.model.errors import InvalidInputError
from casemate.model.function import NAME_PATTERN
from casemate.model.principal import OWNER, Principal, RoleBinding

_NAME = NAME_PATTERN.removeprefix("^").removesuffix("$")

_BINDING = re.compile(rf"({_NAME})(?:@({_NAME})(?:/({_NAME}))?)?")


def parse_binding(text: str) -> RoleBinding:
    """Return the binding that `text` names. Raises InvalidInputError."""
    match = _BINDING.fullmatch(text)
    if match is None:
        raise InvalidInputError(
            f"{text[:80]!r} is not a role binding, expected ROLE[@PROJECT[/FUNCTION]].",
            next_step="Write for example `developer@shop` or `invoker@shop/cart`.",
        )
    role, project, function = match.groups()
    return RoleBinding(role=role, project=project, function=function)


def parse_bindings(texts: Iterable[str]) -> tuple[RoleBinding, ...]:
    """Return several bindings, each once, in a fixed order. Raises InvalidInputError."""
    bindings = {text: parse_binding(text) for text in texts}
    if len(bindings) > MAX_BINDINGS:
        raise InvalidInputError(
            f"There are {len(bindings)} role bindings, expected at most {MAX_BINDINGS}.",
            next_step="Bind a role to a project rather than to each of its functions.",
        )
    return tuple(bindings[text] for text in sorted(bindings))


def binding_text(binding: RoleBinding) -> str:
    """Return a binding as text."""
    if binding.project is None:
        return binding.role
    scope = binding.project if binding.function is None else f"{binding.project}/{binding.function}"
    return f"{binding.role}@{scope}"


def covers(held: RoleBinding, wanted: RoleBinding) -> bool:
    """Tell whether `held` is at least as much as `wanted`: owner or the same role, as wide."""
    if held.role not in (OWNER, wanted.role):
        return False
    if held.project is None:
        return held.function is None
    if held.project != wanted.project:
        return False
    return held.function is None or held.function == wanted.function


def require_covered(by: Principal, wanted: Iterable[RoleBinding], what: str) -> None:
    """Raise EscalationError if a binding in `wanted` is more than `by` has."""
    for binding in wanted:
        if not any(covers(held, binding) for held in by.bindings):
            raise EscalationError(
                f"{by.text} cannot {what}: it has no binding that covers {binding_text(binding)}.",
                next_step="Ask an owner, or somebody who has that role with the same scope.",
            )


def is_node_owner(bindings: Iterable[RoleBinding]) -> bool:
    """Tell whether these bindings make an owner of the whole node."""
    return any(b.role == OWNER and b.project is None and b.function is None for b in bindings)


def require_known_roles(bindings: Iterable[RoleBinding], roles: frozenset[str]) -> None:
    """Raise InvalidInputError if a role does not exist."""
    for binding in bindings:
        if binding.role not in roles:
            raise InvalidInputError(
                f"There is no role {binding.role!r}, expected one of {', '.join(sorted(roles))}.",
                next_step="`casemate policy ls` shows the roles; a policy file makes a new one.",
            )
