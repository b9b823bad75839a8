"""Files that a function writes: noted when they are opened, judged before somebody reads them.

That is when they are opened again, moved, or a program starts, and once the handler has returned.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from posixpath import join, normpath  # as they are before the guard follows what they make
from types import ModuleType
from typing import Any

from .. import own_files
from ..core import Guard, Place
from ..hooks import argument
from ..pieces import as_text
from ..standing import is_import, wrap_after
from . import alike, entries, kinds, shaped, streams
from .judgement import FILE, MAX_TEXT, Judge, sink_of, spans_of, verdict_on
from .kinds import Kind
from .lines import BREAKS
from .values import Values

_NOTED, _PIECES, _INODES = ("file", "written"), ("file", "pieces"), ("file", "inodes")
MAX_FILES = 100
"""Files of an invocation that are looked at, the last ones that it opened."""
MAX_UNTOLD = 64
"""Writes up to which a file is followed whose name tells nothing."""
MAX_READ = 1024 * 1024
"""Bytes of them all that are looked at at once."""
_WRITES = os.O_WRONLY | os.O_RDWR
_LOOKED_AT = 1024
_OF_ROWS = frozenset((Kind.CELLS, Kind.TABBED, Kind.RECORDS, Kind.TRAIL))
"""Kinds of which a line can be judged without those before it."""
_SYSTEM = ("/dev/", "/proc/", "/sys/")
_PRINTED = frozenset((str, int, float, bool, type(None)))


class _Pieces:
    """What the code wrote into a file, as far as it was seen."""

    __slots__ = ("held", "size", "writes")

    def __init__(self) -> None:
        self.held: list[str | bytes] = []
        self.size = self.writes = 0

    def add(self, text: object) -> None:
        if isinstance(text, (str, bytes)) and self.size <= MAX_TEXT:
            self.held.append(text)
            self.size += len(text) + 1


class Written:
    """Follows the files of a process."""

    def __init__(self, shell: Any) -> None:
        """`shell`: makes a judge of scripts, given the guard."""
        self._shell = shell

    def opened(self, guard: Guard, arguments: tuple[Any, ...]) -> None:
        """Take in the audit event `open`."""
        path, _, flags = (*arguments, None, 0)[:3]
        if isinstance(flags, int) and flags & _WRITES:
            streams.opened(guard, path)
        if isinstance(path, int) or not isinstance(flags, int) or is_import():
            return
        noted: dict[str, bool] | None = guard.provenance.kept.get(_NOTED)
        if not flags & _WRITES:
            own_files.opened(guard.provenance.kept, guard.root, path)
            if noted and (read := _absolute(path)) in noted:
                self._look(guard, read, read, MAX_READ)
                _look_at_entries(guard, read)
            return
        where = _absolute(path)
        if not where or where.startswith((*_SYSTEM, guard.root)):
            return
        added = bool(flags & os.O_APPEND)
        if noted is None:
            noted = guard.provenance.kept[_NOTED] = {}
        noted.pop(where, None)
        if not added:
            guard.provenance.kept.get(_PIECES, {}).pop(where, None)
        noted[where] = added
        if len(noted) > MAX_FILES:
            # What no name tells of goes first.
            del noted[next((one for one in noted if not _is_told(one, noted)), next(iter(noted)))]

    def wrote(
        self, guard: Guard, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        """Take in what the code hands to a file's `write` or `writelines`."""
        noted = guard.provenance.kept.get(_NOTED)
        if not noted or not arguments:
            return
        function = getattr(function, "__wrapped__", function)  # of a temporary file
        name = getattr(getattr(function, "__self__", None), "name", None)
        where = _absolute(name) if isinstance(name, (str, bytes)) else ""
        if type(name) is int:
            where = _behind(guard.provenance.kept, noted, name)
        if where in noted:
            several = function.__name__ == "writelines"
            if several and type(arguments[0]) not in (list, tuple):
                return  # it gives its lines once
            self.add(guard, where, arguments[0] if several else arguments[:1])

    def printed(
        self, guard: Guard, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        """Take in what the code prints into a file."""
        noted: dict[str, bool] = guard.provenance.kept.get(_NOTED) or {}
        name = getattr(named.get("file"), "name", None) if noted and function is print else None
        if isinstance(name, (str, bytes)) and (where := _absolute(name)) in noted:
            if not all(type(text) in _PRINTED for text in arguments):
                return  # only the file knows what it was printed as
            between, end = (named.get(n) for n in ("sep", "end"))
            texts: list[object] = []
            for number, text in enumerate(arguments):
                if number:
                    texts.append(" " if between is None else between)
                texts.append(text if isinstance(text, str) else str(text))
            self.add(guard, where, [*texts, "\n" if end is None else end])

    def add(self, guard: Guard, where: str, texts: Iterable[object]) -> None:
        """Take in what is written into a file at once."""
        kept = guard.provenance.kept
        pieces: _Pieces = kept.setdefault(_PIECES, {}).setdefault(where, _Pieces())
        pieces.writes += 1
        for text in texts:
            pieces.add(text)
        if pieces.writes == MAX_UNTOLD + 1 and not _is_told(where, kept[_NOTED]):
            del kept[_PIECES][where], kept[_NOTED][where]
            for name in (_PIECES, _NOTED) if not kept[_NOTED] else ():
                del kept[name]  # with nothing kept, writing costs nothing more

    def patch_pathlib(self, guard: Guard, module: ModuleType) -> None:
        """Take in what `pathlib` writes, which opens the file by itself."""

        def after(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
            where = _absolute(arguments[0]) if guard.active else ""
            if where in guard.provenance.kept.get(_NOTED, ()):
                guard.provenance.kept.get(_PIECES, {}).pop(where, None)
                self.add(guard, where, [argument(arguments, named, 1, "data")])

        wrap_after(module.Path, "write_text", after)
        wrap_after(module.Path, "write_bytes", after)

    def moved(self, guard: Guard, arguments: tuple[Any, ...]) -> None:
        """Take in that a file gets another name, which may tell what it is."""
        source, target = _absolute(arguments[0]), _absolute(arguments[1])
        if source and target and not source.startswith((*_SYSTEM, guard.root)):
            self._look(guard, source, target, MAX_READ)

    def removed(self, guard: Guard, arguments: tuple[Any, ...]) -> None:
        """Take in that a file goes, which the code may have read by the file that wrote it."""
        noted = guard.provenance.kept.get(_NOTED)
        if noted and (where := _absolute(arguments[0])) in noted:
            self._look(guard, where, where, MAX_READ)
            noted.pop(where, None)

    def removed_all(self, guard: Guard, arguments: tuple[Any, ...]) -> None:
        """Take in that a folder goes, with the files that are below it."""
        folder = _absolute(arguments[0]) + "/"
        for where in [
            one for one in guard.provenance.kept.get(_NOTED, ()) if one.startswith(folder)
        ]:
            self._look(guard, where, where, MAX_READ)

    def started(self, guard: Guard, arguments: tuple[Any, ...]) -> None:
        """Take in that a program starts, which may read any of the files."""
        self.all(guard)

    def all(self, guard: Guard) -> None:
        """Judge all files that were written."""
        noted: dict[str, bool] = guard.provenance.kept.get(_NOTED) or {}
        room = MAX_READ
        for where in reversed(list(noted)):
            room -= self._look(guard, where, where, room)
            if room <= 0:
                return

    def _look_at_shape(self, guard: Guard, where: str) -> None:
        """Judge a file of no known kind by what the code was seen writing into it."""
        pieces = _held(guard, where)
        text = "".join(map(as_text, pieces))
        signs = shaped.signs_of(text) if text else ()
        values = Values(guard) if signs else None
        if values is not None and any(values.holds(piece, signs) for piece in pieces):
            check(guard, Kind.SHAPED, text, pieces, self._shell(guard))

    def _look(self, guard: Guard, where: str, name: str, room: int) -> int:
        """Judge a file by a name; return how much of it was read."""
        added = guard.provenance.kept.get(_NOTED, {}).get(where, False)
        if not added and not _is_told(name, {}):
            self._look_at_shape(guard, where)
            return 0
        found: list[tuple[Kind | None, bytes]] = []
        # What is opened within a decision is not looked at.
        guard.decide(FILE, lambda: found.append(_content(where, name, min(room, MAX_TEXT))))
        for known_as, data in found:
            text = as_text(data)
            kind = known_as or (Kind.TRAIL if added and data else None)
            kind = kind or (Kind.SETTINGS if alike.is_environment(text) else None)
            if kind is not None:
                pieces = pieces_of(guard, where, text)
                if not pieces and added and kind in _OF_ROWS:  # others wrote what is before it
                    text, pieces = _end_of(guard, where, text)
                check(guard, kind, text, pieces or [data], self._shell(guard))
        return sum(len(data) for _, data in found)


def _look_at_entries(guard: Guard, where: str) -> None:
    """Judge lines that the code has written into a file, and reads again."""
    pieces = _held(guard, where)
    text = "".join(map(as_text, pieces))
    if BREAKS.search(text.strip()) is not None:
        judged = entries.judging(guard)
        guard.decide(entries.NAME, lambda: judged(text, spans_of(guard, pieces)))


def _behind(kept: dict[Any, Any], noted: Mapping[str, bool], descriptor: int) -> str:
    """Return which of the noted files a descriptor leads to, as that of `mkstemp`."""
    with contextlib.suppress(OSError):
        status = os.fstat(descriptor)
        known: dict[tuple[int, int], str] = kept.setdefault(_INODES, {})
        key = status.st_dev, status.st_ino
        if known.get(key) not in noted:
            for where in noted:
                with contextlib.suppress(OSError):
                    if os.path.samestat(os.stat(where), status):
                        known[key] = where
                        break
            else:
                return ""
        return known[key]
    return ""


def _is_told(name: str, added: Mapping[str, bool]) -> bool:
    """Tell whether a file is of a kind that its name may tell, or is added to."""
    known = kinds.of_name(name) is not None or kinds.may_be_script(name)
    return known or added.get(name, False)


def _held(guard: Guard, where: str) -> Sequence[str | bytes]:
    kept: _Pieces | None = guard.provenance.kept.get(_PIECES, {}).get(where)
    return kept.held if kept is not None and kept.size <= MAX_TEXT else ()


def pieces_of(guard: Guard, where: str, text: str) -> Sequence[str | bytes]:
    """Return what the code put a file together of, if the file holds just that; else nothing."""
    kept: _Pieces | None = guard.provenance.kept.get(_PIECES, {}).get(where)
    if kept is None or "".join(map(as_text, kept.held)) != text:
        return ()
    return kept.held


def _end_of(guard: Guard, where: str, text: str) -> tuple[str, Sequence[str | bytes]]:
    """Return what the code has added to a file, and what it put this together of.

    All of the file, and nothing, if it does not end so.
    """
    kept: _Pieces | None = guard.provenance.kept.get(_PIECES, {}).get(where)
    end = "".join(map(as_text, kept.held)) if kept is not None else ""
    return (end, kept.held) if kept is not None and end and text.endswith(end) else (text, ())


def _content(where: str, name: str, room: int) -> tuple[Kind | None, bytes]:
    """Return what a file holds, and its kind; nothing of what is no text, or too long."""
    with contextlib.suppress(OSError, ValueError):
        if 0 < os.stat(where).st_size <= room:
            with open(where, "rb") as file:
                data = file.read(room + 1)
            if b"\0" not in data[:_LOOKED_AT]:
                head = as_text(data[:_LOOKED_AT])
                return kinds.of_first_line(head) or kinds.of_name(name), data
    return None, b""


def check(guard: Guard, kind: Kind, text: str, pieces: Sequence[str | bytes], shell: Judge) -> None:
    """Block (BlockedError) what is done with a text of a kind that the event has changed.

    `pieces`: what it was put together of.
    """
    if len(text) <= MAX_TEXT:
        guard.decide(sink_of(kind), lambda: verdict_on(guard, kind, text, pieces, shell))


def check_at_end(guard: Guard, written: Written, place: Place | None = None) -> None:
    """Judge what was written, once the handler has returned."""
    if guard.active and guard.provenance.kept.get(_NOTED):
        guard.answering = place
        try:
            written.all(guard)
        finally:
            guard.answering = None


def _absolute(path: object) -> str:
    try:
        text = os.fspath(path)  # type: ignore[call-overload]
        text = os.fsdecode(text)
    except (TypeError, ValueError):
        return ""
    return normpath(join(os.getcwd(), text)) if "\0" not in text else ""
