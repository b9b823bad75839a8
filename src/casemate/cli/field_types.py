"""The types of fields of operations, taken apart, and their bounds in words of a command line."""

from __future__ import annotations

import typing
from typing import Annotated, Any, NamedTuple

import msgspec

from casemate.cli.errors import UsageError
from casemate.cli.text import span
from casemate.decoding import decodable
from casemate.operations.declaration import Operation
from casemate.operations.fields import HIGHEST
from casemate.operations.form import Form
from casemate.operations.given import DURATION, Given

_SHOWN = 80
"""Characters of a value that an error shows."""


class FieldType(NamedTuple):
    """The type of a field, taken apart."""

    kind: Any
    """Without None, and without what is said of it."""
    given: Given
    help: str
    least: int | None
    most: int | None
    pattern: str | None
    """What each text has to match."""
    metas: tuple[msgspec.Meta, ...]
    """Its bounds, the outermost last: it counts."""

    @property
    def many(self) -> bool:
        return typing.get_origin(self.kind) is tuple


def apart(kind: Any) -> FieldType:
    said: list[Any] = []  # the outermost last: it counts
    while parts := typing.get_args(kind):
        if typing.get_origin(kind) is Annotated:
            kind, said = parts[0], [*parts[1:], *said]
        elif type(None) in parts:
            (kind,) = (part for part in parts if part is not type(None))
        else:
            break
    given = next((one for one in reversed(said) if isinstance(one, Given)), Given())
    metas = [one for one in said if isinstance(one, msgspec.Meta)]

    def last(name: str) -> Any:
        found = (getattr(meta, name) for meta in reversed(metas))
        return next((value for value in found if value is not None), None)

    is_number = kind is int and given.metavar != DURATION
    least, most = (last("ge"), last("le")) if is_number else (None, None)
    least = least if given.least is None else given.least
    most = None if most == HIGHEST else most
    help = given.help or last("description") or ""
    pattern = apart(parts[0]).pattern if typing.get_origin(kind) is tuple else last("pattern")
    return FieldType(kind, given, help, least, most, pattern, tuple(metas))


def option_of(name: str, found: FieldType, *, required: bool) -> str:
    """Return how a field is written on a command line: `--for`, or `REASON` as an argument."""
    if found.given.argument or (required and not found.given.flags):
        return name.upper()
    return found.given.flags.split()[0] if found.given.flags else f"--{name.replace('_', '-')}"


def require_within(form: Form, operation: Operation[Any]) -> None:
    """Raise UsageError for a field out of its bounds: the node would name a field of a body.

    What a path names, the node knows or does not; what is a whole body has bounds of its own.
    """
    for name, field in form.fields.items():
        if name in form.in_path or name == form.declared.content or name in form.declared.inside:
            continue
        value = getattr(operation, name)
        try:
            msgspec.convert(value, decodable(field.type))
        except msgspec.ValidationError as error:
            found = apart(field.type)
            where = option_of(name, found, required=field.required)
            raise UsageError(
                f"{where} {_said(found, value)}, expected {_bounds(found) or str(error)}.",
                next_step="Fix it; nothing was changed.",
            ) from error


def _is_duration(found: FieldType) -> bool:
    return found.given.metavar == DURATION


def _said(found: FieldType, value: Any) -> str:
    """Say what came, without what is long or may be secret."""
    if found.many:
        return f"is given {len(value)} times" if isinstance(value, tuple) else "is not as expected"
    if isinstance(value, int | float):
        return f"is {span(value) if _is_duration(found) else value}"
    if isinstance(value, str):
        return f"has {len(value)} characters" if len(value) > _SHOWN else f"is {value!r}"
    return "is not as expected"


def _bounds(found: FieldType) -> str:
    """Return the bounds of a field in words; empty where it has none."""

    def last(*names: str) -> Any:
        values = (getattr(meta, name) for meta in reversed(found.metas) for name in names)
        return next((value for value in values if value is not None), None)

    if found.kind in (int, float):
        write = span if _is_duration(found) else str
        least, most = last("ge", "gt"), last("le", "lt")
        unit = ""
    else:
        write, unit = str, " of them" if found.many else " characters"
        least, most = last("min_length"), last("max_length")
    if most == HIGHEST:
        most = None
    if least is not None and most is not None:
        return f"{write(least)} to {write(most)}{unit}"
    if most is not None:
        return f"at most {write(most)}{unit}"
    return "" if least is None else f"at least {write(least)}{unit}"
