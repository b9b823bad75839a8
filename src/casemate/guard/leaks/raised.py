"""The exceptions that code of this process caught or formatted, by what could be told of them.

Noted is their text, not the exceptions: these hold the frames they went through, and all in them.
"""

from __future__ import annotations

import _thread
import ast
import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, TracebackType
from typing import NamedTuple

from .drivers import is_database, tells_alone

MAX_SOURCES = 64
"""Places at which exceptions were raised that are remembered; the oldest is forgotten."""
MAX_TEXTS = 8
"""Exceptions that are remembered of one place: the first ones, and the last."""
MAX_TEXT = 2_048
_MAX_CHAIN = 6
_MAX_GROUP = 8
_MAX_FRAMES = 24
_MAX_PARTS = 16
_DIAGNOSTIC = ("message_primary", "message_detail", "message_hint", "context", "internal_query")
"""What psycopg's errors have in their `diag`."""

Frame = tuple[str, int, str]
"""File, line, name of the function."""


class Text(NamedTuple):
    """What one exception says."""

    message: str
    shown: str
    """Its `repr`."""
    file: str
    """The path that an OSError or a SyntaxError is about, if it has one."""
    parts: tuple[str, ...] = ()
    """Of a driver's error: the texts that it has by themselves, as its detail and statement."""
    notes: tuple[str, ...] = ()
    """What was added to it by `add_note`."""
    callers: bool = False
    """Whether it says nothing but what the event had, in Python's own words for it."""


class Source(NamedTuple):
    """A place at which exceptions of a type were raised, and what they said."""

    module: str
    name: str
    """Of their type."""
    database: bool
    frames: tuple[Frame, ...]
    texts: list[Text]
    own: bool = False
    """Whether its type is one of the function's code, and its message what that says."""
    alone: bool = False
    """Whether its message is for nobody outside, be it without the name of its type."""

    def told(self) -> str:
        """Return it as the owner reads it."""
        lines = [f'  File "{file}", line {line}, in {name}' for file, line, name in self.frames]
        last = self.texts[-1].message if self.texts else ""
        return "\n".join((*lines, f"{self.name}: {last}"))


_CONVERSION = re.compile(
    r"(?:could not convert string to float|invalid literal for int\(\) with base \d{1,2}|"
    r"Invalid isoformat string): (['\"].*)",
    re.DOTALL,
)
"""What int(), float() and fromisoformat() say of a text that they cannot read."""
_handled = sys.exc_info
"""As it is before asking it is watched."""
_Key = tuple[type, CodeType | None, int]


class Raised:
    """Of one process: what its import caught, and what the invocation under way did."""

    __slots__ = ("_noting", "_seen", "is_of_event", "root", "standing")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._seen: dict[_Key, Source] = {}
        self._noting: set[int] = set()
        self.root = ""
        """The folder of the function's own code."""
        self.is_of_event: Callable[[str], bool] = _no
        """Tells whether all of a text came from outside."""
        self.standing: tuple[Source, ...] = ()
        """What was caught while the function's module was imported."""

    def settle(self) -> None:
        """The import is over: what it caught can be told by every invocation."""
        self.standing = tuple(self._seen.values())
        self._seen.clear()

    def clear(self) -> None:
        """An invocation begins, or is over."""
        if self._seen:
            self._seen.clear()

    def __bool__(self) -> bool:
        """Tell whether the invocation under way has met an exception."""
        return bool(self._seen)

    def sources(self) -> list[Source]:
        """Return what it has met, the newest first."""
        return list(self._seen.values())[::-1]

    def caught(self) -> None:
        """Note the exception that is being handled: rewritten code calls this in an `except` that
        has a name for it, and where it could end one otherwise.
        """
        error = _handled()[1]
        if error is not None:
            self.note(error)

    def note(self, error: BaseException) -> None:
        """Note an exception, those it came from, and those of a group."""
        thread = _thread.get_ident()
        if thread in self._noting:
            return  # a text is being made by code that catches exceptions itself
        self._noting.add(thread)
        try:
            alone = error.__context__ is None and error.__cause__ is None
            for one in (error,) if alone and not _is_group(error) else _related(error):
                self._note(one)
        finally:
            self._noting.discard(thread)

    def _note(self, error: BaseException) -> None:
        kind = type(error)
        trace = innermost = error.__traceback__
        while innermost is not None and innermost.tb_next is not None:
            innermost = innermost.tb_next
        code, line = (innermost.tb_frame.f_code, innermost.tb_lineno) if innermost else (None, 0)
        source = self._seen.get((kind, code, line))
        if source is None:
            if len(self._seen) >= MAX_SOURCES:
                self._seen.pop(next(iter(self._seen)), None)
            frames = tuple(_frames(trace) if trace is not None else _stack())
            database = is_database(kind)
            alone = tells_alone(kind)
            own = self._is_own(kind)
            source = Source(kind.__module__, kind.__name__, database, frames, [], own, alone)
            self._seen[kind, code, line] = source
        text = _text(error, database=source.database)
        value = _converted(error)
        if value and self.is_of_event(value):
            text = text._replace(callers=True)
        if len(source.texts) < MAX_TEXTS:
            source.texts.append(text)
        else:
            source.texts[-1] = text

    def _is_own(self, kind: type) -> bool:
        module = sys.modules.get(kind.__module__)
        file = getattr(module, "__file__", None)
        return bool(self.root) and isinstance(file, str) and file.startswith(self.root)


def _no(_text: str) -> bool:
    return False


def _converted(error: BaseException) -> str:
    """Return the text that Python could not convert, or found no key for; else an empty one."""
    if type(error) is KeyError and len(error.args) == 1 and type(error.args[0]) is str:
        return error.args[0]
    if type(error) is not ValueError or len(error.args) != 1 or type(error.args[0]) is not str:
        return ""
    found = _CONVERSION.fullmatch(error.args[0][:MAX_TEXT])
    try:
        value = ast.literal_eval(found[1]) if found is not None else ""
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""
    return value if type(value) is str else ""


def _is_group(error: BaseException) -> bool:
    return isinstance(error, BaseExceptionGroup)


def _related(error: BaseException) -> Iterator[BaseException]:
    todo: list[BaseException | None] = [error]
    for _ in range(_MAX_CHAIN + _MAX_GROUP):
        one = todo.pop() if todo else None
        if one is None:
            if not todo:
                return
            continue
        yield one
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions[:_MAX_GROUP]
        todo += [one.__context__, one.__cause__]


def _frames(trace: TracebackType | None) -> Iterator[Frame]:
    held: list[Frame] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        held.append((code.co_filename, trace.tb_lineno, code.co_name))
        if len(held) > _MAX_FRAMES:
            del held[_MAX_FRAMES // 2]
        trace = trace.tb_next
    yield from held


def _stack() -> Iterator[Frame]:
    """Where the code is now, for an exception that is made and not raised yet."""
    frame = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if not frame.f_code.co_filename.startswith("/casemate/"):
            yield frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        if frame.f_back is None:
            return
        frame = frame.f_back


def _text(error: BaseException, *, database: bool) -> Text:
    try:
        message = str(error)[:MAX_TEXT]
    except BaseException:  # noqa: BLE001 - a function's __str__ may do anything
        message = ""
    try:
        shown = repr(error)[:MAX_TEXT]
    except BaseException:  # noqa: BLE001
        shown = ""
    file = ""
    if isinstance(error, OSError | SyntaxError) and isinstance(error.filename, str):
        file = error.filename[:MAX_TEXT]
    parts = tuple(_parts(error)) if database else ()
    return Text(message, shown, file, parts, _notes(error))


def _notes(error: BaseException) -> tuple[str, ...]:
    found = getattr(error, "__notes__", None)
    if not isinstance(found, list):
        return ()
    return tuple(each[:MAX_TEXT] for each in found[:_MAX_PARTS] if isinstance(each, str))


def _parts(error: BaseException) -> list[str]:
    """Return the sentences among a driver's arguments and attributes; names alone are anybody's."""
    try:
        held = [*error.args, *vars(error).values()]
        diagnostic = getattr(error, "diag", None)
        held += [getattr(diagnostic, name, None) for name in _DIAGNOSTIC] if diagnostic else ()
        for each in held[:]:
            if isinstance(each, dict):
                held += list(each.values())[:_MAX_PARTS]
        texts = [each for each in held if isinstance(each, str) and " " in each.strip()]
        return [text[:MAX_TEXT] for text in texts[:_MAX_PARTS]]
    except Exception:  # noqa: BLE001 - a driver's attributes may be anything
        return []
