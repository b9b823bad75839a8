"""Where data that is stored came from, kept with it, so that it is known when it is read again.

A label is compact JSON, at most `MAX_LABELS` bytes: a list of `[pointer, source, origin]`.

    pointer   JSON pointer (RFC 6901) to a text in the stored value; empty for all of it
    source    where the text came from: `event`, or what it was read from, such as `table:users`
    origin    JSON pointer to it there, with `?` for what is no plain word

An empty label says that the code itself made all of it: then it is trusted. What cannot be read, or
does not fit, stands for all of the value. Labels hold no value, but keys of the stored one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .binary import is_binary
from .core import Guard
from .forms import Forms
from .known import MIN_SEARCHED
from .origin import Origin, Span
from .pieces import as_text

MAX_LABELS = 16 * 1024
MAX_TEXTS = 2000
"""Texts of a stored value that are looked at; one with more is labelled as a whole."""
_MIN_BINARY = 64 * 1024
"""Bytes of data that is no text from which on what is text in it is searched, and not all of it."""
_TEXT = re.compile(rf"[^\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]{{{MIN_SEARCHED + 1},}}+")
"""What may hold a text that is searched for."""
_MAX_SOURCE = 200
_MAX_DEPTH = 2
_MIN_SPELLED = 3
"""Characters in a list that are looked at as one text."""
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class Labels:
    """Writes labels for what an invocation stores, and takes in those of what it reads."""

    def __init__(self, guard: Guard) -> None:
        """`guard` knows where the texts of the invocation are from."""
        self.guard = guard
        self._forms = Forms()
        self._looked_at: dict[tuple[bool, int, int], int] = {}
        """Of decoded texts, by kind, length and hash: how many encodings were undone at least."""

    def of(self, value: object) -> str | None:
        """Return the label of a value to be stored; None if there is nothing to tell."""
        if not self.guard.active:
            return None
        self._forms = Forms()
        self._looked_at = {}
        try:
            labels = list(self._labels(value))
            text = _encode(labels) if labels else None
        except (ValueError, RecursionError):
            return _whole("event")
        if text is not None and len(text) > MAX_LABELS:
            return _whole(labels[0][1])
        return text

    def _labels(self, value: object) -> Iterator[list[str]]:
        for number, (pointer, text) in enumerate(_texts(value)):
            if number >= MAX_TEXTS:
                raise ValueError("too many texts")
            origin = self._origin(text, 0)
            if origin is not None:
                yield [pointer, origin.source[:_MAX_SOURCE], origin.pointer]

    def _origin(self, text: str | bytes, depth: int) -> Origin | None:
        """Return where a text, or what it is an encoding of, is from."""
        if self.guard.is_own(text):  # what it shares with the event is chance
            return None
        spans = self._spans(text)
        doubtful = next((s for s in spans if not s.vouched), None)
        if doubtful is not None or depth == _MAX_DEPTH:
            return doubtful.origin if doubtful is not None else None
        for _how, form in self._forms.of(as_text(text)):
            for _pointer, inside in _texts(form):
                if self._was_looked_at(inside, depth + 1):
                    continue
                origin = self._origin(inside, depth + 1)
                if origin is not None:
                    return origin
        return None

    def _spans(self, text: str | bytes) -> list[Span]:
        """Return what is from outside, of large data that is no text by the texts in it."""
        taint = self.guard.taint
        if isinstance(text, str) or len(text) < _MIN_BINARY or not is_binary(text):
            return self.guard.spans(text)
        if taint is None or self.guard.provenance.of(text) is not None:
            return self.guard.spans(text)
        origin = taint.of_data(text, whole=True)
        if origin is not None:
            return [Span(0, len(text), origin, exact=True)]
        return self.guard.spans("\n".join(_TEXT.findall(as_text(text))))

    def _was_looked_at(self, text: str | bytes, depth: int) -> bool:
        """Tell whether a decoded text was looked at before, no deeper than this.

        Of a picture every second form comes so, by two decodings in the other order.
        """
        key = (type(text) is str, len(text), hash(text))  # keyed, and no copy of megabytes
        if self._looked_at.get(key, depth + 1) <= depth:
            return True
        self._looked_at[key] = depth
        return False

    def came(self, source: str, value: object, labels: object) -> None:
        """Take in what was read from `source`, such as `table:users`, with its label."""
        if not labels:
            return
        for pointer in dict.fromkeys(_pointers(labels)):
            found, part = _at(value, pointer)
            if found:
                self.guard.add(source, part, pointer)
                whole = _spelled(part)
                if whole is not None:
                    self.guard.add(source, whole, pointer)
            else:
                self.guard.add(source, value)
        # Before the code takes it apart.
        self.guard.remember()


def _whole(source: str) -> str:
    return _encode([["", source[:_MAX_SOURCE], ""]])


def _texts(value: object) -> Iterator[tuple[str, str | bytes]]:
    """Yield the texts of a JSON value with pointers to them; keys stand for their values."""
    todo: list[tuple[str, object]] = [("", value)]
    while todo:
        pointer, item = todo.pop()
        if isinstance(item, (str, bytes)):
            if item:
                yield pointer, item
        elif isinstance(item, dict):
            for key, child in item.items():
                step = str(key).replace("~", "~0").replace("/", "~1")
                if isinstance(key, str) and key:
                    yield f"{pointer}/{step}#", key
                todo.append((f"{pointer}/{step}", child))
        elif isinstance(item, (list, tuple)):
            whole = _spelled(item)
            if whole is not None:
                yield pointer, whole
            else:
                todo += [(f"{pointer}/{n}", child) for n, child in enumerate(item)]


def _spelled(value: object) -> str | bytes | None:
    """Return the text that a list has as single characters, or as the numbers of its bytes."""
    if not isinstance(value, (list, tuple)) or len(value) < _MIN_SPELLED:
        return None
    if all(type(c) is str and len(c) == 1 for c in value):
        return "".join(value)
    if all(type(n) is int and 0 <= n < 256 for n in value):
        return bytes(value)
    return None


def _pointers(labels: object) -> list[str]:
    """Return the pointers in a label; that of all of the value if it is none."""
    try:
        read: Any = json.loads(labels) if isinstance(labels, (str, bytes)) else labels
        pointers = [entry[0] for entry in read]
        if all(isinstance(pointer, str) for pointer in pointers):
            return pointers
    except (ValueError, TypeError, LookupError, RecursionError):
        pass
    return [""]


def _at(value: object, pointer: str) -> tuple[bool, object]:
    """Return whether a pointer leads anywhere in a value, and where. A key is there by `#`."""
    part: Any = value
    key = pointer.endswith("#")
    steps = (pointer[:-1] if key else pointer).split("/")[1:]
    for number, step in enumerate(steps):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(part, dict) and name in part:
            if key and number == len(steps) - 1:
                return True, next((k for k in part if k == name), name)
            part = part[name]
        elif isinstance(part, list) and name.isdigit() and int(name) < len(part):
            part = part[int(name)]
        else:
            return False, None
    return True, part
