"""Looks at every event before code runs, and refuses what is hostile whatever is done with it.

Whether other data is harmful is decided where it reaches an interpreter, by the sink guard in the
instance. Nothing is guessed here: an event is refused for a null byte, for text that is no
Unicode and for keys that no honest sender means, and for nothing else (ADR 0028).

Bytes are looked at first, so that an event without anything remarkable costs microseconds; only
others are decoded, also where JSON stands in a text, as the body of a request does. All work is
linear in the size of the event, and what is beyond `MAX_VALUES` is refused, not let through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

import msgspec

from casemate.decoding import DECODING_ERRORS

MAX_DEPTH = 4
"""JSON in the text of JSON, so many times one in the other."""
MAX_VALUES = 500_000
"""Keys and values of one remarkable event that are looked at; one with more of them is refused."""
NESTED_VALUES = 25
"""For how many of them a text counts that is read as JSON: so much longer does it take."""

NULL, ENCODING, PROTOTYPE, OPERATOR, UNSEEN = (
    "null-byte",
    "invalid-encoding",
    "prototype-key",
    "operator-key",
    "unseen",
)
REASONS = {
    NULL: "a text holds a null byte",
    ENCODING: "a text is not valid Unicode",
    PROTOTYPE: "a key would change an object's prototype",
    OPERATOR: "a key is a query operator that the contract does not name",
    UNSEEN: f"it has more than {MAX_VALUES} values, which is more than is inspected",
}
"""Why an event is refused; the caller is told this and nothing of the content."""

_OPERATORS = frozenset(
    (
        *("$where", "$gt", "$gte", "$lt", "$lte", "$ne", "$nin", "$in", "$eq", "$regex"),
        *("$exists", "$expr", "$or", "$and", "$nor", "$not", "$function", "$accumulator"),
        *("$lookup", "$elemMatch", "$all", "$size", "$type", "$mod", "$text", "$jsonSchema"),
        *("$set", "$unset", "$inc", "$push", "$pull", "$rename", "$out", "$merge"),
    )
)
_REMARKABLE = re.compile(rb"\\u(?:00[0-7]|[dD][89a-fA-F])|__proto__|constructor|\x00")
"""An escape of ASCII or of half a character, or a name. Each alternative begins with a character
of its own and has no repeat, so that looking for it is one pass."""
_OPERATOR = re.compile(rb'"\$[a-z]')
_NESTED = re.compile(r'\\u[0dD]|__proto__|constructor|"\$')
"""The same in a text that may be JSON."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_decode = msgspec.json.Decoder().decode


def inspect(event: bytes, contract: bytes | None = None) -> str | None:
    """Return why an event, which is JSON, must not be let in: a key of `REASONS`, None if nothing.

    What its contract (JSON Schema) names is no reason. Whatever cannot be decoded is refused.
    """
    if not event.isascii() and not _is_unicode(event):
        return ENCODING
    if _REMARKABLE.search(event) is None and (contract is None or _OPERATOR.search(event) is None):
        return None
    try:
        value = _decode(event)
    except DECODING_ERRORS:
        return ENCODING
    look = _Look(contract)
    look.walk(value)
    return look.refused()


def reason(event: bytes, contract: bytes | None = None) -> str | None:
    """Return the same as a sentence's end, for callers and records."""
    found = inspect(event, contract)
    return None if found is None else REASONS[found]


def _is_unicode(event: bytes) -> bool:
    try:
        event.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Look:
    """One look at one event."""

    def __init__(self, contract: bytes | None) -> None:
        self._contract = contract
        self._found: set[str] = set()
        self._left = MAX_VALUES

    def walk(self, value: object) -> None:
        """Look at a value, and at the JSON in its texts."""
        todo: list[tuple[object, int]] = [(value, 0)]
        while todo:
            item, depth = todo.pop()
            children: Iterable[object] = ()
            if isinstance(item, str):
                # Only what has something to be found in it is decoded once more.
                for inner in self._text(item, depth):
                    self._left -= NESTED_VALUES
                    todo.append((inner, depth + 1))
            elif isinstance(item, dict):
                self._left -= 2 * len(item)
                for key, child in item.items():
                    self._key(key, child, depth)
                children = item.values()
            elif isinstance(item, list):
                self._left -= len(item)
                children = item
            if self._left < 0:
                self._found.add(UNSEEN)
                return
            todo += ((child, depth) for child in children if isinstance(child, (str, dict, list)))

    def _text(self, text: str, depth: int) -> Iterator[object]:
        """Look at a text; yield the JSON that it holds, if it may hold anything to be found."""
        self._plain(text, depth)
        if depth >= MAX_DEPTH or text.lstrip()[:1] not in ("{", "[", '"'):
            return
        if _NESTED.search(text) is None:
            return
        try:
            yield json.loads(text)
        except (ValueError, RecursionError):
            return  # no JSON, so that nothing reads it as such

    def _plain(self, text: str, depth: int) -> None:
        if depth == 0 and "\x00" in text:
            self._found.add(NULL)
        if not text.isascii() and _SURROGATE.search(text):
            self._found.add(ENCODING)

    def _key(self, key: str, value: object, depth: int) -> None:
        self._plain(key, depth)
        if "__proto__" in key or "constructor" in key:
            steps = key.replace("[", ".").replace("]", "").split(".")
            if "__proto__" in steps or _is_constructor(steps, value):
                self._found.add(PROTOTYPE)
        elif key in _OPERATORS:
            self._found.add(OPERATOR)

    def refused(self) -> str | None:
        """Return the reason to refuse what was looked at."""
        if NULL in self._found and not self._names("\\u0000"):
            return NULL
        if ENCODING in self._found:
            return ENCODING
        if PROTOTYPE in self._found and not (self._names("__proto__") or self._names("prototype")):
            return PROTOTYPE
        if OPERATOR in self._found and self._contract is not None:
            named = self._names("$ne") or self._names("$gt")
            if not named:
                return OPERATOR
        return UNSEEN if UNSEEN in self._found else None

    def _names(self, text: str) -> bool:
        return self._contract is not None and text.encode() in self._contract


def _is_constructor(steps: list[str], value: object) -> bool:
    if steps[-1] == "constructor" and isinstance(value, dict):
        return "prototype" in value
    return "constructor" in steps and "prototype" in steps
