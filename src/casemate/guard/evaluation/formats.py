"""Templates of `str.format`: data in one must not become a field that looks into objects."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from ..origin import Span
from ..verdict import Verdict

_SCALARS = (str, bytes, int, float, bool, type(None))
_WIDE = re.compile(r"\d{5,}")
_LOOKS_IN = re.compile(r"[.\[]")
_FIX = (
    "keep the template in the code and give the data as arguments: TEMPLATE.format(name=value); "
    "for templates of users, string.Template has no attributes"
)


def judge(
    template: str, spans: Sequence[Span], arguments: Sequence[Any], named: Mapping[str, Any]
) -> Verdict | None:
    """Return a verdict if `spans` hold fields that reach more than the plain values given."""
    for span in spans:
        if span.checked in ("member", "constant"):
            continue
        part = template[span.start : span.end]
        if "{" not in part and "}" not in part:
            if _in_field(template, span) and span.exact and _LOOKS_IN.search(part):
                return Verdict(span.origin, "is part of a field of the template", _FIX)
            continue
        for field, specification in _fields(template):
            if _LOOKS_IN.search(field):
                return Verdict(span.origin, "adds a field that looks into a value", _FIX)
            if _WIDE.search(specification):
                return Verdict(span.origin, "adds a field of great width", _FIX)
            if not _is_plain(field, arguments, named):
                return Verdict(span.origin, "adds a field of a whole object", _FIX)
    return None


def _fields(template: str) -> list[tuple[str, str]]:
    found = []
    try:
        for _, field, specification, _ in string.Formatter().parse(template):
            if field is not None:
                found.append((field + (specification or "").partition("{")[2], specification or ""))
    except ValueError:
        return []  # it raises for the code as well
    return found


def _in_field(template: str, span: Span) -> bool:
    before = template[: span.start].replace("{{", "").replace("}}", "")
    return before.rfind("{") > before.rfind("}")


def _is_plain(field: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> bool:
    if field == "":
        return all(isinstance(value, _SCALARS) for value in arguments)
    if field.isdigit():
        number = int(field)
        return number >= len(arguments) or isinstance(arguments[number], _SCALARS)
    try:
        return field not in named or isinstance(named[field], _SCALARS)
    except TypeError:
        return False
