"""Query languages like SQL that no PEP 249 module takes: where each client takes its statement.

Judged by SQL's tokens: words, numbers, quoted literals and operators are alike in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..sink import Patch
from . import bound
from .statements import check_statement
from .tokens import Dialect

_ANSI, _MYSQL = (Dialect.ANSI,), (Dialect.MYSQL,)
Entry = tuple[str, int, str]
"""Function or method, place of the statement (after `self`), and its name."""

_QUERY = "query"
_TABLE: dict[str, tuple[tuple[Dialect, ...], tuple[Entry, ...]]] = {
    "polars": (
        _ANSI,
        (
            # `sql` looks for frames of data in its caller, and ends in this.
            ("sql_expr", 0, "sql"),
            ("read_database", 0, _QUERY),
            ("read_database_uri", 0, _QUERY),
            ("SQLContext.execute", 0, _QUERY),
        ),
    ),
    "connectorx": (_ANSI, (("read_sql", 1, _QUERY),)),
    "clickhouse_connect.driver.httpclient": (
        _MYSQL,
        tuple((f"HttpClient.{name}", 0, _QUERY) for name in ("query", "command", "raw_query")),
    ),
    "clickhouse_connect.driver.client": (
        _MYSQL,
        tuple((f"Client.{name}", 0, _QUERY) for name in ("query", "query_df", "query_np")),
    ),
    "clickhouse_driver.client": (
        _MYSQL,
        tuple((f"Client.{name}", 0, _QUERY) for name in ("execute", "execute_iter")),
    ),
    "google.cloud.bigquery.client": (
        _MYSQL,
        tuple((f"Client.{name}", 0, _QUERY) for name in ("query", "query_and_wait")),
    ),
    "pyspark.sql.session": (_MYSQL, (("SparkSession.sql", 0, "sqlQuery"),)),
    "cassandra.cluster": (
        _ANSI,
        tuple((f"Session.{name}", 0, _QUERY) for name in ("execute", "execute_async", "prepare")),
    ),
    "neo4j._sync.work.session": (_MYSQL, (("Session.run", 0, _QUERY),)),
    "neo4j._sync.work.transaction": (_MYSQL, (("TransactionBase.run", 0, _QUERY),)),
    "neo4j._sync.driver": (_MYSQL, (("Driver.execute_query", 0, "query_"),)),
    "neo4j._async.work.session": (_MYSQL, (("AsyncSession.run", 0, _QUERY),)),
    "neo4j._async.work.transaction": (_MYSQL, (("AsyncTransactionBase.run", 0, _QUERY),)),
    "neo4j._async.driver": (_MYSQL, (("AsyncDriver.execute_query", 0, "query_"),)),
    "kuzu.connection": (
        _MYSQL,
        (("Connection.execute", 0, _QUERY), ("Connection.prepare", 0, _QUERY)),
    ),
    "kuzu.async_connection": (
        _MYSQL,
        (("AsyncConnection.execute", 0, _QUERY), ("AsyncConnection.prepare", 0, _QUERY)),
    ),
    "falkordb.graph": (_MYSQL, (("Graph.query", 0, "q"), ("Graph.ro_query", 0, "q"))),
    "falkordb.asyncio.graph": (
        _MYSQL,
        (("AsyncGraph.query", 0, "q"), ("AsyncGraph.ro_query", 0, "q")),
    ),
    "arango.aql": (_MYSQL, (("AQL.execute", 0, _QUERY),)),
    "couchbase.cluster": (_MYSQL, (("Cluster.query", 0, "statement"),)),
    "azure.cosmos.container": (_ANSI, (("ContainerProxy.query_items", 0, _QUERY),)),
    "influxdb": (_ANSI, (("InfluxDBClient.query", 0, _QUERY),)),
    "influxdb_client.client.query_api": (
        _MYSQL,
        tuple((f"QueryApi.{name}", 0, _QUERY) for name in ("query", "query_raw", "query_stream")),
    ),
    "rdflib.graph": (
        _MYSQL,
        (("Graph.query", 0, "query_object"), ("Graph.update", 0, "update_object")),
    ),
    "SPARQLWrapper.Wrapper": (_MYSQL, (("SPARQLWrapper.setQuery", 0, _QUERY),)),
    "gremlin_python.driver.client": (
        _MYSQL,
        tuple((f"Client.{name}", 0, "message") for name in ("submit", "submit_async")),
    ),
    "django.db.models.expressions": (_ANSI, (("RawSQL.__init__", 0, "sql"),)),
    "django.db.backends.utils": (
        _ANSI,
        tuple((f"CursorWrapper.{name}", 0, "sql") for name in ("execute", "executemany")),
    ),
    "peewee": (_ANSI, (("SQL.__init__", 0, "sql"), ("Database.execute_sql", 0, "sql"))),
    "pony.orm.core": (_ANSI, (("raw_sql", 0, "sql"),)),
    "tortoise.backends.base.client": (
        _ANSI,
        tuple(
            (f"BaseDBAsyncClient.{name}", 0, _QUERY)
            for name in ("execute_query", "execute_script", "execute_query_dict")
        ),
    ),
}


def patches() -> dict[str, Patch]:
    """Return the patches by module."""
    return {name: _patch(entries, dialects) for name, (dialects, entries) in _TABLE.items()}


def _patch(entries: Sequence[Entry], dialects: Sequence[Dialect]) -> Patch:
    def patch(guard: Guard, module: ModuleType) -> None:
        for path, place, name in entries:
            *steps, last = path.split(".")
            owner: Any = getattr(module, steps[0], None) if steps else module
            if owner is not None and callable(getattr(owner, last, None)):
                watch(guard, owner, last, place + (1 if steps else 0), name, dialects)

    return patch


def watch(
    guard: Guard, owner: Any, method: str, place: int, name: str, dialects: Sequence[Dialect]
) -> None:
    """Watch one function or method; types in C that allow no change are left alone."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        bound.note(guard, argument(arguments, named, place + 1, "params", "parameters"))
        check_statement(guard, argument(arguments, named, place, name, "query", "sql"), dialects)

    wrap(owner, method, before)
