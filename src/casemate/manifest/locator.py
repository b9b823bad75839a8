"""Where each key of a TOML text stands, which `tomllib` does not tell.

This is a locator, not a parser: what is valid and what it means is for `tomllib` alone to say. It
accepts any text, runs in linear time without recursion, and where it does not understand a line
it goes on at the next one.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import NamedTuple

MAX_DEPTH = 16
"""Keys and array levels from the root down to a value. A manifest needs five."""

MAX_KEYS = 100_000
"""Keys whose place is kept; beyond that the enclosing table's place has to do."""

KeyPath = tuple[str | int, ...]
"""Names of tables and keys from the root, with indices into arrays."""

_BLANK = re.compile(r"[ \t]*+")
_GAP = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")
_KEY_PART = re.compile(
    r"""(?P<bare>[A-Za-z0-9_-]++)
      |"(?P<basic>(?:[^"\\\n]++|\\[^\n])*+)"
      |'(?P<literal>[^'\n]*+)'""",
    re.VERBOSE,
)
_STRING = re.compile(
    r""""{3}(?:[^"\\]++|\\.|"{1,2}(?!"))*+"{3,5}
      |\'{3}(?:[^']++|\'{1,2}(?!'))*+\'{3,5}
      |"(?!"")(?:[^"\\\n]++|\\[^\n])*+"
      |\'(?!\'\')[^'\n]*+\'""",
    re.VERBOSE | re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}\n#]*+")


class Position(NamedTuple):
    """A place in a text; both count from 1, columns count characters."""

    line: int
    column: int


class Header(NamedTuple):
    """A `[table]` or `[[table]]` line: its path (with the index of an array's table) and line."""

    path: KeyPath
    line: int


class Repeated(NamedTuple):
    """A key or table that is written out twice: its path, and the places of both."""

    path: KeyPath
    first: Position
    second: Position


class _Frame:
    """An array (`close` is `]`) or an inline table that is being read."""

    __slots__ = ("close", "index", "path", "value_read")

    def __init__(self, path: KeyPath, close: str) -> None:
        self.path = path
        self.close = close
        self.index = -1
        self.value_read = False


class KeyLocator:
    """The places of the keys of one text, whose line ends are `\\n`."""

    def __init__(self, text: str) -> None:
        """Read the whole of `text`, at most up to what is nested deeper than MAX_DEPTH."""
        self._text = text
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._offsets: dict[KeyPath, int] = {}
        self._written: dict[KeyPath, int] = {}
        self._repeated: tuple[KeyPath, int, int] | None = None
        self._table_counts: dict[KeyPath, int] = {}
        self._headers: list[tuple[KeyPath, int]] = []
        self._prefix: KeyPath = ()
        self._pos = 0
        self._too_deep: int | None = None
        self._read()

    @property
    def too_deep(self) -> Position | None:
        """Place of the first key or array that is nested deeper than MAX_DEPTH, or None."""
        return None if self._too_deep is None else self.position(self._too_deep)

    @property
    def repeated(self) -> Repeated | None:
        """The first key or table that is written out twice, which no TOML may have, or None."""
        if self._repeated is None:
            return None
        path, first, second = self._repeated
        return Repeated(path, self.position(first), self.position(second))

    @property
    def headers(self) -> list[Header]:
        """The headers of tables in their order; those beyond MAX_KEYS keys are left out."""
        return [Header(path, self.position(offset).line) for path, offset in self._headers]

    def locate(self, path: KeyPath) -> Position:
        """Return the place of a key, or of the nearest table around it that has one."""
        for end in range(len(path), 0, -1):
            offset = self._offsets.get(path[:end])
            if offset is not None:
                return self.position(offset)
        return Position(1, 1)

    def position(self, offset: int) -> Position:
        """Return line and column of a character of the text."""
        line = bisect_right(self._line_starts, offset)
        return Position(line, offset - self._line_starts[line - 1] + 1)

    def _read(self) -> None:
        while True:
            self._skip(_GAP)
            if self._pos >= len(self._text):
                return
            if self._peek() == "[":
                self._read_header()
            else:
                path = self._read_key(self._prefix)
                if path is not None:
                    self._read_value(path)
            end = self._text.find("\n", self._pos)
            self._pos = len(self._text) if end < 0 else end

    def _read_header(self) -> None:
        is_array = self._text.startswith("[[", self._pos)
        self._pos += 2 if is_array else 1
        parts = self._read_key_parts(0)
        if not parts:
            return
        name, offset = parts[-1]
        path: KeyPath = (*self._enclosing((), parts[:-1]), name)
        if is_array:
            self._offsets.setdefault(path, offset)
            index = self._table_counts.get(path, 0)
            if index == 0:
                self._note_written(path, offset)
            self._table_counts[path] = index + 1
            path = (*path, index)
        if len(self._offsets) < MAX_KEYS:
            self._headers.append((path, offset))
        self._record(path, offset)
        self._prefix = path

    def _read_key(self, prefix: KeyPath) -> KeyPath | None:
        """Read `key =` and return the path of the value, None where there is no such thing."""
        parts = self._read_key_parts(len(prefix))
        if not parts:
            return None
        name, offset = parts[-1]
        path = (*self._enclosing(prefix, parts[:-1]), name)
        self._record(path, offset)
        if self._peek() != "=":
            return None
        self._pos += 1
        return path

    def _read_key_parts(self, depth: int) -> list[tuple[str, int]]:
        """Read a dotted key; return its names with their offsets, nothing if it is malformed."""
        parts: list[tuple[str, int]] = []
        while True:
            self._skip(_BLANK)
            match = _KEY_PART.match(self._text, self._pos)
            if match is None:
                return []
            if not self._check_depth(depth + len(parts) + 1):
                return []
            parts.append((_key_name(match), self._pos))
            self._pos = match.end()
            self._skip(_BLANK)
            if self._peek() != ".":
                return parts
            self._pos += 1

    def _enclosing(self, prefix: KeyPath, parts: list[tuple[str, int]]) -> KeyPath:
        """Follow names into the newest element of every array of tables on the way."""
        for name, offset in parts:
            prefix = (*prefix, name)
            if len(self._offsets) < MAX_KEYS:
                self._offsets.setdefault(prefix, offset)
            if prefix in self._table_counts:
                prefix = (*prefix, self._table_counts[prefix] - 1)
        return prefix

    def _read_value(self, path: KeyPath) -> None:
        frames: list[_Frame] = []
        following: KeyPath | None = path
        while following is not None:
            self._skip(_GAP if frames else _BLANK)
            opening = self._peek()
            if opening in ("[", "{"):
                self._pos += 1
                frames.append(_Frame(following, "]" if opening == "[" else "}"))
            else:
                self._skip_scalar()
            following = self._following_value(frames)

    def _following_value(self, frames: list[_Frame]) -> KeyPath | None:
        """Go to the next value in the open arrays and tables; None where there is none."""
        while frames:
            frame = frames[-1]
            self._skip(_GAP)
            char = self._peek()
            if char == frame.close:
                self._pos += 1
                frames.pop()
            elif frame.value_read:
                if char != ",":
                    return None
                self._pos += 1
                frame.value_read = False
            else:
                frame.value_read = True
                return self._element(frame)
        return None

    def _element(self, frame: _Frame) -> KeyPath | None:
        if frame.close == "}":
            return self._read_key(frame.path)
        frame.index += 1
        path = (*frame.path, frame.index)
        if not self._check_depth(len(path)):
            return None
        self._record(path, self._pos)
        return path

    def _skip_scalar(self) -> None:
        if self._peek() in ('"', "'"):
            match = _STRING.match(self._text, self._pos)
            if match is not None:
                self._pos = match.end()
            elif self._text.startswith(('"""', "'''"), self._pos):
                self._pos = len(self._text)
            return
        self._skip(_SCALAR)

    def _check_depth(self, depth: int) -> bool:
        if depth <= MAX_DEPTH:
            return True
        self._too_deep = min(self._pos, max(len(self._text) - 1, 0))
        self._pos = len(self._text)
        return False

    def _record(self, path: KeyPath, offset: int) -> None:
        if len(self._offsets) >= MAX_KEYS:
            return
        self._offsets[path] = offset
        self._note_written(path, offset)

    def _note_written(self, path: KeyPath, offset: int) -> None:
        first = self._written.setdefault(path, offset)
        if first != offset and self._repeated is None:
            self._repeated = (path, first, offset)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._pos)
        if match is not None:
            self._pos = match.end()

    def _peek(self) -> str:
        return self._text[self._pos : self._pos + 1]


def _key_name(match: re.Match[str]) -> str:
    basic = match["basic"]
    if basic is None:
        return match["literal"] if match["bare"] is None else match["bare"]
    if "\\" not in basic:
        return basic
    try:
        return str(tomllib.loads(f"key = {match[0]}")["key"])
    except ValueError:
        return basic
