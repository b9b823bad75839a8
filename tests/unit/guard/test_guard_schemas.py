"""The tables of a database that came as a file, and what a library writes of the same ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from casemate.guard.sql.structure import judge
from casemate.guard.sql.tokens import Dialect
from casemate.guard.taint import Taint

WORDS = frozenset(("orders", "order", "customer", "cents", "name", "group", "items", "id"))
TABLES = (
    "CREATE TABLE orders (\n\tid INTEGER NOT NULL, \n\tcustomer VARCHAR(50) NOT NULL, \n\t"
    "cents INTEGER NOT NULL, \n\tPRIMARY KEY (id), \n\tCHECK (cents > 0)\n)",
    "CREATE INDEX by_customer ON orders (customer, cents)",
    'CREATE TABLE "items" ("id" INTEGER NOT NULL PRIMARY KEY, "name" VARCHAR(9), "group" TEXT)',
    'CREATE UNIQUE INDEX by_both ON "items" ("name", "group")',
    'CREATE TABLE "order" (id INTEGER, cents INTEGER)',
)


def file_of(folder: Path, statements: Sequence[str]) -> bytes:
    """Return a database in which statements were made."""
    file = folder / "made.db"
    base = sqlite3.connect(file)
    for statement in statements:
        base.execute(statement)
    base.commit()
    base.close()
    return file.read_bytes()


def stopped(data: object, statement: str, event: object = None, where: str = "bucket:db") -> bool:
    """Tell whether a statement of a library's is stopped where data came from a bucket."""
    taint = Taint(lambda word: word.lower() in WORDS)
    taint.add("event", event)
    taint.add(where, data)
    found = taint.search(statement) or taint.fragments(statement)
    return judge(statement, found, (Dialect.SQLITE,)) is not None if found else False


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO orders (customer, cents) VALUES (?, ?)",
        "INSERT INTO orders (customer, cents) VALUES (?, ?) RETURNING id",
        'INSERT INTO "order" (id, cents) VALUES (?, ?)',
        'INSERT OR IGNORE INTO "items" ("name", "group") VALUES (?, ?)',
        "SELECT orders.id, orders.customer FROM orders WHERE orders.cents > ?",
        'UPDATE "order" SET cents=? WHERE "order".id = ?',
        'SELECT "t1"."id", "t1"."name", "t1"."group" FROM "items" AS "t1" WHERE ("t1"."id" = ?)',
    ],
)
def test_statements_of_the_same_tables_pass(tmp_path: Path, statement: str) -> None:
    assert not stopped(file_of(tmp_path, TABLES), statement)


def test_what_every_table_says_of_its_columns_is_no_data(tmp_path: Path) -> None:
    taint = Taint(lambda _word: False)
    taint.add("bucket:db", file_of(tmp_path, TABLES))
    taint.search("NOT NULL")
    assert taint.holding("NOT NULL") is None
    assert taint.holding("CHECK (cents > 0)") is not None


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        # A call, which has brackets beside its name, but is nothing that is inserted into.
        ("CREATE TABLE cents (name TEXT)", "SELECT id FROM t ORDER BY cents (name)"),
        ("CREATE TABLE orders (cents INT)", "INSERT INTO x VALUES (1) , orders (cents)"),
        # Words of which the code has none, and such that are the language's.
        ("CREATE TABLE secrets (token TEXT)", "INSERT INTO secrets (token) VALUES (?)"),
        (
            'CREATE TABLE t ("x, (SELECT name FROM items) AS y" TEXT)',
            "SELECT x, (SELECT name FROM items) AS y FROM t",
        ),
        ("CREATE TABLE t (\"id' OR '1'='1\" TEXT)", "SELECT a FROM t WHERE b = 'id' OR '1'='1'"),
        ('CREATE TABLE t (a TEXT DEFAULT "cents; --")', "UPDATE t SET name = cents; -- WHERE id=?"),
        (
            "CREATE TABLE t (cents INT CHECK (cents > 0 OR 1=1))",
            "DELETE FROM t WHERE cents > 0 OR 1=1",
        ),
    ],
)
def test_a_file_does_not_vouch_for_itself(tmp_path: Path, table: str, statement: str) -> None:
    assert stopped(file_of(tmp_path, [table]), statement)


def test_a_text_that_looks_like_a_table_is_none(tmp_path: Path) -> None:
    statement = "INSERT INTO orders (customer, cents) VALUES (?, ?)"
    table = "CREATE TABLE orders (id INTEGER, customer TEXT)"
    assert stopped(table, statement)
    assert stopped({"v": table}, statement, where="event")
    assert stopped(b"\0" + table.encode(), statement)


def test_rows_of_a_file_are_data_as_before(tmp_path: Path) -> None:
    rows = ["CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES ('orders'' OR 1=1 --')"]
    assert stopped(file_of(tmp_path, rows), "SELECT id FROM orders WHERE a = 'orders' OR 1=1 --'")


def test_the_events_own_piece_is_not_hidden_by_one_of_a_file(tmp_path: Path) -> None:
    data = file_of(tmp_path, TABLES)
    statement = "INSERT INTO orders (customer, cents) SELECT name, id FROM items; -- VALUES (?)"
    cut = {"v": "zz|orders (customer, cents) SELECT name, id FROM items; --"}
    assert stopped(data, statement, cut)
    assert stopped(data, statement, {"v": cut["v"].removeprefix("zz|")})
