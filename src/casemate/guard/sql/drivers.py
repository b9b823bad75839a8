"""Where each driver takes its statements.

No driver's `execute` raises an audit event, so all are watched by wrappers: Python classes in
place, C types by subclasses that the module's `connect` hands out.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..imported import since
from ..sink import CallHook, Patch
from . import orm, services
from .pep249 import EVERY, is_pep249, patch_duckdb, patch_pep249
from .statements import NAME, check_statement, members_of, watch_own, watched_method, watched_type
from .tokens import Dialect

__all__ = ("CALLS", "NAME", "PATCHES", "watch_drivers")

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


# -- sqlite3 and those made like it ----------------------------------------------------------------


def patch_sqlite(guard: Guard, module: ModuleType) -> None:
    """Watch sqlite3, sqlcipher3, pysqlite3: C types, so connections and cursors are subclassed."""
    dialects = (Dialect.SQLITE,)
    original = module.connect
    if getattr(original, "__casemate_watched__", False):
        return
    plain_connection, plain_cursor = module.Connection, module.Cursor
    cursor_type = functools.partial(watched_type, guard, names=_SQLITE_METHODS, dialects=dialects)
    watched_cursor: Any = cursor_type(base=plain_cursor)

    @functools.cache
    def watched_connection(base: Any) -> type:
        def cursor(self: Any, factory: Any = watched_cursor) -> Any:
            if isinstance(factory, type):
                watched = issubclass(factory, watched_cursor)
                factory = factory if watched else cursor_type(base=factory)
            return base.cursor(self, factory)

        members = {**members_of(base), "cursor": cursor}
        for name in _SQLITE_METHODS:
            own = getattr(base, name)
            if own is getattr(plain_connection, name):
                # That makes a cursor of the plain type, by which more could be asked unseen.
                on_cursor = (getattr(plain_cursor, name), dialects, base.cursor, watched_cursor)
                members[name] = watched_method(guard, *on_cursor)
            else:
                members[name] = watched_method(guard, own, dialects)
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


def patch_apsw(guard: Guard, module: ModuleType) -> None:
    """Watch apsw: C types, so its classes are replaced by watched ones."""
    library: Any = module
    dialects, names = (Dialect.SQLITE,), ("execute", "executemany")
    cursor_type = watched_type(guard, library.Cursor, names, dialects)
    plain = library.Connection

    def initialise(self: Any, *arguments: Any, **named: Any) -> None:
        plain.__init__(self, *arguments, **named)
        self.cursor_factory = cursor_type

    members = {"__init__": initialise, "__module__": plain.__module__, "__doc__": plain.__doc__}
    for name in names:
        members[name] = watched_method(guard, getattr(plain, name), dialects)
    library.Connection = type(plain.__name__, (plain,), members)
    library.Cursor = cursor_type


# -- psycopg ---------------------------------------------------------------------------------------


def patch_psycopg2(guard: Guard, module: ModuleType) -> None:
    """Watch psycopg2: C types, so `connect` hands out watched subclasses."""
    dialects = (Dialect.POSTGRESQL,)
    extensions: Any = module.extensions
    names = ("execute", "executemany", "copy_expert")

    def cursor_type(base: type) -> type:
        return watched_type(guard, base, names, dialects)

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
        watch_own(guard, getattr(module, name), names, (Dialect.POSTGRESQL,))


def patch_asyncpg(guard: Guard, module: ModuleType) -> None:
    """Watch asyncpg's connection; its protocol below is compiled."""
    connection: Any = module.connection.Connection
    watch_own(guard, connection, _ASYNCPG_METHODS, (Dialect.POSTGRESQL,))


# -- MySQL -----------------------------------------------------------------------------------------


def patch_pymysql(guard: Guard, module: ModuleType) -> None:
    """Watch PyMySQL's cursors, before they put the parameters in."""
    watch_own(guard, module.Cursor, ("execute", "executemany"), (Dialect.MYSQL,))


def patch_mysqlclient(guard: Guard, module: ModuleType) -> None:
    """Watch mysqlclient's cursors, which are Python, and the raw `query` of its connection."""
    watch_own(guard, module.BaseCursor, ("execute", "executemany"), (Dialect.MYSQL,))


def patch_mysql_connection(guard: Guard, module: ModuleType) -> None:
    """Watch `query` of a connection where it is called directly: cursors are watched before it."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        caller = sys._getframe(2).f_globals.get("__name__")
        if caller not in ("pymysql.cursors", "MySQLdb.cursors"):
            query = argument(arguments, named, 1, "query", "sql")
            check_statement(guard, query, (Dialect.MYSQL,))

    connection: Any = module.Connection
    wrap(connection, "query", before)


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


def both(first: Patch, second: Patch) -> Patch:
    """Return a patch that is two, one after the other."""

    def patch(guard: Guard, module: ModuleType) -> None:
        first(guard, module)
        second(guard, module)

    return patch


def _pep249(*dialects: Dialect) -> Patch:
    def patch(guard: Guard, module: ModuleType) -> None:
        patch_pep249(guard, module, dialects or EVERY)

    return patch


def on_connection(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Watch libpq's connection below psycopg, of a C type, where the function's code calls it."""
    if type(getattr(function, "__self__", None)).__name__ == "PGconn":
        place = 1 if "prepare" in getattr(function, "__name__", "") else 0
        command = argument(arguments, named, place, "command")
        check_statement(guard, command, (Dialect.POSTGRESQL,))


CALLS: dict[str, CallHook] = dict.fromkeys(
    ("exec_", "exec_params", "send_query", "send_query_params", "prepare", "send_prepare"),
    on_connection,
)
PATCHES: dict[str, Patch] = {
    **services.patches(),
    "sqlite3": patch_sqlite,
    "sqlite3.dbapi2": patch_sqlite,
    "sqlcipher3.dbapi2": patch_sqlite,
    "sqlcipher3": patch_sqlite,
    "pysqlite3.dbapi2": patch_sqlite,
    "pysqlite3": patch_sqlite,
    "apsw": patch_apsw,
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


for _module, _patch in orm.PATCHES.items():
    # One module may have both: statements, and names of columns.
    PATCHES[_module] = both(PATCHES[_module], _patch) if _module in PATCHES else _patch


def watch_drivers(guard: Guard) -> None:
    """Watch the drivers among the modules imported so far that `PATCHES` does not name."""
    for name, module in since():
        if name not in PATCHES and isinstance(module, ModuleType) and is_pep249(module):
            patch_pep249(guard, module)
