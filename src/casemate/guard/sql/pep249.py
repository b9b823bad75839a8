"""Any module of PEP 249, by what its `connect` returns."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import Before, argument, wrap
from ..standing import wrap_after
from .files import check_files
from .statements import check_statement, watch_own
from .tokens import Dialect

_CURSOR_METHODS = (
    "execute",
    "executemany",
    "executescript",
    "execute_async",
    "copy_expert",
    "copy",
)
_STANDING_METHODS = (*_CURSOR_METHODS, "sql", "query", "from_query")
EVERY = (Dialect.ANSI, Dialect.MYSQL)
"""Of a database that is not known, either way of reading a backslash must be harmless."""


def patch_pep249(guard: Guard, module: ModuleType, dialects: Sequence[Dialect] = EVERY) -> None:
    """Watch a module of PEP 249 by what its `connect` returns."""
    original = module.connect
    if getattr(original, "__casemate_watched__", False):
        return

    @functools.wraps(original)
    def connect(*arguments: Any, **named: Any) -> Any:
        return _watch_connection(guard, original(*arguments, **named), dialects)

    connect.__casemate_watched__ = True  # type: ignore[attr-defined]
    module.connect = connect  # type: ignore[attr-defined]


def _watch_connection(guard: Guard, connection: Any, dialects: Sequence[Dialect]) -> Any:
    try:
        watch_own(guard, type(connection), _STANDING_METHODS, dialects)
        original = type(connection).cursor
        if not getattr(original, "__casemate_watched__", False):

            @functools.wraps(original)
            def cursor(self: Any, *arguments: Any, **named: Any) -> Any:
                made = original(self, *arguments, **named)
                try:
                    watch_own(guard, type(made), _CURSOR_METHODS, dialects)
                except TypeError:
                    return WatchedCursor(guard, made, dialects)
                return made

            cursor.__casemate_watched__ = True  # type: ignore[attr-defined]
            type(connection).cursor = cursor
    except TypeError:
        return WatchedConnection(guard, connection, dialects)
    return connection


class _Standing:
    """Stands before an object of a C type that can be neither changed nor subclassed."""

    def __init__(self, guard: Guard, behind: Any, dialects: Sequence[Dialect]) -> None:
        object.__setattr__(self, "_guard", guard)
        object.__setattr__(self, "_behind", behind)
        object.__setattr__(self, "_dialects", dialects)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._behind, name)
        if name in _STANDING_METHODS and callable(value):
            guard, dialects, behind = self._guard, self._dialects, self._behind

            def watched(*arguments: Any, **named: Any) -> Any:
                query = argument(arguments, named, 0, "query", "sql", "statement", "operation")
                check_statement(guard, query, dialects, behind)
                result = value(*arguments, **named)
                return self if result is behind else result

            return watched
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._behind, name, value)

    def __enter__(self) -> Any:
        entered = self._behind.__enter__()
        return self if entered is self._behind else entered

    def __exit__(self, *details: Any) -> Any:
        return self._behind.__exit__(*details)

    def __iter__(self) -> Any:
        return iter(self._behind)

    def __next__(self) -> Any:
        return next(self._behind)


_ALL_FRAMES = "SET python_scan_all_frames = true"
"""DuckDB takes variables of its caller for tables: the wrapper is the caller now."""
_EXPRESSIONS = {
    "filter": 0, "project": 0, "select": 0, "order": 0, "sort": 0, "aggregate": 0, "query": 1,
    "join": 1, "update": 0, "apply": 1, "unique": 0, "sum": 0, "max": 0, "min": 0, "count": 0,
}  # fmt: skip
"""Methods of DuckDB's relations that take SQL, and where. Functions of the module have the frame
before it."""


def patch_duckdb(guard: Guard, module: ModuleType) -> None:
    """Watch DuckDB: connections, the module itself, and relations, whose filters are SQL."""
    dialects = (Dialect.POSTGRESQL,)
    library: Any = module
    see_frames = _seeing_frames(library)
    patch_pep249(guard, module, dialects)
    wrap_after(library, "connect", lambda a, n, connection: connection.execute(_ALL_FRAMES))

    def statement(place: int) -> Before:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            if place == 0:
                see_frames()
            query = argument(arguments, named, place, "query")
            given = argument(arguments, named, place + 1, "parameters", "params")
            check_files(guard, query, given)
            check_statement(guard, query, dialects)

        return before

    def expression(place: int) -> Before:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            for text in (*arguments[place : place + 2], *named.values()):
                if isinstance(text, str):
                    check_statement(guard, text, dialects)

        return before

    for name in ("execute", "executemany", "sql", "query", "from_query"):
        if callable(getattr(library, name, None)):
            wrap(library, name, statement(0))
            wrap(library.DuckDBPyConnection, name, statement(1))
    for name, place in _EXPRESSIONS.items():
        if callable(getattr(library.DuckDBPyRelation, name, None)):
            wrap(library.DuckDBPyRelation, name, expression(1 + place))
        if name in ("filter", "project", "order", "aggregate", "sql_expr"):
            wrap(library, name, expression(1))


def _seeing_frames(library: Any) -> Callable[[], None]:
    """Return what has the module's own connection look for tables beyond the wrapper's frame.

    Not before there is one: it is made with its threads when it is first used.
    """
    execute, seen = library.execute, set[int]()

    def see() -> None:
        if os.getpid() not in seen:
            seen.add(os.getpid())
            execute(_ALL_FRAMES)

    return see


class WatchedCursor(_Standing):
    """A cursor of a C type."""


class WatchedConnection(_Standing):
    """A connection of a C type."""

    def cursor(self, *arguments: Any, **named: Any) -> WatchedCursor:
        """Return a watched cursor."""
        return WatchedCursor(self._guard, self._behind.cursor(*arguments, **named), self._dialects)


def is_pep249(module: ModuleType) -> bool:
    """Tell whether a module is a driver as PEP 249 describes it."""
    has = vars(module)
    return "apilevel" in has and "paramstyle" in has and callable(has.get("connect"))
