"""Strict reading of the texts that stand in paths and queries. What is not expected is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect as types

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import InvalidInputError
from casemate.operations.errors import MalformedError
from casemate.operations.expected import expected, in_words
from casemate.operations.fields import MOMENT_PATTERN, NUMBER_PATTERN
from casemate.operations.form import Form

SEE = "See GET /api/v1/openapi.json for those that exist."
_WHOLE = r"[0-9]{1,18}"


def read_path(form: Form, values: dict[str, str]) -> dict[str, Any]:
    """Return the fields that the path holds, from its parameters."""
    return {name: read_part(form, values, name) for name in form.in_path}


def read_part(form: Form, values: dict[str, str], name: str) -> Any:
    """Return one field that the path holds."""
    what, text = f"path's {name}", str(values[name])
    found = read(what, text, form.fields[name].type)
    if isinstance(found, int):
        _matching(what, text, NUMBER_PATTERN)  # what is one thing has one path
    return found


def pairs_of(raw: bytes) -> dict[str, str]:
    """Return the parameters of a query string; repeated ones and broken encodings are refused."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(raw),
            errors="strict",
        )
    except ValueError as error:
        raise MalformedError("The query string is not `name=value` pairs in UTF-8.") from error
    values = dict(pairs)
    if len(values) != len(pairs):
        raise MalformedError("A parameter of the query is given more than once.")
    return values


def read_query(form: Form, values: dict[str, str]) -> dict[str, Any]:
    """Return the fields that the query holds; one that it must hold and others are refused."""
    unknown = ", ".join(sorted(name[:40] for name in values.keys() - set(form.in_query)))
    found = {
        name: read(f"query's {name}", values[name], form.fields[name].type)
        for name in form.in_query
        if name in values
    }
    if unknown:
        raise MalformedError(f"The query has unknown parameters: {unknown}.", next_step=SEE)
    for name in form.in_query:
        if name in form.required and name not in values:
            raise MalformedError(
                f"The query has no `{name}`.", next_step=f"Add `?{name}=...`, percent-encoded."
            )
    return found


def read(what: str, text: str, kind: Any) -> Any:
    """Return `text` as a value of `kind`; MalformedError names `what` and what is expected."""
    return _read(what, text, types.type_info(kind))


def _read(what: str, text: str, kind: types.Type) -> Any:
    if isinstance(kind, types.Metadata):
        return _read(what, text, kind.type)
    if isinstance(kind, types.UnionType):
        # Only of one type and None, which is what is left out.
        (only,) = (each for each in kind.types if not isinstance(each, types.NoneType))
        return _read(what, text, only)
    reader = _READERS.get(type(kind))
    if reader is None:
        raise TypeError(f"The {what} cannot be read from text: {kind}.")
    return reader(what, text, kind)


def _matching(what: str, text: str, pattern: str) -> str:
    if re.fullmatch(pattern, text) is None:
        raise MalformedError(f"The {what} is {text[:80]!r}, expected {expected(pattern)}.")
    return text


def _text(what: str, text: str, kind: types.StrType) -> str:
    if kind.pattern is not None:
        _matching(what, text, kind.pattern)
    least, most = kind.min_length or 0, kind.max_length
    if len(text) < least or (most is not None and len(text) > most):
        bounds = f"{least} to {most}" if most is not None else f"at least {least}"
        # Understood, unlike what is malformed.
        raise InvalidInputError(f"The {what} has {len(text)} characters, expected {bounds}.")
    return text


def _whole(what: str, text: str, kind: types.IntType) -> int:
    value = int(_matching(what, text, _WHOLE))
    least = kind.ge if kind.ge is not None else 0
    most = kind.le if kind.le is not None else (kind.lt - 1 if kind.lt is not None else None)
    if value < least or (most is not None and value > most):
        raise MalformedError(f"The {what} is {value}, expected {least} to {most}.")
    return value


def _flag(what: str, text: str, _kind: types.BoolType) -> bool:
    return _matching(what, text, "true|false") == "true"


def _moment(what: str, text: str, kind: types.FloatType) -> float:
    value = float(_matching(what, text, MOMENT_PATTERN))
    low = kind.ge is not None and value < kind.ge
    high = (kind.le is not None and value > kind.le) or (kind.lt is not None and value >= kind.lt)
    if low or high:
        raise MalformedError(f"The {what} is {value}, which is out of bounds.")
    return value


def _choice(what: str, text: str, kind: types.EnumType) -> StrEnum:
    choices = cast("type[StrEnum]", kind.cls)
    return choices(_matching(what, text, "|".join(map(re.escape, choices))))


_READERS: dict[type[types.Type], Callable[[str, str, Any], Any]] = {
    types.StrType: _text,
    types.IntType: _whole,
    types.BoolType: _flag,
    types.FloatType: _moment,
    types.EnumType: _choice,
}


def read_body(form: Form, body: bytes) -> dict[str, Any]:
    """Return the fields that a JSON body holds; unknown ones are refused."""
    if form.body is None:
        return {}
    try:
        decoded = msgspec.json.decode(body, type=decodable(form.body))
    except DECODING_ERRORS as error:
        raise MalformedError(
            f"The body is not as expected: {in_words(str(error))}",
            next_step="See GET /api/v1/openapi.json for the fields of this body.",
        ) from error
    return {name: getattr(decoded, name) for name in form.in_body}
