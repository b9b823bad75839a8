"""Where each driver takes its statements.

No driver's `execute` raises an audit event, so all are watched by wrappers: Python classes in
place, C types by subclasses that the module's `connect` hands out.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..sink import Patch, Verdict
from .structure import judge
from .tokens import Dialect

NAME = "sql"
_CURSOR_METHODS = (
    "execute",
    "executemany",
    "executescript",
    "execute_async",
    "copy_expert",
    "copy",
)
_ASYNCPG_METHODS = (
    "execute",
    "executemany",
    "fetch",
    "fetchrow",
    "fetchval",
    "fetchmany",
    "prepare",
    "cursor",
    "copy_from_query",
)
_SQLITE_METHODS = ("execute", "executemany", "executescript")
_STANDING_METHODS = (*_CURSOR_METHODS, "sql", "query", "from_query")
_EVERY = (Dialect.ANSI, Dialect.MYSQL)
"""Of a database that is not known, either way of reading a backslash must be harmless."""


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
    if not guard.active:
        return
    if isinstance(query, (str, bytes)):
        guard.check(NAME, query, lambda text, spans: judge(text, spans, dialects))
    else:
        guard.decide(NAME, lambda: _verdict(guard, query, dialects, cursor))


def _verdict(guard: Guard, query: Any, dialects: Sequence[Dialect], cursor: Any) -> Verdict | None:
    statement = statement_of(query, cursor)
    spans = guard.spans(statement) if statement else []
    text = statement.decode(errors="surrogateescape") if isinstance(statement, bytes) else statement
    return judge(text, spans, dialects) if text and spans else None


def _watch_methods(
    guard: Guard, owner: Any, names: Sequence[str], dialects: Sequence[Dialect]
) -> None:
    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        query = argument(arguments, named, 1, "query", "sql", "statement", "operation", "command")
        check_statement(guard, query, dialects, arguments[0] if arguments else None)

    for name in names:
        if callable(getattr(owner, name, None)):
            wrap(owner, name, before)


@functools.cache
def _watched_type(guard: Guard, base: Any, names: tuple[str, ...], dialects: Any) -> type:
    """Return a subclass of a cursor type whose methods are watched."""
    members: dict[str, Any] = {"__module__": base.__module__, "__doc__": base.__doc__}
    for name in names:
        if callable(getattr(base, name, None)):
            members[name] = _watched_method(guard, getattr(base, name), dialects)
    return type(base.__name__, (base,), members)


def _watched_method(
    guard: Guard, original: Callable[..., Any], dialects: Sequence[Dialect]
) -> Callable[..., Any]:
    @functools.wraps(original)
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        query = argument(arguments, named, 0, "query", "sql", "statement", "operation")
        check_statement(guard, query, dialects, self)
        return original(self, *arguments, **named)

    return method


# -- sqlite3 and those made like it ----------------------------------------------------------------


def patch_sqlite(guard: Guard, module: ModuleType) -> None:
    """Watch sqlite3, sqlcipher3, pysqlite3: C types, so connections and cursors are subclassed."""
    dialects = (Dialect.SQLITE,)
    original = module.connect
    if getattr(original, "__casemate_watched__", False):
        return
    plain_connection, plain_cursor = module.Connection, module.Cursor
    cursor_type = functools.partial(_watched_type, guard, names=_SQLITE_METHODS, dialects=dialects)
    watched_cursor: Any = cursor_type(base=plain_cursor)

    @functools.cache
    def watched_connection(base: Any) -> type:
        def cursor(self: Any, factory: Any = watched_cursor) -> Any:
            if isinstance(factory, type):
                watched = issubclass(factory, watched_cursor)
                factory = factory if watched else cursor_type(base=factory)
            return base.cursor(self, factory)

        members = {"__module__": base.__module__, "__doc__": base.__doc__, "cursor": cursor}
        for name in _SQLITE_METHODS:
            members[name] = _watched_method(guard, getattr(base, name), dialects)
        return type(base.__name__, (base,), members)

    connection_type = watched_connection(plain_connection)

    @functools.wraps(original)
    def connect(*arguments: Any, **named: Any) -> Any:
        factory: Any = arguments[5] if len(arguments) > 5 else named.get("factory", connection_type)
        if isinstance(factory, type) and not issubclass(factory, connection_type):
            base: Any = factory
            factory = watched_connection(base)
        if len(arguments) > 5:
            arguments = (*arguments[:5], factory, *arguments[6:])
        else:
            named["factory"] = factory
        return original(*arguments, **named)

    connect.__casemate_watched__ = True  # type: ignore[attr-defined]
    for name, value in (
        ("connect", connect),
        ("Connection", connection_type),
        ("Cursor", watched_cursor),
    ):
        setattr(module, name, value)


# -- psycopg ---------------------------------------------------------------------------------------


def patch_psycopg2(guard: Guard, module: ModuleType) -> None:
    """Watch psycopg2: C types, so `connect` hands out watched subclasses."""
    dialects = (Dialect.POSTGRESQL,)
    extensions: Any = module.extensions
    names = ("execute", "executemany", "copy_expert")

    def cursor_type(base: type) -> type:
        return _watched_type(guard, base, names, dialects)

    @functools.cache
    def connection_type(base: type) -> type:
        def cursor(self: Any, *arguments: Any, **named: Any) -> Any:
            place = 1
            given = argument(arguments, named, place, "cursor_factory")
            factory = given or self.cursor_factory or extensions.cursor
            if isinstance(factory, type):
                factory = cursor_type(factory)
            if len(arguments) > place:
                arguments = (*arguments[:place], factory, *arguments[place + 1 :])
            else:
                named["cursor_factory"] = factory
            return base.cursor(self, *arguments, **named)  # type: ignore[attr-defined]

        members = {"__module__": base.__module__, "__doc__": base.__doc__, "cursor": cursor}
        return type(base.__name__, (base,), members)

    original = module.connect

    @functools.wraps(original)
    def connect(*arguments: Any, **named: Any) -> Any:
        given = argument(arguments, named, 1, "connection_factory") or extensions.connection
        factory = connection_type(given) if isinstance(given, type) else given
        if len(arguments) > 1:
            arguments = (arguments[0], factory, *arguments[2:])
        else:
            named["connection_factory"] = factory
        return original(*arguments, **named)

    module.connect = connect  # type: ignore[attr-defined]


def patch_psycopg(guard: Guard, module: ModuleType) -> None:
    """Watch psycopg 3: Python classes, in place. `Connection.execute` goes through its cursor."""
    names = ("execute", "executemany", "stream", "copy")
    for name in ("Cursor", "AsyncCursor", "ServerCursor", "AsyncServerCursor"):
        _watch_own(guard, getattr(module, name), names, (Dialect.POSTGRESQL,))


def _watch_own(
    guard: Guard, owner: type, names: Sequence[str], dialects: Sequence[Dialect]
) -> None:
    """Watch the methods that a class and its bases define, where they are defined."""
    for base in owner.__mro__:
        own = [name for name in names if name in base.__dict__]
        if own and base is not object:
            _watch_methods(guard, base, own, dialects)


def patch_asyncpg(guard: Guard, module: ModuleType) -> None:
    """Watch asyncpg's connection; its protocol below is compiled."""
    connection: Any = module.connection.Connection
    _watch_own(guard, connection, _ASYNCPG_METHODS, (Dialect.POSTGRESQL,))


# -- MySQL -----------------------------------------------------------------------------------------


def patch_pymysql(guard: Guard, module: ModuleType) -> None:
    """Watch PyMySQL's cursors, before they put the parameters in."""
    _watch_own(guard, module.Cursor, ("execute", "executemany"), (Dialect.MYSQL,))


def patch_mysqlclient(guard: Guard, module: ModuleType) -> None:
    """Watch mysqlclient's cursors, which are Python, and the raw `query` of its connection."""
    _watch_own(guard, module.BaseCursor, ("execute", "executemany"), (Dialect.MYSQL,))


def patch_mysql_connection(guard: Guard, module: ModuleType) -> None:
    """Watch `query` of a connection where it is called directly: cursors are watched before it."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        caller = sys._getframe(2).f_globals.get("__name__")
        if caller not in ("pymysql.cursors", "MySQLdb.cursors"):
            query = argument(arguments, named, 1, "query", "sql")
            check_statement(guard, query, (Dialect.MYSQL,))

    connection: Any = module.Connection
    wrap(connection, "query", before)


# -- any other (PEP 249) ---------------------------------------------------------------------------


def patch_pep249(guard: Guard, module: ModuleType, dialects: Sequence[Dialect] = _EVERY) -> None:
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
        _watch_own(guard, type(connection), _STANDING_METHODS, dialects)
        original = type(connection).cursor
        if not getattr(original, "__casemate_watched__", False):

            @functools.wraps(original)
            def cursor(self: Any, *arguments: Any, **named: Any) -> Any:
                made = original(self, *arguments, **named)
                try:
                    _watch_own(guard, type(made), _CURSOR_METHODS, dialects)
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


def patch_duckdb(guard: Guard, module: ModuleType) -> None:
    """Watch DuckDB: its connection is a C type, and the module itself takes statements as well."""
    dialects = (Dialect.POSTGRESQL,)
    patch_pep249(guard, module, dialects)

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_statement(guard, argument(arguments, named, 0, "query"), dialects)

    for name in ("execute", "executemany", "sql", "query", "from_query"):
        if callable(getattr(module, name, None)):
            wrap(module, name, before)


class WatchedCursor(_Standing):
    """A cursor of a C type."""


class WatchedConnection(_Standing):
    """A connection of a C type."""

    def cursor(self, *arguments: Any, **named: Any) -> WatchedCursor:
        """Return a watched cursor."""
        return WatchedCursor(self._guard, self._behind.cursor(*arguments, **named), self._dialects)


# -- SQLAlchemy ------------------------------------------------------------------------------------


def patch_sqlalchemy(guard: Guard, module: ModuleType) -> None:
    """Watch texts where they enter: compiled, they are other texts, which only search finds.

    What is compiled is watched again at the driver.
    """
    elements: Any = module
    dialects = (Dialect.ANSI,)

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_statement(guard, argument(arguments, named, 1, "text"), dialects)

    wrap(elements.TextClause, "__init__", before)

    def before_column(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if argument(arguments, named, 3, "is_literal"):
            check_statement(guard, argument(arguments, named, 1, "text"), dialects)

    wrap(elements.ColumnClause, "__init__", before_column)


def _pep249(*dialects: Dialect) -> Patch:
    def patch(guard: Guard, module: ModuleType) -> None:
        patch_pep249(guard, module, dialects or _EVERY)

    return patch


def is_pep249(module: ModuleType) -> bool:
    """Tell whether a module is a driver as PEP 249 describes it."""
    has = vars(module)
    return "apilevel" in has and "paramstyle" in has and callable(has.get("connect"))


PATCHES: dict[str, Patch] = {
    "sqlite3": patch_sqlite,
    "sqlite3.dbapi2": patch_sqlite,
    "sqlcipher3.dbapi2": patch_sqlite,
    "sqlcipher3": patch_sqlite,
    "pysqlite3.dbapi2": patch_sqlite,
    "pysqlite3": patch_sqlite,
    "psycopg2": patch_psycopg2,
    "psycopg": patch_psycopg,
    "asyncpg": patch_asyncpg,
    "pymysql.cursors": patch_pymysql,
    "pymysql.connections": patch_mysql_connection,
    "MySQLdb.connections": patch_mysql_connection,
    "MySQLdb.cursors": patch_mysqlclient,
    "sqlalchemy.sql.elements": patch_sqlalchemy,
    "aiomysql.cursors": patch_pymysql,
    "asyncmy.cursors": patch_pymysql,
    "mysql.connector": _pep249(Dialect.MYSQL),
    "mariadb": _pep249(Dialect.MYSQL),
    "pg8000.dbapi": _pep249(Dialect.POSTGRESQL),
    "redshift_connector": _pep249(Dialect.POSTGRESQL),
    "duckdb": patch_duckdb,
    "pyodbc": _pep249(Dialect.TSQL, Dialect.ANSI),
    "pymssql": _pep249(Dialect.TSQL),
    "oracledb": _pep249(Dialect.ORACLE),
    "cx_Oracle": _pep249(Dialect.ORACLE),
    "snowflake.connector": _pep249(Dialect.MYSQL, Dialect.ANSI),
    "clickhouse_driver.dbapi": _pep249(Dialect.MYSQL),
    "trino.dbapi": _pep249(Dialect.ANSI),
}


def watch_drivers(guard: Guard) -> None:
    """Watch the drivers among the modules imported so far that `PATCHES` does not name."""
    for name, module in list(sys.modules.items()):
        if name not in PATCHES and isinstance(module, ModuleType) and is_pep249(module):
            patch_pep249(guard, module)
