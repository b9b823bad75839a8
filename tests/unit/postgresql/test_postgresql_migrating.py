"""A schema is made once, brought forward wholly or not at all, and refused if it is not ours."""

from __future__ import annotations

import threading

import pytest
from postgresql_samples import SCHEMA, TABLE, connect, connections

from casemate.postgresql.connection import Connection
from casemate.postgresql.migrating import Expanding, Own
from casemate.store.errors import StoreError, StoreForeignError, StoreVersionError
from support.database import Server

SECOND = ("CREATE TABLE u (a INTEGER PRIMARY KEY)",)
FAILING = ("CREATE TABLE v (a INTEGER)", "INSERT INTO nothing VALUES (1)")


@pytest.fixture
def fresh(postgresql_server: Server) -> str:
    """The URL of a database with nothing in it."""
    return postgresql_server.url(postgresql_server.database())


def tables(url: str) -> list[str]:
    connection = connect(url)
    found = [
        row[0]
        for row in connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(?) "
            "AND relkind = 'r' ORDER BY relname",
            (SCHEMA,),
        )
    ]
    connection.close()
    return found


def go(url: str, *migrations: tuple[str, ...], cluster: str = "one") -> None:
    opened = connections(url, migrations=migrations, cluster=cluster)
    opened.end(opened.open_writer())
    opened.close()


def test_a_schema_is_made_and_brought_forward(fresh: str) -> None:
    go(fresh, (TABLE,))
    go(fresh, (TABLE,))
    assert tables(fresh) == ["casemate_life", "casemate_schema", "t"]
    go(fresh, (TABLE,), SECOND)
    assert tables(fresh) == ["casemate_life", "casemate_schema", "t", "u"]


def test_what_fails_leaves_everything_as_it_was(fresh: str) -> None:
    with pytest.raises(StoreError, match="nothing"):
        go(fresh, (TABLE,), FAILING)
    assert tables(fresh) == []
    go(fresh, (TABLE,))
    with pytest.raises(StoreError):
        go(fresh, (TABLE,), FAILING)
    go(fresh, (TABLE,))
    assert tables(fresh) == ["casemate_life", "casemate_schema", "t"]


@pytest.mark.parametrize(("version", "least"), [(1, 1), (0, 0), (-1, -1), (1, 2)])
def test_a_schema_that_says_it_is_older_than_it_is_stays_as_it_is(
    fresh: str, version: int, least: int
) -> None:
    go(fresh, (TABLE,), SECOND)
    before = tables(fresh)
    connection = connect(fresh)
    connection.execute("UPDATE casemate_schema SET version = ?, least = ?", (version, least))
    with pytest.raises(StoreForeignError, match=f"says that it has version {version}, and is not"):
        go(fresh, (TABLE,), SECOND)
    assert tables(fresh) == before
    found = connection.execute("SELECT version FROM casemate_schema").fetchone()
    assert found == (version,)
    connection.close()


def test_a_newer_schema_is_refused(fresh: str) -> None:
    go(fresh, (TABLE,), SECOND)
    with pytest.raises(
        StoreVersionError, match="has version 2; this Casemate knows up to 1, and 2 at least"
    ):
        go(fresh, (TABLE,))


def test_a_newer_schema_that_only_has_more_is_used(fresh: str) -> None:
    """Releases serve together while nodes are upgraded one after the other."""
    go(fresh, (TABLE,))
    older = connections(fresh, migrations=((TABLE,),))
    writer = older.open_writer()
    go(fresh, (TABLE,), Expanding(SECOND))
    writer = older.renew_writer(writer)
    assert older.read(lambda c: c.execute("SELECT count(*) FROM t").fetchone()) == (0,)
    older.end(writer)
    older.close()
    go(fresh, (TABLE,))
    assert "u" in tables(fresh), "an older one takes nothing back"
    go(fresh, (TABLE,), Expanding(SECOND), ("DROP TABLE t",))
    with pytest.raises(StoreVersionError, match="knows up to 2, and 3 at least is needed"):
        go(fresh, (TABLE,), Expanding(SECOND))


def test_who_connects_again_to_what_was_contracted_is_refused(fresh: str) -> None:
    older = connections(fresh, migrations=((TABLE,),))
    writer = older.open_writer()
    go(fresh, (TABLE,), SECOND)
    with pytest.raises(StoreVersionError, match="needs 2 at least; expected 1"):
        older.renew_writer(writer)
    older.close()


def test_another_clusters_schema_is_refused_by_name(fresh: str) -> None:
    go(fresh, (TABLE,), cluster="theirs")
    with pytest.raises(StoreForeignError, match="of the cluster 'theirs'; expected the tests of"):
        go(fresh, (TABLE,), cluster="ours")


@pytest.mark.parametrize(
    "other",
    [
        f"CREATE SCHEMA {SCHEMA}; CREATE TABLE {SCHEMA}.theirs (a int)",
        f"CREATE SCHEMA {SCHEMA}; CREATE VIEW {SCHEMA}.theirs AS SELECT 1",
    ],
)
def test_a_schema_of_another_program_is_refused(fresh: str, other: str) -> None:
    connection = connect(fresh)
    connection.define(other)
    connection.close()
    with pytest.raises(StoreForeignError, match="was not made by Casemate: it has theirs"):
        go(fresh, (TABLE,))


def test_an_empty_schema_that_the_owner_has_prepared_is_taken(fresh: str) -> None:
    connection = connect(fresh)
    connection.define(f"CREATE SCHEMA {SCHEMA}")
    connection.close()
    go(fresh, (TABLE,))
    assert "t" in tables(fresh)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE casemate_schema SET cluster = 'theirs'",
        "UPDATE casemate_schema SET version = 7, least = 7",
        "DELETE FROM casemate_schema",
        f"DROP SCHEMA {SCHEMA} CASCADE",
    ],
)
def test_who_connects_again_finds_what_was_opened_or_is_refused(fresh: str, damage: str) -> None:
    opened = connections(fresh)
    writer = opened.open_writer()
    connection = connect(fresh)
    connection.define(damage)
    connection.close()
    with pytest.raises((StoreForeignError, StoreVersionError)):
        opened.renew_writer(writer)
    with pytest.raises((StoreForeignError, StoreVersionError)):
        opened.read(lambda c: c.execute("SELECT 1").fetchall())
    opened.close()


def test_nodes_that_start_together_make_it_once(fresh: str) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            go(fresh, (TABLE,), SECOND)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert tables(fresh) == ["casemate_life", "casemate_schema", "t", "u"]


def test_a_statement_in_its_own_words_is_not_translated(fresh: str) -> None:
    own = Own("CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'TEXT ?'::text $$")
    go(fresh, (own,))
    connection: Connection = connect(fresh)
    assert connection.execute("SELECT f()").fetchone() == ("TEXT ?",)
    connection.close()
