"""Shapes of statements and URLs: the same whatever the values are, other where the code differs."""

from __future__ import annotations

import re
import time

import pytest

from casemate.guard.core import Guard
from casemate.guard.origin import Origin, Span
from casemate.guard.shapes import MAX_MET, MAX_TEXT, Shapes, id_of, shape_of
from casemate.guard.sql import shape as shape_module
from casemate.guard.sql import statements, structure
from casemate.guard.sql.shape import shape
from casemate.guard.sql.tokens import Dialect
from casemate.guard.url.shape import shape as url_shape
from casemate.guard.verdict import BlockedError

SQLITE = Dialect.SQLITE


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("SELECT * FROM orders WHERE id = 41", "select * from orders where id = ?"),
        ("select *  from orders\nwhere id = 'x''y'", "select * from orders where id = ?"),
        ("SELECT a FROM t1 WHERE b = ? -- note", "select a from t1 where b = ?"),
        ("SELECT a FROM t WHERE b IN (1, 2, 3)", "select a from t where b in (?+)"),
        ("SELECT a FROM t WHERE b IN ('x', ?)", "select a from t where b in (?+)"),
        ("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')", "insert into t values (?+)"),
        ("INSERT INTO t VALUES (1), (2)", "insert into t values (?)"),
        ('SELECT "My Col" FROM t /* x */', 'select "my col" from t'),
        ("SELECT 'not closed", "select ?"),
        ("", ""),
    ],
)
def test_values_are_left_out(statement: str, wanted: str) -> None:
    assert shape(statement, SQLITE) == wanted


@pytest.mark.parametrize("opened", ["/*!", "/*!50000 ", "/*M! ", "/*M!100100 "])
def test_what_mysql_runs_of_a_comment_is_no_comment(opened: str) -> None:
    plain = "SELECT a FROM t WHERE b = 1"
    hidden = f"{plain} {opened}UNION SELECT c FROM d*/"
    assert "union select c from d" in shape(hidden, Dialect.MYSQL)
    assert shape(f"{plain} /* UNION */", Dialect.MYSQL) == shape(plain, Dialect.MYSQL)
    assert shape(hidden, SQLITE) == shape(plain, SQLITE)


@pytest.mark.parametrize("dialect", Dialect)
def test_comments_are_left_out(dialect: Dialect) -> None:
    assert shape("SELECT a /* x 1 */ FROM t", dialect) == "select a from t"


def test_structure_is_not() -> None:
    every = {
        shape(statement, SQLITE)
        for statement in (
            "SELECT a FROM t WHERE b = 1",
            "SELECT a FROM t WHERE b = 1 OR 1 = 1",
            "SELECT a FROM t WHERE b = 1; DROP TABLE t",
            "SELECT a FROM t WHERE b = 1 UNION SELECT c FROM d",
            "SELECT a FROM u WHERE b = 1",
            "SELECT a, b FROM t WHERE b = 1",
            "DELETE FROM t WHERE b = 1",
        )
    }
    assert len(every) == 7


@pytest.mark.parametrize("value", [r"it\'s", "it''s", 'a "b" c', "-- x", "/* x", "x;y", "\u00fc"])
def test_what_a_literal_holds_makes_no_other_shape(value: str) -> None:
    statement = f"SELECT a FROM t WHERE b = '{value}' AND c = 1"
    assert shape(statement, Dialect.MYSQL) == "select a from t where b = ? and c = ?"


@pytest.mark.parametrize(
    "statement",
    [
        "(" * 10**6,
        "'" * 10**6,
        "(1)," * 10**6,
        "a " * 10**6,
        "/*" * 10**6,
        "$a$" * 10**6,
        "1," * 10**6,
        "?," * 10**6,
        "(?)," * 10**6 + "x",
        "q'a" * 10**6,
        ":a" * 10**6,
        "[" * 10**6,
        "`" * 10**6,
        "$" * 10**6,
        "1.1.1" * 10**6,
        "\n" * 10**6,
    ],
)
@pytest.mark.parametrize("dialect", Dialect)
def test_hostile_statements_take_no_time(statement: str, dialect: Dialect) -> None:
    started = time.process_time()
    shape_of("sql", shape(statement, dialect))
    assert time.process_time() - started < 0.3


@pytest.mark.parametrize("expression", [shape_module._LIST, shape_module._ROWS, structure._WORDS])
@pytest.mark.parametrize(
    "text",
    ["?", "? ,", "?,", "? , ?", "(?),", "(?+) , ", "(?),(?+),", "( ?", "(?", "(", "a", "a ", "é_"],
)
@pytest.mark.parametrize("end", ["", "x", "\n(?+"])
def test_what_is_not_cut_takes_no_time_either(
    expression: re.Pattern[str], text: str, end: str
) -> None:
    """The bound of a statement is not what the expressions need."""
    hostile = text * (100_000 // len(text)) + end
    started = time.process_time()
    expression.sub("", hostile)
    expression.findall(hostile)
    assert time.process_time() - started < 0.5


URL = "https://API.example.com/users/ada/orders/41?expand=yes&to=ada@example.com#x"
FROM_EVENT = Origin("event", "/user")


@pytest.mark.parametrize(
    ("url", "spans", "wanted"),
    [
        (URL, (), "api.example.com/users/ada/orders/{}?expand&to"),
        (
            URL,
            (Span(30, 33, FROM_EVENT, exact=True),),
            "api.example.com/users/{}/orders/{}?expand&to",
        ),
        ("http://h", (), "h"),
        ("http://h/", (), "h/"),
        ("http://h/a?b", (), "h/a?b"),
        ("http://h/" + "x" * 40, (), "h/{}"),
        ("http://h/abc", (Span(8, 12, FROM_EVENT, exact=True),), "h/{}"),
    ],
)
def test_urls_are_told_by_host_and_places(url: str, spans: tuple[Span, ...], wanted: str) -> None:
    assert url_shape(url, spans) == wanted


def test_a_long_shape_is_cut_and_told_apart() -> None:
    one, other = shape_of("sql", "a" * 5000), shape_of("sql", "a" * 4999 + "b")
    assert one != other and max(len(one), len(other)) <= MAX_TEXT
    assert shape_of("sql", "a\n\x1b[2J\udc80").isprintable()


def test_only_what_the_host_does_not_know_is_told_so_many_times() -> None:
    shapes = Shapes()
    shapes.use([id_of(shape_of("sql", "known"))], strict=False)
    assert shapes.admits("sql", "known") and not shapes.met
    for number in range(10_000):
        assert shapes.admits("sql", f"new {number}")
    assert len(shapes.met) == MAX_MET and not shapes.refused
    shapes.begin()
    assert not shapes.met and shapes.admits("sql", "new 1") and list(shapes.met) == ["sql new 1"]
    shapes.use([id_of("sql known")], strict=True)
    assert shapes.admits("sql", "known") and not Shapes().refused


def guarded(*, known: tuple[str, ...] = (), strict: bool = False) -> Guard:
    guard = Guard()
    guard.shapes.use(map(id_of, known), strict=strict)
    guard.begin({"id": "41"})
    return guard


def check(guard: Guard, statement: str) -> None:
    statements.check_statement(guard, statement, (SQLITE,))


def test_a_statement_of_the_code_has_no_shape_and_one_put_together_has() -> None:
    guard = guarded()
    guard.constants.add_code(compile("x = 'SELECT a FROM t'", "app.py", "exec"))
    check(guard, "SELECT a FROM t")
    assert not guard.shapes.met
    check(guard, "SELECT a FROM t WHERE id = " + "41")
    assert list(guard.shapes.met) == ["sql select a from t where id = ?"]


def test_what_is_not_usual_is_refused_where_it_is_to_be() -> None:
    usual = "sql select a from t where id = ?"
    guard = guarded(known=(usual,), strict=True)
    check(guard, "SELECT a FROM t WHERE id = 7")
    with pytest.raises(BlockedError, match="nothing of this shape"):
        check(guard, "SELECT a FROM t WHERE id = 7 OR id = 8")
    assert guard.blocked is not None, "whatever the handler makes of it"
    assert list(guard.shapes.refused) == ["sql select a from t where id = ? or id = ?"]
    guard.end()
    check(guard, "SELECT anything AT ALL")  # nothing of an invocation


def test_bytes_have_a_shape_too() -> None:
    with pytest.raises(BlockedError):
        statements.check_statement(guarded(strict=True), b"SELECT 1 + 2", (SQLITE,))
