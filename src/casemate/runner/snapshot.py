"""What the function's own frames held when its handler raised, told in two ways.

The outline has names and kinds, and few values: what holds others, texts and bytes are described
by kind and size alone, as they come from events. The values are the same frames with what was in
them, within bounds; nobody sees those before the host has masked them. Nothing of the function's
is called for either: no `repr`, no `len` of its own types, no mapping but a plain one.
"""

from __future__ import annotations

import itertools
import sys
import types
from collections.abc import Collection, Iterator
from typing import Any

from .event import Event

CODE = "/function/code/"
MAX_FRAMES = 16
"""The innermost."""
MAX_NAMES = 32
"""Of one frame."""
OURS = "__casemate_"
"""What names begin with that the sink guard writes into a function: they would tell nobody
anything."""
MAX_TEXT = 120
MAX_BYTES = 16 * 1024
"""Of each of the two."""
MAX_VALUE = 200
"""Characters or bytes of one text. A longer one is told by its size: a part of a secret would not
be known for one."""
MAX_DEPTH = 3
MAX_ITEMS = 16
"""Of one list or dict."""
MAX_VALUES = 64
"""Of one name, with all that is in it."""
MAX_BITS = 256
_MAX_WALKED = 1000
_Placed = tuple[types.FrameType, int]
_SIZED: tuple[type, ...] = (str, bytes, bytearray, list, tuple, dict, set, frozenset)
_LISTED: dict[type, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}
_BETWEEN = b"\0"
_SECRET = (
    *("passw", "passphrase", "secret", "token", "api_key", "apikey", "private_key", "credential"),
    *("authorization", "cookie", "session", "signature"),
)
"""What is in the names of values that are not told, in small letters."""
_HIDDEN = "[redacted]"


def _mapping_of_names() -> type:
    return type(sys._getframe().f_locals)


_MAPPINGS: tuple[type, ...] = (dict, _mapping_of_names())
"""What the names of a frame are in: a dict, or since Python 3.13 a view of the frame. What is
neither is a mapping of the function's own, as a metaclass or `exec` may bring."""
_traceback_of = BaseException.__dict__["__traceback__"].__get__


def of(error: BaseException) -> bytes:
    """Return outline and values of an exception's frames, as the host takes them apart."""
    return taken(error).replace(_BETWEEN, b"?") + _BETWEEN + values(error)


def parts(body: bytes) -> tuple[bytes, bytes]:
    """Take apart what an instance sent, whatever it is; both within MAX_BYTES."""
    outline, _, found = body[: 2 * MAX_BYTES + 1].partition(_BETWEEN)
    return outline[:MAX_BYTES], found if len(found) <= MAX_BYTES else b""


def taken(error: BaseException) -> bytes:
    """Return the outline of an exception's frames, the innermost last, as text."""
    lines = [line for placed in _frames(error) for line in _outline(*placed)]
    return "\n".join(lines).encode(errors="replace")[:MAX_BYTES]


def values(error: BaseException) -> bytes:
    """Return the frames with values. A line is whole or is not there: nothing of it is cut."""
    told: list[bytes] = []
    left = MAX_BYTES
    # The innermost frames come first here: they say the most.
    for placed in reversed(_frames(error)):
        for line in _lines(*placed):
            encoded = line.encode(errors="replace") + b"\n"
            if len(encoded) > left:
                return b"".join(told)
            left -= len(encoded)
            told.append(encoded)
    return b"".join(told)


def _frames(error: BaseException) -> list[_Placed]:
    """Return the frames of the function's own code, the innermost last.

    Each with the line that the trace has: its frame goes on after that, to the `except` lines that
    do not fit and into `finally`.
    """
    frames: list[_Placed] = []
    trace: types.TracebackType | None = _traceback_of(error)
    walked = 0
    while trace is not None and walked < _MAX_WALKED:
        if str.startswith(trace.tb_frame.f_code.co_filename, CODE):
            frames.append((trace.tb_frame, trace.tb_lineno))
        trace, walked = trace.tb_next, walked + 1
    return frames[-MAX_FRAMES:]


def _names(frame: types.FrameType) -> tuple[list[tuple[str, object]], int]:
    """Return the first names of a frame with what they stand for, and how many more there are."""
    found = frame.f_locals
    if type(found) not in _MAPPINGS:
        return [], 0
    looked = list(itertools.islice(found.items(), 2 * MAX_NAMES))
    theirs = [each for each in looked if not (type(each[0]) is str and each[0].startswith(OURS))]
    first = theirs[:MAX_NAMES]
    more = len(found) - (len(looked) - len(theirs)) - len(first)
    return [(name, value) for name, value in first if type(name) is str], more


def _place(frame: types.FrameType, line: int) -> str:
    code = frame.f_code
    return f"{code.co_filename[len(CODE) :]}:{line} in {code.co_name}"[:MAX_TEXT]


def _outline(frame: types.FrameType, line: int) -> Iterator[str]:
    yield _place(frame, line)
    names, more = _names(frame)
    for name, value in names:
        yield f"  {name} = {_kind(value)}"[:MAX_TEXT]
    if more:
        yield f"  and {more} more"


def _lines(frame: types.FrameType, line: int) -> Iterator[str]:
    yield _place(frame, line)
    names, more = _names(frame)
    for name, value in names:
        yield f"  {name[:MAX_TEXT]} = {_Value().of(name, value)}"
    if more:
        yield f"  and {more} more"


def _kind(value: object) -> str:
    kind = type(value)
    if value is None or kind is bool:
        return str(value)
    if kind is int or kind is float:
        return kind.__name__
    if kind in _SIZED:
        return f"{kind.__name__} of {len(value)}"  # type: ignore[arg-type]
    name = type.__dict__["__qualname__"].__get__(kind)
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"[:MAX_TEXT]


class _Value:
    """One name's value as text: so many values of it, so deep."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def of(self, name: object, value: object, depth: int = 0) -> str:
        """Return what a value is; of one with a name like a secret's that it is hidden."""
        if type(name) is str and any(part in name[:MAX_VALUE].lower() for part in _SECRET):
            return _HIDDEN
        return self._text(value, depth)

    def _text(self, value: Any, depth: int) -> str:
        kind = type(value)
        self._left -= 1
        if kind is int:
            return int.__repr__(value) if value.bit_length() <= MAX_BITS else "int"
        if kind is float:
            return float.__repr__(value)
        if kind is str or kind is bytes or kind is bytearray:
            return repr(value) if len(value) <= MAX_VALUE and not _is_key(value) else _kind(value)
        if depth < MAX_DEPTH and kind in _LISTED:
            around = _LISTED[kind]
            return f"{around[0]}{self._items(value, depth)}{around[1]}"
        if depth < MAX_DEPTH and (kind is dict or kind is Event):
            return f"{{{self._pairs(value, depth)}}}"
        return _kind(value)

    def _items(self, value: Collection[Any], depth: int) -> str:
        told: list[str] = []
        for item in value:
            if len(told) == MAX_ITEMS or self._left <= 0:
                told.append(f"and {len(value) - len(told)} more")
                break
            told.append(self._text(item, depth + 1))
        return ", ".join(told)

    def _pairs(self, value: dict[Any, Any], depth: int) -> str:
        told: list[str] = []
        # Of `dict` itself, whatever an event's own type has.
        for key, item in dict.items(value):
            if len(told) == MAX_ITEMS or self._left <= 0:
                told.append(f"and {dict.__len__(value) - len(told)} more")
                break
            told.append(f"{self._text(key, MAX_DEPTH)}: {self.of(key, item, depth + 1)}")
        return ", ".join(told)


def _is_key(value: Any) -> bool:
    """Tell whether a text is a private key, whose lines would not be known for one once escaped."""
    return ("PRIVATE KEY" if type(value) is str else b"PRIVATE KEY") in value
