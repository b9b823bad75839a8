"""Whether an exception is a database driver's."""

from __future__ import annotations

import sys
from types import ModuleType

PACKAGES = frozenset(
    (
        *("sqlite3", "apsw", "aiosqlite", "duckdb", "pysqlite3", "sqlcipher3"),
        *("psycopg", "psycopg2", "psycopg_pool", "asyncpg", "pg8000", "aiopg"),
        *("pymysql", "MySQLdb", "mysql", "aiomysql", "asyncmy", "mariadb"),
        *("oracledb", "cx_Oracle", "pyodbc", "aioodbc", "pymssql", "pytds", "ibm_db_dbi"),
        *("sqlalchemy", "peewee", "pony", "tortoise", "databases", "ormar"),
        *("pymongo", "motor", "mongoengine", "cassandra", "neo4j", "couchdb"),
        *("redis", "valkey", "aioredis", "elasticsearch", "opensearchpy", "influxdb"),
        *("clickhouse_driver", "clickhouse_connect", "snowflake", "trino", "pyhive"),
    )
)
"""Of drivers and of what wraps their errors, by the first part of the module's name."""
_DJANGO = "django.db"
_known: dict[type, bool] = {}
_MAX_KNOWN = 1_024


def is_database(kind: type) -> bool:
    """Tell whether exceptions of a type are a driver's, or derived from a driver's."""
    known = _known.get(kind)
    if known is None:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        known = _known[kind] = any(_of_driver(base.__module__) for base in kind.__mro__)
    return known


def _of_driver(name: object) -> bool:
    if not isinstance(name, str):
        return False
    first = name.partition(".")[0]
    if first in PACKAGES or name == _DJANGO or name.startswith(_DJANGO + "."):
        return True
    module = sys.modules.get(first)
    return isinstance(module, ModuleType) and has_marks(module)


def has_marks(module: ModuleType) -> bool:
    """Tell whether a module is a driver as PEP 249 describes it."""
    has = vars(module)
    return isinstance(has.get("apilevel"), str) and isinstance(has.get("paramstyle"), str)
