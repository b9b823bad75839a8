"""Compares a value of an event with those of a rule: `unmapped.kind|contains: [a, b]`.

Everything here takes time in proportion to the value: texts are looked at up to `MAX_TEXT`
characters, wildcards are found from left to right, and expressions are those of an engine that
never goes back (ADR 0047).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

import jsonschema_rs

from casemate.detection.errors import refused
from casemate.detection.fields import text_of

MAX_TEXT = 4096
"""Characters of an event's value that are looked at: the recorder keeps no more of one."""
MAX_EXPRESSION = 512
_EXPRESSION_BYTES = 1 << 18
"""Memory of one compiled expression."""
_MAX_ADDRESS = 64
_MOST_MINUTES = 18 * 60
_MS_OF_HOUR = 3_600_000
NO_HOUR = "none"
"""In the place of `timezone_offset`: the event is of no hour."""

Test = Callable[[Any], bool]
"""Tells of one value of an event, never a list, whether it is as the rule says."""

NUMBERS = frozenset(("gt", "gte", "lt", "lte"))
TEXTS = frozenset(("contains", "startswith", "endswith"))


def literal_parts(text: str, place: str) -> list[str]:
    """Return the texts between the `*` of a pattern, without the escapes. Raises RuleError."""
    parts, part, at = [], "", 0
    while at < len(text):
        char = text[at]
        if char == "\\" and text[at + 1 : at + 2] in ("*", "?", "\\"):
            at += 1
            part += text[at : at + 1]
        elif char == "*":
            parts.append(part)
            part = ""
        elif char == "?":
            raise refused(place, "the wildcard `?` is not matched here", "write `\\?` or `*`")
        else:
            part += char
        at += 1
    return [*parts, part]


def equals(values: Sequence[Any], place: str, *, cased: bool) -> Test:
    """Return the test for being one of the values, `*` standing for any characters."""
    texts: set[str] = set()
    patterns: list[Test] = []
    for value in values:
        if isinstance(value, str):
            parts = literal_parts(value, place)
            if len(parts) == 1:
                texts.add(parts[0] if cased else parts[0].lower())
            else:
                patterns.append(_pattern(parts, cased=cased))
        else:
            text = text_of(value)
            if text is not None:
                texts.add(text)
    missing = None in values
    fixed = frozenset(texts)
    if not patterns and not missing and not cased:
        return lambda value: _lower(value) in fixed

    def test(value: Any) -> bool:
        if value is None:
            return missing
        text = _cut(value) if cased else _lower(value)
        return text in fixed or any(pattern(value) for pattern in patterns)

    return test


def holds(modifier: str, value: Any, place: str, *, cased: bool) -> Test:
    """Return the test of `contains`, `startswith` or `endswith`."""
    if not isinstance(value, str) or not value:
        raise refused(place, f"`{modifier}` takes a text")
    parts = literal_parts(value, place)
    if modifier != "startswith":
        parts = ["", *parts] if parts[0] or len(parts) == 1 else parts
    if modifier != "endswith":
        parts = [*parts, ""] if parts[-1] or len(parts) == 1 else parts
    if not any(parts):
        raise refused(place, f"`{modifier}` of {value[:64]!r} holds for every text")
    return _pattern(parts, cased=cased)


def _pattern(parts: Sequence[str], *, cased: bool) -> Test:
    """Return the test for texts that are these parts in order, with anything in between."""
    first, *middle, last = parts if cased else [part.lower() for part in parts]
    inner = [part for part in middle if part]
    read = _cut if cased else _lower
    least = len(first) + len(last)

    def test(value: Any) -> bool:
        text = read(value)
        if text is None or len(text) < least or not text.startswith(first):
            return False
        if not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in inner:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return test


def _cut(value: Any) -> str | None:
    text = text_of(value)
    return text[:MAX_TEXT] if text is not None else None


def _lower(value: Any) -> str | None:
    if type(value) is str:
        return value[:MAX_TEXT].lower()
    return text_of(value)


def expression(value: Any, flags: str, place: str) -> Test:
    """Return the test for an expression to be found. Raises RuleError for what is not linear."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_EXPRESSION:
        raise refused(place, f"`re` takes an expression of 1 to {MAX_EXPRESSION} characters")
    pattern = f"(?{flags}){value}" if flags else value
    try:
        validator = jsonschema_rs.Draft202012Validator(
            {"pattern": pattern},
            pattern_options=jsonschema_rs.RegexOptions(
                size_limit=_EXPRESSION_BYTES, dfa_size_limit=_EXPRESSION_BYTES
            ),
        )
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise refused(
            place,
            f"the expression {value[:64]!r} is wrong, too large, or cannot be run in linear time",
            "write it without look-around and back-references",
        ) from error

    def test(found: Any) -> bool:
        text = _cut(found)
        return text is not None and validator.is_valid(text)

    return test


def within(values: Sequence[Any], place: str) -> Test:
    """Return the test for being an address of one of the networks."""
    networks = []
    for value in values:
        try:
            networks.append(ipaddress.ip_network(value if isinstance(value, str) else ""))
        except ValueError as error:
            shown = str(value)[:_MAX_ADDRESS]
            raise refused(place, f"{shown!r} is no network", "such as 192.0.2.0/24") from error

    def test(found: Any) -> bool:
        if type(found) is not str or len(found) > _MAX_ADDRESS:
            return False
        try:
            address = ipaddress.ip_address(found)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return test


def compares(modifier: str, value: Any, place: str) -> Test:
    """Return the test of `gt`, `gte`, `lt` or `lte`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused(place, f"`{modifier}` takes a number")
    tests: dict[str, Test] = {
        "gt": lambda found: bool(found > value),
        "gte": lambda found: bool(found >= value),
        "lt": lambda found: bool(found < value),
        "lte": lambda found: bool(found <= value),
    }
    test = tests[modifier]
    return lambda found: type(found) in (int, float) and test(found)


def hour_of(found: Any, ahead: Any = None) -> int | None:
    """Return the hour of a time of OCSF (milliseconds); None for what is no time.

    By a clock that is `ahead` minutes ahead of UTC, as `timezone_offset` has it; by UTC without it.
    """
    if ahead == NO_HOUR:
        return None
    if type(found) not in (int, float) or not 0 <= found < 1e15:
        return None
    if type(ahead) is int and abs(ahead) <= _MOST_MINUTES:
        found += ahead * 60_000
    return int(found // _MS_OF_HOUR % 24)
