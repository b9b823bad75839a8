"""Looks at every event before code runs: refuses what is unambiguous, labels what is suspicious.

Whether data is harmful is decided where it reaches an interpreter, by the sink guard in the
instance. Labels are for detection: a number for each, never content. Bytes are looked at first,
so that an event without anything remarkable costs microseconds; only others are decoded as an
application would decode them, within bounds.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from casemate.runner.guard.decoding import decoded

MAX_DEPTH = 4
"""Encodings undone one inside the other."""
MAX_NODES = 20_000
MAX_CHARACTERS = 2 << 20
"""Characters of all forms together. What is beyond is labelled `unseen`."""
MAX_COUNT = 1000
"""Of one label in one event."""
_MAX_FUNCTIONS = 10_000

NULL, ENCODING, PROTOTYPE, OPERATOR = (
    "null-byte",
    "invalid-encoding",
    "prototype-key",
    "operator-key",
)
REASONS = {
    NULL: "a text holds a null byte",
    ENCODING: "a text is not valid Unicode",
    PROTOTYPE: "a key would change an object's prototype",
    OPERATOR: "a key is a query operator that the contract does not name",
}
"""Why an event is refused; the caller is told this and nothing of the content."""

_ORDINARY = (
    b'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ":,{}[]._-@+=/?#!\t\n\r'
)
_WORDS = (b"__", b"constructor", b"..", b"union", b"--", b"169.254", b"127.0", b"file:")
_NAMES = (b"localhost", b"/etc/", b"gopher:", b"javascript:")
_MARKS = (
    *(
        b"\\u0",
        b"\\ud",
        b"\\uff",
        b"\\r",
        b"\\n",
        b'"$',
        b"<",
        b"{{",
        b"${",
        b"{%",
        b"drop ",
        b"' ",
        b"'--",
    ),
    *(
        b"' ",
        b"'--",
        b"';",
        b"/*",
        b"*/",
        b"`",
        b";",
        b"|",
        b"&&",
        b"$(",
        b")(",
        b"*)",
        b"sleep",
        b"c:\\",
    ),
)
"""Of these one is in every event that is looked at any further, in lower case. `_MARKS` holds
characters that are not in `_ORDINARY`."""
_ENCODED = re.compile(rb"%[0-9a-f]{2}|\\u00[0-9a-f]{2}|\\x[0-9a-f]{2}")
_TOKEN = re.compile(rb"(?![0-9A-Fa-f]{24,}(?![A-Za-z0-9+/]))[A-Za-z0-9+/]{24,}")
_CLASSES = bytes(
    ord("a") if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "+/") else ord(" ")
    for byte in range(256)
)
_RUN = b"a" * 24
"""So many characters of base64 after one another may be something encoded, unless hexadecimal."""

_LABELS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "sql",
        re.compile(
            r"\bunion\s+(?:all\s+)?select\b|['\"]\s*(?:or|and)\b.{0,40}=|;\s*(?:drop|delete|update"
            r"|insert|alter|create|exec)\b|['\")]\s*(?:--|#|/\*)|\b(?:sleep|pg_sleep|benchmark)\s*\("
            r"|\bwaitfor\s+delay\b|information_schema",
            re.IGNORECASE | re.DOTALL,
        ),
    ),
    (
        "command",
        re.compile(
            r"(?:[;|&\n]|&&|\|\|)\s*(?:cat|ls|id|whoami|curl|wget|nc|bash|sh|python\d?|rm|ping|sleep)\b"
            r"|\$\([^)]*\)|`[^`]+`|/bin/(?:ba)?sh",
            re.IGNORECASE,
        ),
    ),
    (
        "path",
        re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)|/etc/(?:passwd|shadow)|/proc/self|c:\\", re.I),
    ),
    (
        "template",
        re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\$\{.*?\}|<%.*?%>|\{\w*(?:\.__|\[)", re.DOTALL),
    ),
    ("code", re.compile(r"__(?:import|class|globals|builtins|subclasses|reduce)__|\bos\.system\b")),
    (
        "markup",
        re.compile(r"<\s*(?:script|iframe|svg|img)\b|javascript:|\bon\w+\s*=", re.IGNORECASE),
    ),
    ("xml-entity", re.compile(r"<!\s*(?:ENTITY|DOCTYPE)\b|XInclude", re.IGNORECASE)),
    ("ldap", re.compile(r"\*\)\s*\(|\)\s*\([&|!]|\)\([a-z]+=", re.IGNORECASE)),
    ("nosql", re.compile(r"[\"']?\$(?:where|ne|gt|regex|function|expr|or)\b")),
    (
        "address",
        re.compile(
            r"\b(?:https?|ftp|gopher|file|dict)://(?:[^/@\s]*@)?(?:localhost|127\.|10\.|0x|\d{8,}"
            r"|169\.254\.|192\.168\.|\[|metadata)|\bfile://",
            re.IGNORECASE,
        ),
    ),
    ("pickle", re.compile(r"^(?:gASV|KGRwMA|Y3Bvc2l4|gAR9|gAJ)|^c(?:os|posix|builtins)\n")),
    ("line-break", re.compile(r"\r\n(?:[A-Za-z-]+:|\r\n)")),
)
_OPERATORS = frozenset(
    (
        *("$where", "$gt", "$gte", "$lt", "$lte", "$ne", "$nin", "$in", "$eq", "$regex"),
        *("$exists", "$expr", "$or", "$and", "$nor", "$not", "$function", "$accumulator"),
        *("$lookup", "$elemMatch", "$all", "$size", "$type", "$mod", "$text", "$jsonSchema"),
        *("$set", "$unset", "$inc", "$push", "$pull", "$rename", "$out", "$merge"),
    )
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_NULL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000|\x00")
_CLEAN_LABELS: Mapping[str, int] = {}
_decode = msgspec.json.Decoder().decode


class Inspection(NamedTuple):
    """What an event looks like."""

    labels: Mapping[str, int]
    """How many texts are suspicious, by label."""
    refused: str | None
    """The label for which the event must not be let through; a key of `REASONS`."""


_CLEAN = Inspection(_CLEAN_LABELS, None)


def inspect(event: bytes, contract: bytes | None = None) -> Inspection:
    """Look at an event, which is JSON. What its contract (JSON Schema) names is no reason.

    Whatever cannot be decoded as JSON is refused.
    """
    if not _is_remarkable(event):
        return _CLEAN
    try:
        value = _decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Inspection({ENCODING: 1}, ENCODING)
    look = _Look(contract)
    if _NULL.search(event) is not None:
        look.found(NULL)
    look.walk(value)
    return look.inspection()


def _is_remarkable(event: bytes) -> bool:
    lower = event.lower()
    if any(map(lower.__contains__, _WORDS)) or any(map(lower.__contains__, _NAMES)):
        return True
    special = lower.translate(None, _ORDINARY)
    if special:
        if any(map(lower.__contains__, _MARKS)) or not special.isascii():
            return True
        if b"%" in special and _ENCODED.search(lower):
            return True
    return _RUN in event.translate(_CLASSES) and _TOKEN.search(event) is not None


class _Look:
    """One look at one event."""

    def __init__(self, contract: bytes | None) -> None:
        self._contract = contract
        self._labels: Counter[str] = Counter()
        self._characters = 0
        self._nodes = 0

    def found(self, label: str) -> None:
        if self._labels[label] < MAX_COUNT:
            self._labels[label] += 1

    def walk(self, value: object) -> None:
        """Look at a value and all that it can be decoded to."""
        todo: list[tuple[object, int, bool]] = [(value, 0, True)]
        while todo:
            item, depth, plain = todo.pop()
            self._nodes += 1
            if self._nodes > MAX_NODES or self._characters > MAX_CHARACTERS:
                self.found("unseen")
                return
            if isinstance(item, str):
                self._text(item)
                if depth < MAX_DEPTH:
                    todo += [
                        (form, depth + 1, plain and how == "JSON") for how, form in decoded(item)
                    ]
            elif isinstance(item, dict):
                for key, child in item.items():
                    self._key(str(key), child, plain=plain)
                    todo.append((child, depth, plain))
            elif isinstance(item, (list, tuple)):
                todo += [(child, depth, plain) for child in item]

    def _key(self, key: str, value: object, *, plain: bool) -> None:
        self._text(key)
        steps = key.replace("[", ".").replace("]", "").split(".")
        if "__proto__" in steps or _is_constructor(steps, value):
            self.found(PROTOTYPE if plain else "prototype-key-encoded")
        if key in _OPERATORS:
            self.found(OPERATOR if plain else "operator-key-encoded")

    def _text(self, text: str) -> None:
        self._characters += len(text)
        if "\x00" in text:
            self.found("null-byte-encoded" if self._labels[NULL] == 0 else NULL)
        if not text.isascii() and _SURROGATE.search(text):
            self.found(ENCODING)
        for label, pattern in _LABELS:
            if pattern.search(text):
                self.found(label)

    def inspection(self) -> Inspection:
        """Return what was found, and whether it is reason to refuse."""
        refused = None
        if self._labels[NULL] and not self._names("\\u0000"):
            refused = NULL
        elif self._labels[ENCODING]:
            refused = ENCODING
        elif self._labels[PROTOTYPE] and not (self._names("__proto__") or self._names("prototype")):
            refused = PROTOTYPE
        elif self._labels[OPERATOR] and self._contract is not None:
            refused = OPERATOR if not self._names("$ne") and not self._names("$gt") else None
        return Inspection({k: n for k, n in self._labels.items() if n}, refused)

    def _names(self, text: str) -> bool:
        return self._contract is not None and text.encode() in self._contract


def _is_constructor(steps: list[str], value: object) -> bool:
    if steps[-1] == "constructor" and isinstance(value, dict):
        return "prototype" in value
    return "constructor" in steps and "prototype" in steps


class Inspector:
    """Inspects events and counts labels by function, for detection."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], Counter[str]] = {}

    def inspect(
        self, project: str, function: str, event: bytes, contract: bytes | None = None
    ) -> str | None:
        """Count an event's labels; return the reason for which it is refused, if there is one."""
        found = inspect(event, contract)
        if found.labels:
            with self._lock:
                if len(self._counts) < _MAX_FUNCTIONS or (project, function) in self._counts:
                    self._counts.setdefault((project, function), Counter()).update(found.labels)
        return None if found.refused is None else REASONS[found.refused]

    def counts(self, project: str, function: str) -> dict[str, int]:
        """Return how many texts of a function's events had each label, since the start."""
        with self._lock:
            return dict(self._counts.get((project, function), ()))
