"""Names and signs that an event chooses: those that only tell rows apart pass, others are stopped."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from casemate.guard import plain_names, quoted
from casemate.guard.evaluation import formats, judgement
from casemate.guard.nosql import languages
from casemate.guard.origin import Origin, Span
from casemate.guard.sinks import ldap, xpath
from casemate.guard.sql import structure
from casemate.guard.sql.tokens import Dialect
from casemate.guard.verdict import Judge, Verdict
from support.guard_cases import Cases, assert_blocked, assert_passes

_TEXT = "§"
"""Where a template has the event's next text."""


def _made(template: str, given: tuple[str, ...]) -> tuple[str, list[Span]]:
    text, spans = "", []
    for number, part in enumerate(template.split(_TEXT)):
        text += part
        if number < len(given):
            place, origin = len(text), Origin("event", ("v", number))
            text += given[number]
            spans.append(Span(place, len(text), origin, exact=True))
    return text, spans


def _sql(text: str, spans: list[Span]) -> Verdict | None:
    found = [structure.judge(text, spans, (dialect,)) for dialect in Dialect]
    assert len({verdict is None for verdict in found}) == 1, (text, found)
    return found[0]


def _xpath(text: str, spans: list[Span]) -> Verdict | None:
    return quoted.judge(text, spans, xpath.XPATH)


def _dynamodb(text: str, spans: list[Span]) -> Verdict | None:
    return quoted.judge(text, spans, languages.EXPRESSION)


def _pandas(text: str, spans: list[Span]) -> Verdict | None:
    return judgement.judge(text, spans, columns=True)


_PASS: dict[Judge, list[tuple[str, ...]]] = {
    _sql: [
        ("SELECT id FROM t ORDER BY §", "price DESC"),
        ("SELECT price AS § FROM t", "cost"),
        ("SELECT city, §(price) FROM t GROUP BY city", "max"),
        ("SELECT §(*) FROM t", "count"),
        ("SELECT * FROM t WHERE EXTRACT(§ FROM made) = 3", "month"),
        ("SELECT a FROM t WHERE lower(§) = ?", "x"),
        ("SELECT a FROM t ORDER BY lower(§) DESC", "x"),
        ("SELECT id FROM t ORDER BY §", "price"),
        ("SELECT id FROM t ORDER BY § § LIMIT ?", "created_at", "desc"),
        ("SELECT id FROM t ORDER BY price §", "DESC NULLS LAST"),
        ("SELECT a, count(*) FROM t GROUP BY §", "city"),
        ("SELECT * FROM t WHERE § = ?", "city"),
        ("SELECT * FROM t WHERE price § ?", ">="),
        ("SELECT * FROM t WHERE a=1 AND price § 5", "<>"),
        ("SELECT * FROM t WHERE name § ?", "LIKE"),
        ("SELECT * FROM t WHERE § LIKE '%§%'", "city", "ab"),
        ("SELECT * FROM t WHERE § § ?", "price", "<"),
        ("SELECT * FROM t u JOIN v ON u.id=v.id WHERE § IN (?, ?)", "city"),
        ("SELECT * FROM t WHERE § BETWEEN ? AND ? ORDER BY lower(a), §", "city", "price"),
        ("SELECT * FROM t WHERE (§ = %s)", "city"),
        ("SELECT * FROM t WHERE § IS NOT NULL", "city"),
        ("WITH x AS (SELECT 1) SELECT * FROM x ORDER BY § ASC", "b"),
        ("SELECT * FROM t WHERE t.price § ?", ">"),
        ("SELECT rank() OVER (PARTITION BY § ORDER BY a) FROM t", "city"),
        ("SELECT id FROM t ORDER BY name§", " DESC"),
        ("SELECT id FROM t ORDER BY name §", ""),
        ("SELECT id FROM t WHERE § NOT IN (1,2)", "city"),
        ("SELECT id FROM t ORDER BY §", "price DESC, name"),
        ("SELECT id FROM t ORDER BY § LIMIT 5", "a, b asc ,c"),
        ("SELECT § FROM t", "city"),
        ("SELECT § FROM s.t WHERE a = ?", "name,city , age"),
        ("SELECT DISTINCT §, b FROM t ORDER BY 1", "city"),
        ("SELECT a, § FROM t x WHERE b = 'FROM u, v'", "city"),
        ("SELECT sum(§) AS m FROM t GROUP BY a", "price"),
        (
            "SELECT § AS d, avg(§) AS m FROM read_csv('/d/a.csv', header = true) GROUP BY §",
            "a",
            "b",
            "a",
        ),
        ("UPDATE t SET § = ? WHERE id = ?", "title"),
        ("UPDATE t SET §=?, § = :due WHERE id = 4", "title", "due"),
        ("UPDATE t SET a = lower(?, '1'), § = -1 RETURNING id", "note"),
        ("UPDATE t SET § = § + 1 WHERE id = ?", "likes", "likes"),
        ("INSERT INTO t (id, §, §) VALUES (?, ?, ?)", "title", "colour"),
        ("INSERT OR IGNORE INTO main.t(§) VALUES (?) RETURNING id", "title"),
        ("INSERT INTO t (§) VALUES (?) ON CONFLICT (id) DO UPDATE SET § = excluded.§", *["a"] * 3),
        ("INSERT INTO t (§) VALUES (?) ON DUPLICATE KEY UPDATE § = VALUES(§)", *["a"] * 3),
        ("§", "price desc"),
        ("§", "city, price ASC"),
        ("§", "city"),
    ],
    _pandas: [
        ("§ > 5", "age"),
        ("§ == 'a'", "city"),
        ("a > 1 and § > 5", "age"),
        ("age § 5", ">="),
        ("§ § §", "age", ">", "5"),
        ('(§ == "§")', "city", "Ulm"),
        ("`§` > 3", "age"),
        ("not § > 5", "age"),
        ("a>1 or § < @x", "age"),
    ],
    _xpath: [
        ("//user[@§='§']", "name", "Ada"),
        ("//user[§ = 3]", "age"),
        ("//u[a=1 and @§ > 3]", "age"),
        ("//u[§ = $v]", "name"),
    ],
    ldap.judge_filter: [
        ("(§=§)", "mail", "ada"),
        ("(&(objectClass=person)(§=§*))", "cn", "ada"),
        ("(§>=5)", "age"),
    ],
    _dynamodb: [
        ("§ = :v", "city"),
        ("a = :x AND § >= :v", "age"),
        ("(§ < :v)", "age"),
    ],
    languages.judge_path: [
        ("people[?§ == '§']", "city", "Ulm"),
        ("sort_by(people, &§)", "age"),
        ("§", "a.b[0].c"),
        ("$.items[*].§", "sku"),
        ("§", "$.a.b"),
        ("people[?age > `3`].§", "name"),
    ],
    languages.judge_program: [
        (".[] | .§", "name"),
        (".[] | select(.§ == 3)", "age"),
    ],
}
_NOT_ANSWERED = (
    *("password", "email", "unitCost", "iban", "t", "*", "city, api_key", "city, *", "city c"),
    *("DISTINCT city", "city FROM u", "sum(price)", "city, (SELECT 1)", "current_user", "t.city"),
)
_NOT_ANSWERED_IN = (
    *(
        "SELECT § FROM t, u",
        "SELECT § FROM t JOIN u ON a = b",
        "SELECT a FROM t UNION SELECT § FROM u",
    ),
    *("SELECT a, (SELECT § FROM u) FROM t", "SELECT evil(§) FROM t", "SELECT a § FROM t"),
    *("SELECT t.§ FROM t", "SELECT §(a) FROM t", "SELECT a || § FROM t", "SELECT § || a FROM t"),
    *("INSERT INTO v SELECT § FROM t", "DELETE FROM t WHERE a = 1 RETURNING §", "SELECT §"),
    *("SELECT § INTO v FROM t", "SELECT CASE WHEN a THEN § END FROM t"),
)
_NOT_WRITTEN = (
    *("role", "is_admin", "owner_id", "userId", "password", "price", "status", "rowid", "größe"),
    *("a, b", "a.b", "a = 1, b", "(a)", "a--"),
)
_NOT_WRITTEN_IN = (
    *("UPDATE § SET a = 1", "UPDATE t SET a = §", "UPDATE t SET a = 1 WHERE § = 2"),
    *("UPDATE t SET § = (SELECT 1)", "UPDATE t SET § = b", "UPDATE t SET § = b + 1"),
    *("UPDATE t SET § = ?; UPDATE t SET b = 1", "UPDATE t SET §.b = 1", "UPDATE t SET a.§ = 1"),
    *("INSERT INTO § (a) VALUES (1)", "INSERT INTO t (a) VALUES (§)", "INSERT INTO t (§) SELECT 1"),
    *(
        "INSERT INTO t (a) VALUES (1) RETURNING §",
        "DELETE FROM t WHERE § = 1",
        "ALTER TABLE t ADD §",
    ),
    *("CREATE TABLE t (§)", "MERGE INTO t USING u ON a = b WHEN MATCHED THEN UPDATE SET § = 1"),
    *("INSERT INTO t (b) VALUES (1) ON CONFLICT (§) DO NOTHING", "UPDATE t SET § = evil(?)"),
)
_STOPPED: dict[Judge, list[tuple[str, ...]]] = {
    _sql: [
        ("SELECT id FROM t u ORDER BY u.§", "to_jsonb"),
        ("SELECT id FROM t u WHERE lower(u.§) = ?", "concat"),
        ("SELECT id FROM t ORDER BY §", "password DESC"),
        ("SELECT id FROM t ORDER BY §", "price DESC, password"),
        ("SELECT id FROM t ORDER BY §", "price, DESC"),
        ("SELECT id FROM t ORDER BY §", "price, (SELECT 1)"),
        ("SELECT id FROM t WHERE § = ?", "price desc"),
        ("SELECT §(password) FROM t", "max"),
        ("SELECT §(price) FROM t", "sleep"),
        ("SELECT §(price, 1) FROM t", "max"),
        ("SELECT price AS § FROM t", "a, password"),
        ("SELECT x FROM t AS §", "a"),
        ("SELECT EXTRACT(§ FROM made) FROM t", "version"),
        ("SELECT a FROM t ORDER BY evil(§) DESC", "x"),
        ("SELECT a FROM t ORDER BY lower(§, (SELECT 1))", "x"),
        *(("SELECT § FROM t", word) for word in _NOT_ANSWERED),
        *((template, "city") for template in _NOT_ANSWERED_IN),
        ("SELECT * FROM §", "city"),
        ("SELECT id FROM t ORDER BY §", "password"),
        ("SELECT id FROM t ORDER BY §", "pw_hash"),
        ("SELECT id FROM t ORDER BY §", "t"),
        ("SELECT id FROM s.t AS u ORDER BY §", "u"),
        ("SELECT id FROM t ORDER BY §", "a, t"),
        ("SELECT id FROM t ORDER BY §(a)", "sleep"),
        ("SELECT id FROM t WHERE § = §", "a", "a"),
        ("DELETE FROM t WHERE § = ?", "a"),
        *(("UPDATE t SET § = ?", name) for name in _NOT_WRITTEN),
        *((template, "a") for template in _NOT_WRITTEN_IN),
        ("INSERT INTO t (§, b) VALUES (?, ?)", "a, c"),
        ("INSERT INTO t (§, b) VALUES (?, ?)", "isAdmin"),
        ("UPDATE t SET §", "a = 1"),
        ("UPDATE t SET § = § + 1", "a", "b"),
        ("UPDATE t SET § = § + 1", "balance", "balance"),
        ("SELECT * FROM t WHERE password § ?", "!="),
        ("SELECT * FROM t WHERE a = §", "a"),
        ("SELECT * FROM t WHERE a § b", "="),
        ("SELECT * FROM t WHERE a = ? § b = ?", "OR"),
        ("SELECT * FROM t WHERE § = ?", "1=1 OR a"),
        ("SELECT * FROM t WHERE § = ?", "sqlite_version"),
        ("SELECT * FROM t WHERE § = b", "a"),
        ("SELECT * FROM t WHERE § = ?", "current_user"),
        ("SELECT * FROM t WHERE § = (SELECT 1)", "a"),
        ("SELECT * FROM t §", "x"),
        ("SELECT a § FROM t", "b"),
        ("SELECT a FROM t WHERE a IN (SELECT § FROM u)", "b"),
        ("SELECT a FROM t LIMIT §", "b"),
        ("DELETE FROM t WHERE id § ?", ">"),
        ("SELECT a FROM t ORDER BY a §", "foo"),
        ("SELECT a FROM t ORDER BY u.§", "password"),
        ("SELECT a FROM t WHERE a = ? ORDER BY §", "case"),
        ("SELECT a FROM t WHERE id § ?", "IS NOT"),
        ("SELECT a FROM t WHERE § = ? UNION SELECT 1", "`a`"),
        ("SELECT a FROM t WHERE § = ?", "pässword"),
        ("SELECT a FROM t WHERE CASE WHEN § = ? THEN 1 END", "x"),
        ("WITH d AS (DELETE FROM t WHERE § = ? RETURNING *) SELECT * FROM d", "x"),
        ("SELECT a FROM t WHERE password_digest § 'x'", ">"),
        ("SELECT a FROM t WHERE a = lower(§)", "b"),
        ("SELECT a FROM t ORDER BY 1 §", "DESC; DROP"),
    ],
    _pandas: [
        ("§ > 5", "password"),
        ("§ > 5", "age.__class__"),
        ("§ > 5", "@x"),
        ("§ > 5", "a or b"),
        ("§ > b", "age"),
        ("§(5)", "age"),
        ("password § 5", "!="),
        ("a § b", ">"),
        ("x = § > 5", "age"),
        ("§", "age"),
        ("age > 5 § 1 > 0", "or"),
        ("a.§ > 5", "age"),
        ("f§ > 5", "age"),
        ("§ == §", "age", "age"),
    ],
    _xpath: [
        ("//u[§ = b]", "name"),
        ("//u[§]", "name"),
        ("//§", "u"),
        ("//u[@§='x']", "password"),
        ("//u[§(a)='x']", "name"),
        ("//u[a § b]", "or"),
        ("//u[§::a = 1]", "parent"),
    ],
    ldap.judge_filter: [
        ("(§=*)", "mail"),
        ("(§=ada)", "userPassword"),
        ("(§=ada)", "cn=a)(b"),
        ("(§(cn=ada))", "x"),
        ("§", "(cn=a)"),
        ("(§=§)", "mail", "*"),
    ],
    _dynamodb: [
        ("§ = city", "city"),
        ("§ = :v", "token"),
        ("SET § = :v", "role"),
        ("a = :x OR §", "age"),
        ("§(a, :v)", "size"),
        ("category = §", "category"),
    ],
    languages.judge_path: [
        ("people[?§ == 'x'].y", "a || b"),
        ("§", "a.password"),
        ("§", "*"),
        ("§(people)", "keys"),
        ("sort_by(people, &§)", "token"),
        ("people[?§ == 'x']", "password"),
        ("§", "people[?a]"),
        ("$..§", "api_key"),
    ],
    languages.judge_program: [
        ("§", "env"),
        (".[] | §", "env"),
        (".§", "password"),
        (".a.§(1)", "limit"),
        (".[] | .a§", "|env"),
    ],
}


@pytest.mark.parametrize("judge", _PASS, ids=lambda judge: judge.__name__)
def test_names_that_only_tell_apart_pass(judge: Judge) -> None:
    for template, *given in _PASS[judge]:
        text, spans = _made(template, tuple(given))
        assert judge(text, spans) is None, text


@pytest.mark.parametrize("judge", _STOPPED, ids=lambda judge: judge.__name__)
def test_names_that_do_more_are_stopped(judge: Judge) -> None:
    for template, *given in _STOPPED[judge]:
        text, spans = _made(template, tuple(given))
        assert judge(text, spans) is not None, text


@pytest.mark.parametrize(
    "hostile", ["SET = , ", "a = 1, ", "SET a=1, ", "(", "KEY UPDATE ", "a = a + "]
)
def test_a_statement_that_writes_is_looked_at_in_a_bounded_time(hostile: str) -> None:
    text = "UPDATE t SET a = 1, " + hostile * 900
    span = Span(13, 14, Origin("event", ("v",)), exact=True)
    begun = time.process_time()
    structure.judge(text, [span], [Dialect.SQLITE])
    assert time.process_time() - begun < 1


def test_a_statement_with_many_names_is_looked_at_in_a_bounded_time() -> None:
    listed = ", ".join([_TEXT] * 3000)
    text, spans = _made(f"SELECT a FROM t ORDER BY {listed}", ("city",) * 3000)
    assert structure.judge(text, spans, (Dialect.SQLITE,)) is not None


@pytest.mark.parametrize(
    "name",
    [
        *("password", "PassWord", "pass_word", "userPassword", "api_key", "apiKey", "pg_class"),
        *("pw", "reset_token", "isAdmin", "IBAN", "card_no", "ssn", "session_id", "__class__"),
        *("database_url", "redisUrl", "DSN", "connection_string"),
    ],
)
def test_what_is_hidden_is_known_by_its_name(name: str) -> None:
    assert plain_names.is_hidden(name)
    assert not plain_names.is_plain(name)


@pytest.mark.parametrize(
    "name", ["created_at", "city", "author", "monkey", "keyword", "spin", "hour", "rank", "x1"]
)
def test_plain_names(name: str) -> None:
    assert plain_names.is_plain(name)


class _User:
    def __init__(self) -> None:
        self.name, self.password, self.f = "Ada", "x", open

    @property
    def made(self) -> str:
        return "made"


@pytest.mark.parametrize(
    ("template", "passes"),
    [
        *((t, True) for t in ("{u.name}", "{d[a][0][b]}", "{0}", "{d[a][0][b]:>5}", "{u.name!r}")),
        *(
            (t, False)
            for t in ("{u}", "{u.password}", "{u.f}", "{u.made}", "{u.__class__}", "{d[a]}")
        ),
        *(
            (t, False)
            for t in ("{u.name.__class__}", "{u.name:{u.password}}", "{d[secret]}", "{m.sep}")
        ),
    ],
)
def test_fields_of_templates(template: str, *, passes: bool) -> None:
    import os

    given = {"u": _User(), "d": {"a": [{"b": "1"}], "secret": "s"}, "m": os}
    spans = [Span(0, len(template), Origin("event", ("t",)), exact=True)]
    assert (formats.judge(template, spans, ("x",), given) is None) is passes


_SQL = """
import sqlite3
def db():
    c = sqlite3.connect(":memory:")
    c.execute("CREATE TABLE items(id INTEGER, name TEXT, price INTEGER, city TEXT, password TEXT)")
    return c
"""
_PAGE = """
import html, re, string, jinja2
class Escaping(string.Formatter):
    def format_field(self, value, spec): return html.escape(format(value, spec))
env = jinja2.Environment(autoescape=True)
def page(body): return {"status": 200, "headers": {"content-type": "text/html"}, "body": body}
"""
_GET = """
import urllib.request
from urllib.parse import urljoin
def get(url):
    try: urllib.request.urlopen(url)
    except OSError: return "no network"
"""
_MONGO = """
import pymongo
def items(): return pymongo.MongoClient("127.0.0.1", 1, serverSelectionTimeoutMS=1).db.items
"""


def _in(module: str, body: str) -> str:
    return module + "\ndef handler(event, context):\n    " + body.replace("\n", "\n    ")


def _query(statement: str, values: str = "()") -> str:
    return _in(_SQL, f"return db().execute(f{statement!r}, {values}).fetchall()")


_LIST = "SELECT id FROM items ORDER BY {event['by']} {event['way']} LIMIT 10"
_FIND = "SELECT id FROM items WHERE {event['field']} {event['sign']} ?"
_LINK = (
    'text = html.escape(event["v"])\n'
    'text = re.sub(r"(https?://[^\\s<]+)", r\'<a href="\\1">\\1</a>\', text)\n'
    'return page("<p>" + text + "</p>")'
)
_RAW_LINK = _LINK.replace('html.escape(event["v"])', 'event["v"]')
_SANDBOX = """
from jinja2.sandbox import SandboxedEnvironment
def handler(event, context): return SandboxedEnvironment().from_string(event["t"]).render(name="x")
"""
_SCRIPT = '<script src="/a.js"></script> then <script>x()</script>'
_CODE = (
    'source = "<body><script src=\\"/a.js\\"></script><pre>{{ c }}</pre></body>"\n'
    'return page(env.from_string(source).render(c=event["v"]))'
)
_BASE = "https://api.example.com/v1/users/"

HARMLESS: Cases = {
    "a column to order by": (_query(_LIST), {"by": "price", "way": "desc"}),
    "a column and a sign": (_query(_FIND, "(3,)"), {"field": "price", "sign": ">="}),
    "a pattern": (_query(_FIND, "('a%',)"), {"field": "name", "sign": "LIKE"}),
    "a sign in MongoDB": (
        _in(
            _MONGO,
            "try: return list(items().find({'price': {event['op']: event['n']}}))\n"
            "except pymongo.errors.ServerSelectionTimeoutError: return 'no server'",
        ),
        {"op": "$gte", "n": 3},
    ),
    "a sum in MongoDB": (
        _in(
            _MONGO,
            "made = {'_id': '$city', 'value': {'$' + event['op']: '$price'}}\n"
            "try: return list(items().aggregate([{'$group': made}]))\n"
            "except pymongo.errors.ServerSelectionTimeoutError: return 'no server'",
        ),
        {"op": "avg"},
    ),
    "a constant of a module": (
        "import socket\nreturn getattr(socket, event['o'])",
        {"o": "AF_INET"},
    ),
    "a function of operator": (
        "import operator\nreturn getattr(operator, event['o'])(1, 2)",
        {"o": "lt"},
    ),
    "a formatter that escapes": (
        _in(_PAGE, 'return page(Escaping().format("<p title=\\"{v}\\">{v}</p>", v=event["v"]))'),
        {"v": '<b>use <p> and "quotes"</b>'},
    ),
    "an escaped address as a link": (
        _in(_PAGE, _LINK),
        {"v": "see https://example.com/?a=1&b=2 <b>"},
    ),
    "code on a page that escapes": (_in(_PAGE, _CODE), {"v": _SCRIPT}),
    "labels below a domain": (
        _in(_GET, "return get(f\"https://{event['h']}.example.com/\")"),
        {"h": "eu.acme"},
    ),
    "a path that stays": (
        _in(_GET, f"return get(urljoin({_BASE!r}, event['p']))"),
        {"p": "a/../b"},
    ),
    "a template in a sandbox": (_SANDBOX, {"t": "Hi {{ name|upper }}"}),
}
ATTACKS: Cases = {
    "a hidden column to order by": (_query(_LIST), {"by": "password", "way": "desc"}),
    "an expression to order by": (_query(_LIST), {"by": "random()", "way": ""}),
    "a query as a way": (_query(_LIST), {"by": "id", "way": ", (SELECT 1)"}),
    "a hidden column to compare": (_query(_FIND, "('a%',)"), {"field": "password", "sign": "LIKE"}),
    "a condition as a sign": (_query(_FIND, "(3,)"), {"field": "id", "sign": "= id OR id ="}),
    "a table": (_query("SELECT id FROM {event['t']}"), {"t": "sqlite_master"}),
    "a sign of what is removed": (
        _query("DELETE FROM items WHERE id {event['s']} ?", "(3,)"),
        {"s": ">"},
    ),
    "an operator in MongoDB": (
        _in(_MONGO, "return list(items().find({'name': {event['op']: event['n']}}))"),
        {"op": "$regex", "n": ".*"},
    ),
    "a sign for a password in MongoDB": (
        _in(_MONGO, "return list(items().find({'password': {event['op']: event['n']}}))"),
        {"op": "$ne", "n": "x"},
    ),
    "a sign of what is removed in MongoDB": (
        _in(_MONGO, "return items().delete_many({'price': {event['op']: event['n']}})"),
        {"op": "$gte", "n": 0},
    ),
    "another stage in MongoDB": (
        _in(_MONGO, "return list(items().aggregate([{'$' + event['op']: 'x'}]))"),
        {"op": "out"},
    ),
    "a secret summed up in MongoDB": (
        _in(
            _MONGO,
            "made = {'_id': '$city', 'value': {'$' + event['op']: '$password'}}\n"
            "return list(items().aggregate([{'$group': made}]))",
        ),
        {"op": "max"},
    ),
    "a getter of operator": (
        "import operator\nreturn getattr(operator, event['o'])('a')",
        {"o": "attrgetter"},
    ),
    "a formatter that does not escape": (
        _in(_PAGE, 'return page(string.Formatter().format("<p>{v}</p>", v=event["v"]))'),
        {"v": "<script>x()</script>"},
    ),
    "a link in what is not escaped": (
        _in(_PAGE, _RAW_LINK),
        {"v": "https://example.com/ <script>x()</script>"},
    ),
    "a link in what has the same": (
        _in(_PAGE, _RAW_LINK),
        {"v": 'https://example.com/ <a href="javascript:x()">y</a>'},
    ),
    "code on a page that does not escape": (
        _in(_PAGE, _CODE.replace("{{ c }}", "{{ c|safe }}")),
        {"v": _SCRIPT},
    ),
    "a path that climbs": (
        _in(_GET, f"return get(urljoin({_BASE!r}, event['p']))"),
        {"p": "../admin"},
    ),
    "a path that begins anew": (
        _in(_GET, f"return get(urljoin({_BASE!r}, event['p']))"),
        {"p": "/admin"},
    ),
    "a path that climbs after many": (
        _in(
            _GET,
            f"[urljoin({_BASE!r}, p + str(n)) for p in event['many'] for n in range(250)]\n"
            f"return get(urljoin({_BASE!r}, event['p']))",
        ),
        {"p": "../admin", "many": ["page"]},
    ),
    "an address for few": (
        _in(_GET, "hook = 'https://internal-api.example.com/x'\nreturn get(event['u'])"),
        {"u": "https://internal-api.example.com/x"},
    ),
    "a template that leaves its sandbox": (_SANDBOX, {"t": "{{ ''.__class__.__mro__ }}"}),
    "a filter that leaves its sandbox": (_SANDBOX, {"t": "{{ name|attr('x') }}"}),
}
_PRELOAD = ("sqlite3", "jinja2", "pymongo", "urllib.request")


def test_programs_whose_event_chooses_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, HARMLESS, _PRELOAD)


def test_programs_whose_event_attacks_are_stopped(tmp_path: Path) -> None:
    sinks = {"sql", "nosql", "code", "response", "url", "template"}
    assert_blocked(tmp_path, ATTACKS, sinks, _PRELOAD)
