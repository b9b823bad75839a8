"""Rows of few statements are all there, in their order, under the numbers that are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.sqlite import engine
from casemate.sqlite.rows import insert_rows


@pytest.fixture
def connection(tmp_path: Path) -> engine.Connection:
    made = engine.connect(tmp_path / "a.db", bytes(range(32)), create=True)
    made.execute("CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, x, y)")
    made.execute("CREATE TABLE b (id INTEGER PRIMARY KEY, x)")
    # one that inserts rows of its own between those that are told of
    made.execute("CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO b (x) VALUES (new.x); END")
    return made


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 65, 127, 200, 1000])
def test_each_row_has_the_number_that_is_told(connection: engine.Connection, count: int) -> None:
    insert_rows(connection, "INSERT INTO a (x, y)", [(-1, "before")])
    connection.execute("DELETE FROM a")
    rows = [(number, f"row {number}") for number in range(count)]
    numbers = insert_rows(connection, "INSERT INTO a (x, y)", rows)
    found = connection.execute("SELECT id, x, y FROM a ORDER BY id").fetchall()
    assert [(number, *row) for number, row in zip(numbers, rows, strict=True)] == found
    assert numbers == list(range(2, count + 2)), "no number is used twice"


def test_few_statements_are_prepared(connection: engine.Connection) -> None:
    texts: set[int] = set()

    def note(text: str) -> None:
        if text.startswith("INSERT INTO a"):
            texts.add(text.count("("))

    connection.set_trace_callback(note)
    for count in range(1, 200):
        insert_rows(connection, "INSERT INTO a (x, y)", [(1, 2)] * count)
    assert len(texts) <= 7


def test_a_row_that_cannot_be_is_an_error(connection: engine.Connection) -> None:
    with pytest.raises(engine.Error):
        insert_rows(connection, "INSERT INTO a (x, y)", [(1, 2), (1, object())])
