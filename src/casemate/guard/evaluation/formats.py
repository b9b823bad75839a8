"""Templates of `str.format`: data in one must not become a field that looks into objects."""

from __future__ import annotations

import datetime
import decimal
import re
import string
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from enum import Enum
from types import MemberDescriptorType, ModuleType
from typing import Any

from ..origin import Span
from ..plain_names import is_field, is_hidden, is_identifier, is_secret
from ..verdict import Verdict

DATES = (datetime.date, datetime.datetime, datetime.time, datetime.timedelta, decimal.Decimal)
_OWNER = re.compile(r"\{(\d{1,4}|[A-Za-z]\w{0,63})\.$")
_FIRST = re.compile(r"\d{1,4}|[A-Za-z]\w{0,63}")
_STEP = re.compile(r"\.([A-Za-z]\w{0,63})|\[([A-Za-z0-9]\w{0,63})\]")
_STEPS = re.compile(rf"(?:{_STEP.pattern.replace('(', '(?:')}){{1,8}}")
_SCALARS = (str, bytes, int, float, bool, type(None))
PLAIN = (*_SCALARS, *DATES)
COLLECTIONS = (list, tuple, set, frozenset)
_MAX_LOOKED_AT = 2000
_WIDTH = re.compile(r"\d{3,}")
_OF_DATES = re.compile(r"%[A-Za-z]")
_NESTED = re.compile(r"\{(\w{0,64})\}")
_MAX_WIDTH = 500
"""Characters that a field of the event may be wide, or of its digits."""
_LOOKS_IN = re.compile(r"[.\[]")
_OTHER_TEXT = re.compile(r"![ra]")
Offers = Callable[[Any, str], bool]
_FIX = (
    "keep the template in the code and give the data as arguments: TEMPLATE.format(name=value); "
    "for templates of users, string.Template has no attributes"
)


def is_plain(
    value: Any,
    kinds: Container[object] = PLAIN,
    collections: Container[object] = COLLECTIONS,
    parts: Callable[[Any], Iterable[Any] | None] | None = None,
    most: int = _MAX_LOOKED_AT,
) -> bool:
    """Tell whether a value is plain data, or a collection of it; False for more than `most`.

    `parts` gives what is to be plain of a mapping, None for what is none; without it these are the
    values of a dictionary.
    """
    todo = [value]
    for _ in range(most):
        if not todo:
            return True
        item = todo.pop()
        kind = type(item)
        if kind in collections:
            todo += item
        elif parts is None and kind is dict:
            todo += item.values()
        elif parts is not None and (held := parts(item)) is not None:
            todo += held
        elif kind not in kinds:
            return False
    return False


def judge(
    template: str,
    spans: Sequence[Span],
    arguments: Sequence[Any],
    named: Mapping[str, Any],
    offers: Offers = lambda owner, name: False,
    shows: Callable[[str], bool] = lambda field: False,
) -> Verdict | None:
    """Return a verdict if `spans` hold fields that reach more than the plain values given.

    `offers` tells whether the code has an object for itself, and a name of it, if not empty, as a
    text. `shows` tells whether a text of the code has a very field.
    """
    for span in spans:
        if span.vouched:
            continue
        part = template[span.start : span.end]
        if "{" not in part and "}" not in part:
            doubtful = _in_field(template, span) and span.exact and _LOOKS_IN.search(part)
            if doubtful and not _all_plain(template, arguments, named):
                return Verdict(span.origin, "is part of a field of the template", _FIX)
            continue
        for field, specification in _fields(template):
            looks = _LOOKS_IN.search(field) and not _is_offered(field, arguments, named, offers)
            # What the argument is called says nothing of its fields: `{secret.owner}`.
            steps = field.partition(".")[2] or field
            told = is_hidden(field) and not is_secret(steps) and shows(field)
            if looks and not _is_plain_part(field, arguments, named, hidden=told):
                return Verdict(span.origin, "adds a field that looks into a value", _FIX)
            if _is_wide(specification, arguments, named):
                return Verdict(span.origin, "adds a field of great width", _FIX)
            if is_hidden(field) and not told:
                return Verdict(span.origin, "adds a field of what is hidden", _FIX)
            plain = _LOOKS_IN.search(field) or _is_plain(field, arguments, named)
            ways = _ways_shown(template)
            if not plain and not _is_shown(field, arguments, named, offers, ways):
                return Verdict(span.origin, "adds a field of a whole object", _FIX)
    return _judge_beside(
        template, spans, lambda field: shows(field) or _is_offered(field, arguments, named, offers)
    )


def _judge_beside(
    template: str, spans: Sequence[Span], is_let: Callable[[str], bool]
) -> Verdict | None:
    """Return a verdict if data looks into objects beside fields that the code has written.

    Who writes all of a template is let choose what it tells.
    """
    for span in spans:
        fields = _fields(template[span.start : span.end]) if not span.vouched else ()
        chosen = any("." in field and not is_let(field) for field, _ in fields)
        if chosen and _has_fields_beside(template, spans):
            return Verdict(span.origin, "adds a field that looks into a value", _FIX)
    return None


def _has_fields_beside(template: str, spans: Sequence[Span]) -> bool:
    """Tell whether the code has written fields of its own around what `spans` are."""
    own, end = [], 0
    for span in sorted(spans, key=lambda each: each.start):
        own.append(template[end : span.start])
        end = max(end, span.end)
    return any(_fields(part) for part in (*own, template[end:]))


def _is_wide(specification: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> bool:
    """Tell whether a field is as wide as nobody reads, by itself or by a number that is given."""
    # What stands behind a sign of a date's is shown as it is: `%d.%m.2026`.
    dated = _OF_DATES.search(specification)
    widths = [int(width) for width in _WIDTH.findall(specification[: dated and dated.start()])]
    for nested in _NESTED.finditer(specification):
        try:
            given = _argument(nested[1], arguments, named) if nested[1] else max(arguments)
        except (LookupError, TypeError, ValueError):
            continue
        widths += [given] if type(given) is int else map(int, _WIDTH.findall(str(given)[:100]))
    return any(width > _MAX_WIDTH for width in widths)


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


def judge_offered(
    template: str,
    spans: Sequence[Span],
    arguments: Sequence[Any],
    named: Mapping[str, Any],
    left_out: Offers,
) -> Verdict | None:
    """Return a verdict if data is the name of an attribute in a field, `{shop.NAME}`.

    And `left_out` tells that it is of a value of the object's class that the code does not offer.
    """

    def chosen(span: Span) -> bool:
        name = template[span.start : span.end]
        owner = _owner(template, span.start, arguments, named) if is_field(name) else None
        return owner is not None and left_out(owner, name)

    doubtful = (span for span in spans if span.exact and not span.checked)
    found = next((span for span in doubtful if chosen(span)), None)
    return Verdict(found.origin, "chooses a field that is not offered", _FIX) if found else None


def _owner(template: str, end: int, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Return the argument whose attribute is named from a place on, None if it is no such place."""
    before = _OWNER.search(template, 0, end)
    try:
        return _argument(before[1], arguments, named) if before is not None else None
    except (LookupError, TypeError, ValueError):
        return None


def _all_plain(template: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> bool:
    fields = [field for field, _ in _fields(template)]
    looking = [field for field in fields if _LOOKS_IN.search(field)]
    return bool(fields) and all(_is_plain_part(field, arguments, named) for field in looking)


def _argument(name: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Return what a field begins with, by its number or its name. Raises LookupError and others."""
    return arguments[int(name)] if name[:1].isdigit() else named[name]


def _is_plain_part(
    field: str, arguments: Sequence[Any], named: Mapping[str, Any], *, hidden: bool = False
) -> bool:
    """Tell whether a field leads to a plain value, by keys and by fields of plain data alone.

    `hidden`: also by names that speak of rights or money.
    """
    first = _FIRST.match(field)
    steps = field[first.end() :] if first is not None else field
    if first is None or not _STEPS.fullmatch(steps):
        return False
    try:
        value = _argument(first[0], arguments, named)
        for step in _STEP.finditer(steps):
            name = step[1] or step[2]
            if is_hidden(name) and not hidden:
                return False
            value = _attribute(value, name, hidden=hidden) if step[1] else _item(value, name)
    except (LookupError, TypeError, ValueError, AttributeError):
        return False
    return type(value) in PLAIN


def _is_offered(
    field: str, arguments: Sequence[Any], named: Mapping[str, Any], offers: Offers
) -> bool:
    """Tell whether a field is one that an object of the code's shows, and that the code names."""
    first = _FIRST.match(field)
    step = _STEP.fullmatch(field, first.end()) if first is not None else None
    if first is None or step is None or not step[1] or is_hidden(step[1]) or not is_field(step[1]):
        return False
    try:
        owner = _argument(first[0], arguments, named)
    except (LookupError, TypeError, ValueError):
        return False
    getter: Any = type(owner).__getattribute__
    if getter is not object.__getattribute__ or not offers(owner, step[1]):
        return False
    if isinstance(vars(type(owner)).get(step[1]), property):
        return True
    return _keeps_shown(owner, step[1])


def _keeps_shown(owner: Any, name: str) -> bool:
    """Tell whether an object keeps a value that the code has said how to show, or its class does.

    Any other may show all that it holds.
    """
    if name in getattr(owner, "__dict__", ()):
        value = vars(owner)[name]
        return type(value) in PLAIN or "__str__" in vars(type(value))
    held = next((vars(each)[name] for each in type(owner).__mro__ if name in vars(each)), owner)
    return type(held) in PLAIN


def _is_shown(
    field: str,
    arguments: Sequence[Any],
    named: Mapping[str, Any],
    offers: Offers,
    ways: frozenset[str],
) -> bool:
    """Tell whether a field is an object of the code's whose class says what text stands for it."""
    try:
        owner = _argument(field, arguments, named)
    except (LookupError, TypeError, ValueError):
        return False
    return bool(ways & vars(type(owner)).keys()) and offers(owner, "")


def _ways_shown(template: str) -> frozenset[str]:
    """Return the methods of a class that say what a template shows of an object.

    By `!r` and `!a` it is another text, which may have all that the object holds.
    """
    if _OTHER_TEXT.search(template) is not None:
        return frozenset()
    return frozenset(("__str__",) if "!s" in template else ("__str__", "__format__"))


def _attribute(value: Any, name: str, *, hidden: bool = False) -> Any:
    """Return what an object keeps as data: none of its methods, and nothing of its class."""
    kind = type(value)
    plain = is_identifier(name) if hidden else is_field(name)
    named = isinstance(value, tuple) and name in getattr(kind, "_fields", ())
    if plain and (kind in DATES or named):
        return getattr(value, name)
    getter: Any = kind.__getattribute__
    own = getter is object.__getattribute__ and kind is not ModuleType
    if not own or not plain:
        raise AttributeError(name)
    if isinstance(value, Enum) and name in ("name", "value"):
        return getattr(value, name)
    slot = next((vars(one)[name] for one in kind.__mro__ if name in vars(one)), None)
    if type(slot) is MemberDescriptorType:
        return getattr(value, name)
    return vars(value)[name]


def _item(value: Any, key: str) -> Any:
    if type(value) is dict:
        return value[int(key) if key.isdigit() else key]
    if isinstance(value, (list, tuple)):
        return value[int(key)]
    raise TypeError(type(value).__name__)


def _is_plain(field: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> bool:
    if field == "":
        return all(isinstance(value, PLAIN) for value in arguments)
    if field.isdigit():
        number = int(field)
        return number >= len(arguments) or isinstance(arguments[number], PLAIN)
    try:
        return field not in named or isinstance(named[field], PLAIN)
    except TypeError:
        return False
