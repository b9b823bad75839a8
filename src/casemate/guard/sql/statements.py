"""Statements as drivers take them, and the wrappers that have them checked first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..origin import Span
from ..pieces import as_text
from ..sample import SAMPLE
from ..verdict import Verdict
from . import bound
from .files import check_sqlite_files, names_files
from .likes import check_likes, compares
from .searches import check_searches, searches
from .shape import shape
from .structure import judge
from .tokens import Dialect

NAME = "sql"
_NOTHING: Any = object()


def statement_of(query: Any, cursor: Any = None) -> str | bytes | None:
    """Return a driver's query as text: some take objects that are put together at last."""
    if isinstance(query, (str, bytes)):
        return query
    if isinstance(query, bytearray):
        return bytes(query)
    as_string = getattr(query, "as_string", None)
    if callable(as_string):
        text = as_string(cursor)
        return text if isinstance(text, (str, bytes)) else None
    text = getattr(query, "query", None)  # psycopg's prepared queries
    return text if isinstance(text, (str, bytes)) else None


def check_statement(
    guard: Guard, query: Any, dialects: Sequence[Dialect], cursor: Any = None
) -> None:
    """Block a statement (BlockedError) that the event has changed."""
    timed = SAMPLE.running and SAMPLE.enter()
    try:
        if isinstance(query, (str, bytes)):
            if not guard.is_own(query):
                guard.check(NAME, query, lambda t, spans: _judged(guard, query, t, spans, dialects))
                _meet(guard, query, dialects)
        elif guard.active:
            guard.decide(NAME, lambda: _verdict(guard, query, dialects, cursor))
            _meet(guard, statement_of(query, cursor), dialects)
    finally:
        if timed:
            SAMPLE.leave()


def _judged(
    guard: Guard, query: str | bytes, text: str, spans: Sequence[Span], dialects: Sequence[Dialect]
) -> Verdict | None:
    """Judge a statement; what is in it by chance is left out only of one that does not pass."""
    verdict = judge(text, spans, dialects)
    if verdict is None:
        return None
    left = bound.without_chance(guard, query, text, spans)
    left = [s for s in left if not (s.exact and text[s.start : s.end] in guard.constants.labelled)]
    return judge(text, left, dialects) if len(left) < len(spans) else verdict


def _meet(guard: Guard, statement: str | bytes | None, dialects: Sequence[Dialect]) -> None:
    if statement and guard.active:
        guard.meets(NAME, shape(as_text(statement), dialects[0]))


def _verdict(guard: Guard, query: Any, dialects: Sequence[Dialect], cursor: Any) -> Verdict | None:
    statement = statement_of(query, cursor)
    spans = guard.spans(statement) if statement else []
    text = statement.decode(errors="surrogateescape") if isinstance(statement, bytes) else statement
    return judge(text, spans, dialects) if text and spans else None


def watch_methods(
    guard: Guard, owner: Any, names: Sequence[str], dialects: Sequence[Dialect]
) -> None:
    """Watch methods of a class whose first argument is a statement."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        query = argument(arguments, named, 1, "query", "sql", "statement", "operation", "command")
        values = argument(arguments, named, 2, "params", "vars", "args", "parameters")
        bound.note(guard, values)
        check_statement(guard, query, dialects, arguments[0] if arguments else None)
        check_likes(guard, query, values)

    for name in names:
        if callable(getattr(owner, name, None)):
            wrap(owner, name, before)


@functools.cache
def watched_type(guard: Guard, base: Any, names: tuple[str, ...], dialects: Any) -> type:
    """Return a subclass of a cursor type whose methods are watched."""
    members = members_of(base)
    for name in names:
        if callable(getattr(base, name, None)):
            members[name] = watched_method(guard, getattr(base, name), dialects)
    return type(base.__name__, (base,), members)


def members_of(base: Any) -> dict[str, Any]:
    """Return what a subclass of a C type has in any case: no attributes where `base` has none."""
    members = {"__module__": base.__module__, "__doc__": base.__doc__}
    return members if base.__dictoffset__ else {**members, "__slots__": ()}


def watched_method(
    guard: Guard,
    original: Callable[..., Any],
    dialects: Sequence[Dialect],
    opened: Callable[[Any, Any], Any] | None = None,
    kind: Any = None,
) -> Callable[..., Any]:
    """Return a method that has its statement checked before it calls `original`.

    `opened` is given a connection and the `kind` of a cursor, whose method `original` is then.
    """

    literals = guard.constants.literals
    sqlite = Dialect.SQLITE in dialects
    plain: set[str] = set()
    """Statements that name no files, search for nothing and compare with no pattern."""

    @functools.wraps(original)
    def method(
        self: Any, query: Any = _NOTHING, values: Any = _NOTHING, /, *rest: Any, **named: Any
    ) -> Any:
        # Most statements are literals of the code: these need a look at one table and no more.
        if type(query) is str and literals.get(query) is query and not rest and not named:
            if values is _NOTHING:
                return original(self if opened is None else opened(self, kind), query)
            if sqlite and query not in plain:
                if not (names_files(query) or searches(query) or compares(query)):
                    plain.add(query)
                check_sqlite_files(guard, query, values)
                check_searches(guard, query, values)
                check_likes(guard, query, values)
            return original(self if opened is None else opened(self, kind), query, values)
        arguments = (*(a for a in (query, values) if a is not _NOTHING), *rest)
        statement = argument(arguments, named, 0, "query", "sql", "statement", "operation")
        bound.note(guard, values)
        check_statement(guard, statement, dialects, self)
        if sqlite:
            check_sqlite_files(guard, statement, values)
            check_searches(guard, statement, values)
            check_likes(guard, statement, values)
        return original(self if opened is None else opened(self, kind), *arguments, **named)

    return method


def watch_own(guard: Guard, owner: type, names: Sequence[str], dialects: Sequence[Dialect]) -> None:
    """Watch the methods that a class and its bases define, where they are defined."""
    for base in owner.__mro__:
        own = [name for name in names if name in base.__dict__]
        if own and base is not object:
            watch_methods(guard, base, own, dialects)
