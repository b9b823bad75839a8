"""Whether an exception is a database driver's, or another whose message is for nobody outside."""

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
CLIENTS = frozenset(
    (
        *("boto3", "botocore", "requests", "urllib3", "httpx", "httpcore", "aiohttp", "grpc"),
        *("kafka", "aiokafka", "confluent_kafka", "pika", "aio_pika", "aiormq", "kombu", "nats"),
        *("paramiko", "ldap3", "smtplib", "ftplib", "imaplib", "subprocess", "google", "azure"),
    )
)
"""Of what speaks to other programs: their messages name addresses, accounts and commands."""
INTERPRETER = frozenset(
    ("ImportError", "ModuleNotFoundError", "AttributeError", "NameError", "UnboundLocalError")
)
"""Exceptions of Python about code: nobody writes their messages for callers."""
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


def tells_alone(kind: type) -> bool:
    """Tell whether the message of a type's exceptions is about the inside, without their name."""
    if kind.__module__ == "builtins":
        return kind.__name__ in INTERPRETER
    bases = (base.__module__ for base in kind.__mro__)
    return any(isinstance(name, str) and name.partition(".")[0] in CLIENTS for name in bases)


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
