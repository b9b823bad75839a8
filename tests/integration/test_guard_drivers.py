"""The sink guard before real drivers and real databases: what is hostile stops, the rest runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.guard import guarded
from support.servers import postgresql

PACKAGES = (
    "psycopg2-binary==2.9.13",
    "psycopg[binary]==3.3.9",
    "asyncpg==0.32.0",
    "pymysql==1.2.4",
    "pg8000==1.31.6",
    "sqlalchemy==2.1.9",
    "aiosqlite==0.22.1",
    "duckdb==2.0.1",
)
PAYLOAD = "x' OR 'a'='a"
SECOND = "x'; DROP TABLE people; --"
VALUES = ("Ada", "O", PAYLOAD, SECOND)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drivers")
    uv = Path(sys.executable).with_name("uv")
    command = [uv, "pip", "install", "-q", "--python", sys.executable, "--target", folder]
    subprocess.run([*command, *PACKAGES], check=True, timeout=170)
    return folder


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with postgresql() as port:
        yield port


def outcomes(folder: Path, packages: Path, code: str, values: tuple[str, ...]) -> list[str]:
    events = [{"v": value} for value in values]
    answers = guarded(folder, code, events, packages=packages)
    assert not [a.result for a in answers if a.outcome == "error"]
    return [answer.outcome for answer in answers]


def outcomes_of(
    folder: Path, packages: Path, head: str, ways: Sequence[tuple[str, tuple[str, ...]]]
) -> list[list[str]]:
    """Return what becomes of values by each way to use them: an expression in which one is `v`.

    All are of one program, which imports the driver once: that takes longer than all they do.
    """
    code = head + "WAYS = []\n"
    for expression, _ in ways:
        code += f"\ndef way(v):\n    return {expression}\nWAYS.append(way)\n"
    code += '\ndef handler(event, context):\n    return WAYS[event["n"]](event["v"])\n'
    events = [{"n": n, "v": value} for n, (_, values) in enumerate(ways) for value in values]
    answers = guarded(folder, code, events, packages=packages)
    assert not [a.result for a in answers if a.outcome == "error"]
    assert len(answers) == len(events)
    found = iter(answer.outcome for answer in answers)
    return [[next(found) for _ in values] for _, values in ways]


POSTGRES_DRIVERS = {
    "psycopg2": """
import psycopg2
from psycopg2.extras import RealDictCursor, DictCursor

def run(statement, parameters=None):
    connection = psycopg2.connect(host="127.0.0.1", port={port}, user="test", dbname="postgres")
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE people (id int, name text)")
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else None

def run_dicts(statement, parameters=None):
    connection = psycopg2.connect(host="127.0.0.1", port={port}, user="test", dbname="postgres",
                                  cursor_factory=RealDictCursor)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE people (id int, name text)")
        cursor.execute(statement, parameters)
    with connection, connection.cursor(cursor_factory=DictCursor) as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else None
""",
    "psycopg": """
import psycopg

def run(statement, parameters=None):
    with psycopg.connect("host=127.0.0.1 port={port} user=test dbname=postgres") as connection:
        connection.execute("CREATE TEMP TABLE people (id int, name text)")
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else None

def run_dicts(statement, parameters=None):
    import asyncio
    async def main():
        where = "host=127.0.0.1 port={port} user=test dbname=postgres"
        async with await psycopg.AsyncConnection.connect(where) as connection:
            await connection.execute("CREATE TEMP TABLE people (id int, name text)")
            async with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
                await cursor.execute(statement, parameters)
    return asyncio.run(main())
""",
    "pg8000": """
import pg8000.dbapi

def run(statement, parameters=()):
    connection = pg8000.dbapi.connect("test", host="127.0.0.1", port={port}, database="postgres")
    cursor = connection.cursor()
    cursor.execute("CREATE TEMP TABLE people (id int, name text)")
    cursor.execute(statement, parameters or ())
    return cursor.fetchall() if cursor.description else None

run_dicts = run
""",
}
SQL_HANDLER = """
def handler(event, context):
    v = event["v"]
    return {run}({statement})
"""
UNSAFE = (
    "f\"SELECT * FROM people WHERE name = '{v}'\"",
    "\"SELECT * FROM people WHERE name = '%s'\" % v",
    '"SELECT * FROM people WHERE name = E\'" + v + "\'"',
)
SAFE = (
    '"SELECT * FROM people WHERE name = %s", (v,)',
    '"SELECT * FROM people WHERE name = ANY(%s)", ([v],)',
    "\"SELECT * FROM people WHERE name = '\" + v.replace(\"'\", \"''\") + \"'\"",
    "\"SELECT * FROM people WHERE name = $q$\" + v + \"$q$\"",
)  # fmt: skip


@pytest.mark.parametrize("driver", POSTGRES_DRIVERS)
@pytest.mark.parametrize("run", [pytest.param("run", marks=pytest.mark.storm), "run_dicts"])
def test_postgresql(tmp_path: Path, packages: Path, port: int, driver: str, run: str) -> None:
    head = POSTGRES_DRIVERS[driver].replace("{port}", str(port))
    ways = [(f"{run}({statement})", VALUES) for statement in (*UNSAFE, *SAFE)]
    found = outcomes_of(tmp_path, packages, head, ways)
    assert found[: len(UNSAFE)] == [["ok", "ok", "blocked", "blocked"]] * len(UNSAFE)
    assert found[len(UNSAFE) :] == [["ok"] * 4] * len(SAFE)


def test_postgresql_dollar_quotes_are_left_by_their_own_tag_only(
    tmp_path: Path, packages: Path, port: int
) -> None:
    head = POSTGRES_DRIVERS["psycopg"].replace("{port}", str(port))
    code = head + SQL_HANDLER.replace("{run}", "run").replace("{statement}", SAFE[3])
    values = ("$$", "'", "$q$ OR 1=1 --", "x$q$; SELECT 1; --")
    assert outcomes(tmp_path, packages, code, values) == ["ok", "ok", "blocked", "blocked"]


def test_what_psycopg_quotes_itself_passes(tmp_path: Path, packages: Path, port: int) -> None:
    head = POSTGRES_DRIVERS["psycopg"].replace("{port}", str(port))
    code = (
        head
        + """
from psycopg import sql

def handler(event, context):
    query = sql.SQL("SELECT {} AS {}").format(sql.Literal(event["v"]), sql.Identifier(event["v"]))
    return run(query)
"""
    )
    values = (*VALUES, 'a" FROM x --', "\\' OR 1=1 --")
    assert outcomes(tmp_path, packages, code, values) == ["ok"] * 6
    raw = (
        head
        + """
from psycopg import sql

def handler(event, context):
    return run(sql.SQL("SELECT * FROM people WHERE name = '" + event["v"] + "'"))
"""
    )
    assert outcomes(tmp_path, packages, raw, VALUES) == ["ok", "ok", "blocked", "blocked"]


def test_what_psycopg2_quotes_itself_passes(tmp_path: Path, packages: Path, port: int) -> None:
    head = POSTGRES_DRIVERS["psycopg2"].replace("{port}", str(port))
    code = (
        head
        + """
from psycopg2 import extensions, sql

def handler(event, context):
    name = extensions.QuotedString(event["v"]).getquoted().decode()
    run("SELECT * FROM people WHERE name = " + name)
    return run(sql.SQL("SELECT {} AS {}").format(sql.Literal(event["v"]), sql.Identifier("a")))
"""
    )
    assert outcomes(tmp_path, packages, code, VALUES) == ["ok"] * 4


def test_asyncpg(tmp_path: Path, packages: Path, port: int) -> None:
    head = """
import asyncio
import asyncpg

async def run(statement, *parameters, how):
    connection = await asyncpg.connect(host="127.0.0.1", port={port}, user="test",
                                       database="postgres")
    try:
        await connection.execute("CREATE TEMP TABLE people (id int, name text)")
        return await getattr(connection, how)(statement, *parameters)
    finally:
        await connection.close()
""".replace("{port}", str(port))
    unsafe = "asyncio.run(run(f\"SELECT * FROM people WHERE name = '{v}'\", how='HOW')) and None"
    hows = ("fetch", "fetchrow", "fetchval", "execute", "prepare")
    ways = [(unsafe.replace("HOW", how), VALUES) for how in hows]
    safe = "asyncio.run(run('SELECT * FROM people WHERE name = $1', v, how='fetch')) and None"
    *found, passed = outcomes_of(tmp_path, packages, head, [*ways, (safe, VALUES)])
    assert found == [["ok", "ok", "blocked", "blocked"]] * len(hows)
    assert passed == ["ok"] * 4


PYMYSQL = """
import pymysql

def run(statement, parameters=None):
    connection = pymysql.connections.Connection(defer_connect=True)
    connection.server_status = 0
    connection.encoding = "utf8"
    sent = []
    connection.query = lambda text, unbuffered=False: sent.append(text) or 0
    cursor = connection.cursor()
    cursor._do_get_result = lambda: None
    cursor.execute(statement, parameters)
    return sent
"""


def test_pymysql(tmp_path: Path, packages: Path) -> None:
    """Up to where it would send: there is no MySQL to test with, and none is needed before."""
    values = ("Ada", "O''Reilly", PAYLOAD, SECOND, "\\", "\\' OR 1=1 -- ")
    # The last one escapes the quote that it was to end the literal with.
    expected = ["ok", "ok", *["blocked"] * 3, "ok"]
    ways = [(f"run({statement})", values) for statement in UNSAFE[:2]]
    # Quotes doubled, but in MySQL a backslash escapes as well.
    ways += [(f"run({SAFE[2]})", ("\\' OR 1=1 -- ", "Ada", "it's"))]
    escaped = '"SELECT " + pymysql.converters.escape_string(v).join("\'\'")'
    ways += [(f"run({statement})", values) for statement in (SAFE[0], escaped)]
    first, second, weak, *safe = outcomes_of(tmp_path, packages, PYMYSQL, ways)
    assert first == second == expected
    assert weak == ["blocked", "ok", "ok"]
    assert safe == [["ok"] * 6] * 2


SQLALCHEMY = """
from sqlalchemy import Column, Integer, String, create_engine, literal_column, select, text
from sqlalchemy.orm import DeclarativeBase, Session, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

engine = create_engine("sqlite://")

def session():
    Base.metadata.create_all(engine)
    made = Session(engine)
    made.add(Person(id=1, name="Ada"))
    made.flush()
    return made
"""
SQLALCHEMY_UNSAFE = (
    "session().execute(text(f\"SELECT * FROM people WHERE name = '{v}'\")).all()",
    'session().execute(text("SELECT * FROM people WHERE name = \'" + v + "\'")).all()',
    "session().execute(select(Person).where(text(f\"name = '{v}'\"))).all()",
    "session().execute(select(Person).where(text(\"name = '%s'\" % v))).all()",
    "session().connection().exec_driver_sql(f\"SELECT * FROM people WHERE name = '{v}'\").all()",
    "session().execute(select(literal_column(f\"'{v}'\"))).all()",
)
SQLALCHEMY_SAFE = (
    "session().execute(text('SELECT * FROM people WHERE name = :name'), {'name': v}).all()",
    "session().execute(select(Person).where(Person.name == v)).all()",
    "session().execute(select(Person).where(Person.name.in_([v, 'x']))).all()",
    "session().execute(select(Person).where(Person.name.like('%' + v + '%'))).all()",
    "session().execute(select(Person).filter_by(name=v).order_by(Person.id).limit(5)).all()",
    "(lambda s: (s.add(Person(id=2, name=v)), s.flush(), s.get(Person, 2).name))(session())",
)


def test_sqlalchemy(tmp_path: Path, packages: Path) -> None:
    statements = ",\n    ".join(f"lambda v: {s}" for s in (*SQLALCHEMY_UNSAFE, *SQLALCHEMY_SAFE))
    code = f"""{SQLALCHEMY}
STATEMENTS = (
    {statements},
)

def handler(event, context):
    return STATEMENTS[event["n"]](event["v"])
"""
    safe_values = (*VALUES, "name", "people", "people.name", "SELECT", "id, name", "'", ", ")
    plan = [(s, VALUES, ["ok", "ok", "blocked", "blocked"]) for s in SQLALCHEMY_UNSAFE]
    plan += [(s, safe_values, ["ok"] * len(safe_values)) for s in SQLALCHEMY_SAFE]
    events = [{"n": n, "v": v} for n, (_, values, _) in enumerate(plan) for v in values]
    answers = iter(guarded(tmp_path, code, events, packages=packages))
    for statement, values, expected in plan:
        found = [next(answers) for _ in values]
        assert [answer.outcome for answer in found] == expected, (statement, found)


def test_aiosqlite(tmp_path: Path, packages: Path) -> None:
    head = """
import aiosqlite, asyncio

async def run(statement, parameters=()):
    async with aiosqlite.connect(":memory:") as db:
        await db.execute("CREATE TABLE people (id integer, name text)")
        async with db.execute(statement, parameters) as cursor:
            return await cursor.fetchall()
"""
    unsafe = """
def handler(event, context):
    return asyncio.run(run("SELECT * FROM people WHERE name = '" + event["v"] + "'"))
"""
    safe = """
def handler(event, context):
    return asyncio.run(run("SELECT * FROM people WHERE name = ?", (event["v"],)))
"""
    assert outcomes(tmp_path, packages, head + safe, VALUES) == ["ok"] * 4
    found = [a.outcome for a in guarded(tmp_path, head + unsafe, [{"v": v} for v in VALUES[:3]],
                                        packages=packages)]  # fmt: skip
    assert found == ["ok", "ok", "blocked"]


SQLITE_OWN = """
import sqlite3

class Mine(sqlite3.Connection):
    def people(self, name):
        return self.execute("SELECT * FROM people WHERE name = '" + name + "'").fetchall()

class MyCursor(sqlite3.Cursor):
    pass

def handler(event, context):
    how, v = event["how"], event["v"]
    db = sqlite3.connect(":memory:", factory=Mine) if how != "class" else Mine(":memory:")
    db.execute("CREATE TABLE people (id integer, name text)")
    db.row_factory = sqlite3.Row
    assert isinstance(db, sqlite3.Connection)
    if how == "cursor":
        cursor = db.cursor(MyCursor)
        assert isinstance(cursor, MyCursor)
        return cursor.execute("SELECT * FROM people WHERE name = '" + v + "'").fetchall()
    with db:
        return db.people(v)
"""


def test_classes_of_sqlite3_that_the_function_makes_itself(tmp_path: Path) -> None:
    events = [{"how": how, "v": v} for how in ("factory", "class", "cursor") for v in VALUES]
    found = [answer.outcome for answer in guarded(tmp_path, SQLITE_OWN, events)]
    assert found == ["ok", "ok", "blocked", "blocked"] * 3


def test_pymysql_connection(tmp_path: Path, packages: Path) -> None:
    code = """
import pymysql

def handler(event, context):
    connection = pymysql.connections.Connection(defer_connect=True)
    try:
        connection.query("SELECT * FROM people WHERE name = '" + event["v"] + "'")
    except pymysql.err.Error:
        return "not connected"
"""
    assert outcomes(tmp_path, packages, code, VALUES) == ["ok", "ok", "blocked", "blocked"]


def test_duckdb(tmp_path: Path, packages: Path) -> None:
    for call in ("duckdb.connect().execute", "duckdb.sql", "duckdb.connect().sql"):
        code = f"""
import duckdb

def handler(event, context):
    return {call}(f"SELECT '{{event['v']}}' AS name").fetchall()
"""
        assert outcomes(tmp_path, packages, code, VALUES[:3]) == ["ok", "ok", "blocked"], call
    code = """
import duckdb

def handler(event, context):
    connection = duckdb.connect()
    return connection.execute("SELECT ? AS name", [event["v"]]).fetchall()
"""
    assert outcomes(tmp_path, packages, code, VALUES) == ["ok"] * 4


def test_what_psycopg2_extras_put_together_passes(
    tmp_path: Path, packages: Path, port: int
) -> None:
    head = POSTGRES_DRIVERS["psycopg2"].replace("{port}", str(port))
    code = (
        head
        + """
from psycopg2.extras import execute_batch, execute_values

def handler(event, context):
    connection = psycopg2.connect(host="127.0.0.1", port=PORT, user="test", dbname="postgres")
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE people (id int, name text)")
        rows = [(1, event["v"]), (2, "x")]
        execute_values(cursor, "INSERT INTO people (id, name) VALUES %s", rows)
        execute_batch(cursor, "UPDATE people SET name = %s WHERE id = %s", [(event["v"], 1)])
        cursor.execute("SELECT name FROM people WHERE id = 1")
        return cursor.fetchone()[0] == event["v"]
""".replace("PORT", str(port))
    )
    values = (*VALUES, "\\", "\\' OR 1=1 --", "people (id, name)", "%s")
    assert outcomes(tmp_path, packages, code, values) == ["ok"] * len(values)
