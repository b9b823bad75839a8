"""Cursors of SQLite: those that a connection makes by itself are watched as well."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from casemate.guard.core import Guard
from casemate.guard.sql.drivers import patch_sqlite
from support.guard_cases import Cases, assert_blocked, assert_passes

AGAIN = """
import sqlite3

def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.executescript("create table t (a, b); insert into t values (1, 'x');")
    rows = db.{made}
    return [*rows.{asked}]
"""
MADE = {
    "execute": 'execute("select 1")',
    "execute with values": 'execute("select ?", (1,))',
    "executemany": "executemany(\"insert into t values (?, 'y')\", [(2,), (3,)])",
    "executescript": 'executescript("create table u (a)")',
}
ASKED = "execute(f\"select b from t where b = '{event['v']}'\")"
BOUND = 'execute("select b from t where b = ?", (event["v"],))'


def _cases(asked: str, value: str) -> Cases:
    code = AGAIN.replace("{asked}", asked)
    return {name: (code.replace("{made}", made), {"v": value}) for name, made in MADE.items()}


def test_what_is_asked_by_the_cursor_of_a_connection_is_judged(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _cases(ASKED, "x' or '1'='1"), {"sql"}, ())


def test_harmless_statements_by_it_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _cases(ASKED, "x"), ())
    assert_passes(tmp_path, _cases(BOUND, "x' or '1'='1"), ())


class _Own(sqlite3.Cursor):
    """A cursor of the code's own."""


def test_connections_and_cursors_are_as_without(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("connect", "Connection", "Cursor"):
        monkeypatch.setattr(sqlite3, name, getattr(sqlite3, name))
    patch_sqlite(Guard("/nowhere"), sqlite3)
    with sqlite3.connect(":memory:") as db:
        db.row_factory = sqlite3.Row
        made = db.execute("select 1 as one")
        assert type(made) is sqlite3.Cursor
        assert made.fetchone()["one"] == 1
        assert db.execute("select ?", (2,)).fetchone()[0] == 2
        assert isinstance(db.cursor(_Own), _Own)
        for one in (made, db):
            with pytest.raises(AttributeError):
                one.own = 1  # type: ignore[union-attr]
        with pytest.raises(TypeError):
            db.execute()  # type: ignore[call-arg]
        with pytest.raises(sqlite3.OperationalError):
            db.execute("no statement")
    db.close()
    with pytest.raises(sqlite3.ProgrammingError):
        db.execute("select 1")
