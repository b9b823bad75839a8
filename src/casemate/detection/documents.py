"""Reads the YAML of rules, of which little is allowed: maps, lists, plain values, nothing else.

No aliases (a few of them make gigabytes of one kilobyte), no tags, no key twice; bounded in bytes,
documents, values and depth, all of it while it is read and before anything is built further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml  # type: ignore[import-untyped]

from casemate.detection.errors import refused

MAX_BYTES = 1 << 20
MAX_DOCUMENTS = 1000
MAX_VALUES = 100_000
"""Keys and values of one text."""
MAX_DEPTH = 12
MAX_TEXT = 4096
"""Characters of one value."""

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML was built with it, twenty times as fast. Only its events are used."""
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{1,18}")
_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
}


class Map(dict[str, Any]):
    """A map of a rule, which knows where it stands."""

    def __init__(self, place: str) -> None:
        """Begin an empty one at `place`, such as `own.yml:3`."""
        super().__init__()
        self.place = place
        self._places: dict[str, str] = {}

    def put(self, key: str, value: Any, place: str) -> None:
        """Keep a value and where its key stands."""
        self[key] = value
        self._places[key] = place

    def place_of(self, key: str) -> str:
        """Return where a key stands, and its name."""
        return f"{self._places.get(key, self.place)} {key}"


def read_documents(data: bytes | str, name: str) -> list[Map]:
    """Return the documents of a text, each of them a map. `name` is told in errors.

    Raises RuleError for what is not allowed.
    """
    text = _text(data, name)
    reader = _Reader(name)
    try:
        found = list(reader.documents(_events(text)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark is not None else name
        problem = getattr(error, "problem", None) or getattr(error, "reason", "") or "not readable"
        raise refused(where, f"this is no YAML: {str(problem)[:200]}") from error
    except RecursionError as error:
        raise refused(name, "it is nested too deeply") from error
    if not found:
        raise refused(name, "there is no rule in it")
    return found


def _text(data: bytes | str, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise refused(name, f"it has more than {MAX_BYTES} bytes")
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused(name, "it is not UTF-8") from error


def _events(text: str) -> Iterator[Any]:
    """Yield what the parser finds, one after the other: bounds end it early."""
    yield from yaml.parse(text, Loader=_PARSER)


class _Reader:
    """Builds maps and lists of a parser's events."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._values = 0

    def _place(self, event: Any) -> str:
        return f"{self._name}:{event.start_mark.line + 1}"

    def documents(self, events: Iterator[Any]) -> Iterator[Map]:
        """Yield each document."""
        count = 0
        for event in events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            count += 1
            if count > MAX_DOCUMENTS:
                raise refused(self._place(event), f"there are more than {MAX_DOCUMENTS} documents")
            first = next(events)
            found = self._value(first, events, 1)
            if found is None:
                continue  # two `---` in a row, or a comment alone
            if not isinstance(found, Map):
                raise refused(self._place(first), "a rule is a map of keys and values")
            yield found

    def _value(self, event: Any, events: Iterator[Any], depth: int) -> Any:
        place = self._place(event)
        self._values += 1
        if self._values > MAX_VALUES:
            raise refused(place, f"there are more than {MAX_VALUES} values")
        if isinstance(event, yaml.AliasEvent):
            raise refused(place, "aliases (`*name`) are not allowed", "write it out")
        if getattr(event, "anchor", None) is not None:
            raise refused(place, "anchors (`&name`) are not allowed", "write it out")
        if getattr(event, "tag", None) is not None:
            raise refused(place, f"the tag {str(event.tag)[:64]} is not allowed", "leave it out")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event, place)
        if depth > MAX_DEPTH:
            raise refused(place, f"it is nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(events, depth)
        return self._map(event, events, depth)

    def _list(self, events: Iterator[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            found.append(self._value(event, events, depth + 1))
        return found

    def _map(self, start: Any, events: Iterator[Any], depth: int) -> Map:
        found = Map(self._place(start))
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            place = self._place(event)
            if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
                raise refused(place, "a key is a plain text")
            key = event.value
            if len(key) > MAX_TEXT:
                raise refused(place, f"a key has more than {MAX_TEXT} characters")
            if key in found:
                raise refused(place, f"the key {key[:64]!r} stands here twice")
            self._values += 1
            found.put(key, self._value(next(events), events, depth + 1), place)
        return found


def _scalar(event: Any, place: str) -> Any:
    text: str = event.value
    if len(text) > MAX_TEXT:
        raise refused(place, f"a value has more than {MAX_TEXT} characters")
    if (event.style is not None and event.style != "") or not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text
