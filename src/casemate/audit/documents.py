"""YAML and JSON into maps and lists that know where they stand, whatever their author meant by it.

It is built of the parser's events, without recursion: bounded in values, depth and size, aliases
counted as often as they are used, so that neither a bomb nor a ring costs more than a long file.
Short tags of CloudFormation become the functions that they stand for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml  # type: ignore[import-untyped]

from casemate.audit.limits import MAX_KEY, MAX_NESTING, MAX_SCALAR, MAX_VALUES
from casemate.audit.model import Place
from casemate.model.errors import CasemateError

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,15})?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "on", "On"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "off", "Off"), False),
}
_PLAIN_TAGS = frozenset(("Ref", "Condition"))
_MAX_JSON_PLACES = 4 << 20
"""Bytes of JSON up to which places are kept: they take the slower reader."""


class DocumentError(CasemateError):
    """It is neither YAML nor JSON, or more than is read."""

    def __init__(self, message: str, line: int = 1) -> None:
        """Keep the line."""
        super().__init__(message)
        self.line = line


class Map(dict[str, Any]):
    """A map that knows where it and its keys stand."""

    __slots__ = ("file", "line", "places")

    def __init__(self, file: str = "", line: int = 1) -> None:
        """Begin an empty one."""
        super().__init__()
        self.file = file
        self.line = line
        self.places: dict[str, tuple[int, int]] = {}

    def like(self) -> Map:
        """Return an empty one that stands at the same place."""
        made = Map(self.file, self.line)
        made.places = self.places
        return made


class List(list[Any]):
    """A list that knows where it and its items stand."""

    __slots__ = ("file", "line", "places")

    def __init__(self, file: str = "", line: int = 1) -> None:
        """Begin an empty one."""
        super().__init__()
        self.file = file
        self.line = line
        self.places: list[tuple[int, int]] = []

    def like(self) -> List:
        """Return an empty one that stands at the same place."""
        made = List(self.file, self.line)
        made.places = self.places
        return made


def place_of(container: Any, key: str | int | None = None, default: Place | None = None) -> Place:
    """Return where a key or an item of a map or list stands; without one, the container itself."""
    if isinstance(container, Map):
        if isinstance(key, str) and key in container.places:
            return Place(container.file, *container.places[key])
        return Place(container.file, container.line)
    if isinstance(container, List):
        if isinstance(key, int) and 0 <= key < len(container.places):
            return Place(container.file, *container.places[key])
        return Place(container.file, container.line)
    return default or Place("")


def position(value: Any) -> int | None:
    """Return the index that a number or a text of digits is; None for all else, such as `²`."""
    written = str(value)
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else None


class _Open:
    """A map or list that is being read."""

    __slots__ = ("anchor", "key", "key_at", "merged", "tag", "value", "weight")

    def __init__(self, value: Map | List, anchor: str | None, tag: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.tag = tag
        self.key: str | None = None
        self.key_at = (1, 1)
        self.weight = 1
        self.merged: list[Map] = []


class _Reader:
    """Builds one file's documents out of events."""

    def __init__(self, file: str, notes: list[tuple[int, int, str]]) -> None:
        self._file = file
        self._notes = notes
        self._left = MAX_VALUES
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._stack: list[_Open] = []
        self._done: list[Any] = []

    def read(self, events: Iterator[Any]) -> list[Any]:
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._begin(event)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._end(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
        return self._done

    def _spend(self, count: int, event: Any) -> None:
        self._left -= count
        if self._left < 0:
            line = event.start_mark.line + 1
            raise DocumentError(f"it has more than {MAX_VALUES} values, aliases counted", line)

    def _begin(self, event: Any) -> None:
        self._spend(1, event)
        line = event.start_mark.line + 1
        if len(self._stack) >= MAX_NESTING:
            raise DocumentError(f"it is nested more than {MAX_NESTING} deep", line)
        kind = Map if isinstance(event, yaml.MappingStartEvent) else List
        if event.anchor is not None:  # a ring leads here while it is read
            self._anchors.pop(event.anchor, None)
        self._stack.append(_Open(kind(self._file, line), event.anchor, event.tag))
        if self._expects_key(-2):
            raise DocumentError("a key is neither a text nor a number", line)

    def _expects_key(self, index: int = -1) -> bool:
        if len(self._stack) < -index:
            return False
        opened = self._stack[index]
        return isinstance(opened.value, Map) and opened.key is None

    def _end(self, event: Any) -> None:
        opened = self._stack.pop()
        value: Any = opened.value
        for merged in reversed(opened.merged):
            for key, each in merged.items():
                if key not in value:
                    value[key] = each
                    value.places[key] = merged.places.get(key, (merged.line, 1))
        value = _tagged(value, opened.tag, self._file, opened.value.line)
        if opened.anchor is not None:
            self._anchors[opened.anchor] = (value, opened.weight)
        self._put(value, opened.weight, (opened.value.line, 1))

    def _scalar(self, event: Any) -> None:
        self._spend(1, event)
        at = (event.start_mark.line + 1, event.start_mark.column + 1)
        if len(event.value) > MAX_SCALAR:
            raise DocumentError(f"a value has more than {MAX_SCALAR} characters", at[0])
        if self._expects_key() and event.tag is None:
            opened = self._stack[-1]
            opened.key, opened.key_at = event.value, at
            return
        value = _plain(event.value) if event.implicit[0] else event.value
        value = _tagged(value, event.tag, self._file, at[0])
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._put(value, 1, at)

    def _alias(self, event: Any) -> None:
        at = (event.start_mark.line + 1, event.start_mark.column + 1)
        if event.anchor not in self._anchors:
            self._notes.append((*at, f"the alias *{event.anchor[:64]} refers to itself or nothing"))
            self._put(None, 1, at)
            return
        value, weight = self._anchors[event.anchor]
        self._spend(weight, event)
        self._put(value, weight, at)

    def _put(self, value: Any, weight: int, at: tuple[int, int]) -> None:
        if not self._stack:
            self._done.append(value)
            return
        opened = self._stack[-1]
        opened.weight += weight
        if isinstance(opened.value, List):
            opened.value.append(value)
            opened.value.places.append(at)
            return
        key, opened.key = opened.key, None
        if key is None:
            opened.key, opened.key_at = str(value), at
        elif key == "<<" and isinstance(value, (Map, List)):
            found = [value] if isinstance(value, Map) else value
            opened.merged += [each for each in found if isinstance(each, Map)]
        else:
            if len(key) > MAX_KEY:
                raise DocumentError(f"a key has more than {MAX_KEY} characters", at[0])
            if key in opened.value:
                what = f"the key {key[:128]!r} is there twice: the last one counts"
                self._notes.append((*opened.key_at, what))
            opened.value[key] = value
            opened.value.places[key] = opened.key_at


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _tagged(value: Any, tag: str | None, file: str, line: int) -> Any:
    """Return what a short tag stands for: `!Ref x` is `{Ref: x}`."""
    if tag is None or not tag.startswith("!") or len(tag) < 2:
        return str(value) if tag == "tag:yaml.org,2002:str" and value is not None else value
    name = tag[1:65]
    made = Map(file, line)
    if name == "GetAtt" and isinstance(value, str):
        first, _, rest = value.partition(".")
        value = [first, rest]
    made[name if name in _PLAIN_TAGS else f"Fn::{name}"] = value
    return made


def read_documents(text: str, file: str) -> tuple[list[Any], list[tuple[int, int, str]]]:
    """Return the documents of a text, and notes (line, column, what). Raises DocumentError."""
    notes: list[tuple[int, int, str]] = []
    if text.lstrip()[:1] in ("{", "[") and (len(text) > _MAX_JSON_PLACES or "\t" in text):
        return [_json(text, file, notes)], notes
    try:
        return _Reader(file, notes).read(yaml.parse(text, Loader=_PARSER)), notes
    except (yaml.YAMLError, UnicodeError) as error:
        if text.lstrip()[:1] in ("{", "["):
            return [_json(text, file, notes)], notes
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", "") or "unreadable"
        line = mark.line + 1 if mark is not None else 1
        raise DocumentError(f"it is not YAML: {str(problem)[:200]}", line) from error


def _json(text: str, file: str, notes: list[tuple[int, int, str]]) -> Any:
    """Return a JSON document, all of it at line 1."""
    left = MAX_VALUES

    def build(pairs: list[tuple[str, Any]]) -> Map:
        nonlocal left
        left -= len(pairs)
        if left < 0:
            raise DocumentError(f"it has more than {MAX_VALUES} values")
        made = Map(file)
        for key, value in pairs:
            if len(key) > MAX_KEY:
                raise DocumentError(f"a key has more than {MAX_KEY} characters")
            if isinstance(value, str) and len(value) > MAX_SCALAR:
                raise DocumentError(f"a value has more than {MAX_SCALAR} characters")
            if key in made and len(notes) < 100:
                notes.append((1, 1, f"the key {key[:128]!r} is there twice: the last one counts"))
            made[key] = value
        return made

    try:
        return json.loads(text, object_pairs_hook=build)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise DocumentError("it is neither YAML nor JSON, or nested too deeply", line) from error
