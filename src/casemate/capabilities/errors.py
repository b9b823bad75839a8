"""What a running function is told when a use does not succeed."""

from __future__ import annotations

from casemate.data.errors import LimitError
from casemate.manifest.grant_tables import KEYS
from casemate.model.errors import (
    CasemateError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from casemate.model.function import FunctionSpec
from casemate.model.grant import ACTIONS, GrantKind
from casemate.model.grant_lines import line_to_add


class NotGrantedError(CasemateError):
    """The function may not do this."""


def how_to_grant(spec: FunctionSpec, kind: GrantKind, name: str, action: str) -> str:
    """Return what to write into the manifest so that a use is granted."""
    below = f"in casemate.toml below [function.{spec.name}.grants]"
    same = [grant for grant in spec.grants if grant.kind is kind and grant.name == name]
    if any(action in grant.actions for grant in same):
        return f"grant it for this key as well (prefixes of {kind.value} {name}), {below}"
    if same:
        return f'add "{action}" to the actions of {kind.value} {name}, {below}'
    key = KEYS[kind]
    fields, short = {"name": f'"{name}"'}, f'"{name}"'
    if len(ACTIONS[kind]) > 1:
        fields["actions"], short = f'["{action}"]', ""
    return line_to_add(
        spec.name,
        key,
        fields,
        short=short,
        there=any(grant.kind is kind for grant in spec.grants),
        in_tables=kind in spec.grants_in_tables,
    )


class TooMuchError(CasemateError):
    """A limit is reached."""


_CODES: tuple[tuple[type[CasemateError], str], ...] = (
    (NotGrantedError, "denied"),
    (LimitError, "limit"),
    (TooMuchError, "limit"),
    (NotFoundError, "not-found"),
    (ConflictError, "conflict"),
    (InvalidInputError, "invalid"),
    (UnavailableError, "unavailable"),
)


def code_of(error: CasemateError) -> str | None:
    """Return the code by which the runner knows an error; None for one that is a fault of ours."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), None)
