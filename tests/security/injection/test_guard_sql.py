"""SQL injection into handlers written in every way, and the same data in safe ones."""

from __future__ import annotations

import base64
import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from casemate.build import Interpreter, find_interpreters
from support.guard import Guarded, guarded

INTERPRETERS = find_interpreters(today=datetime.now(UTC).date(), environ=os.environ)

HEAD = """
import base64, binascii, codecs, csv, enum, gzip, html, io, json, re, sqlite3, string, textwrap
import unicodedata, uuid, xml.etree.ElementTree
from dataclasses import dataclass
from datetime import date
from urllib.parse import parse_qs, unquote, urlsplit

ALLOWED = ("name", "city")
ORDERS = {"newest": "id DESC", "oldest": "id ASC"}
TABLE = "people"


class Column(enum.Enum):
    NAME = "name"
    CITY = "city"


def db():
    made = sqlite3.connect(":memory:")
    made.execute("CREATE TABLE people (id INTEGER, name TEXT, city TEXT)")
    made.executemany("INSERT INTO people VALUES (?, ?, ?)", [(1, "Ada", "London"), (2, "Bo", "Oslo")])
    return made


def run(statement, parameters=()):
    return db().execute(statement, parameters).fetchall()


def helper(column, value):
    return f"{column} = '{value}'"


@dataclass
class Query:
    table: str
    where: str = ""

    def filter(self, column, value):
        self.where += f" WHERE {column} = '{value}'"
        return self

    def text(self):
        return "SELECT * FROM %s%s" % (self.table, self.where)

"""

# Each takes the text `v` and runs a statement that holds it unsafely inside a literal.
IN_LITERAL = {
    "concatenation": 'run("SELECT * FROM people WHERE name = \'" + v + "\'")',
    "f-string": "run(f\"SELECT * FROM people WHERE name = '{v}'\")",
    "f-string with a conversion": "run(f\"SELECT * FROM people WHERE name = '{v!s}'\")",
    "f-string with a width": "run(f\"SELECT * FROM people WHERE name = '{v:<40}'\")",
    "percent": "run(\"SELECT * FROM people WHERE name = '%s'\" % v)",
    "percent with a tuple": "run(\"SELECT * FROM %s WHERE name = '%s'\" % (TABLE, v))",
    "percent with a dict": "run(\"SELECT * FROM people WHERE name = '%(v)s'\" % event)",
    "format": "run(\"SELECT * FROM people WHERE name = '{}'\".format(v))",
    "format with names": "run(\"SELECT * FROM {t} WHERE name = '{v}'\".format(t=TABLE, v=v))",
    "format with a look-up": "run(\"SELECT * FROM people WHERE name = '{e[v]}'\".format(e=event))",
    "format_map": "run(\"SELECT * FROM people WHERE name = '{v}'\".format_map(event))",
    "join": 'run("".join(["SELECT * FROM people WHERE name = \'", v, "\'"]))',
    "join of a generator": "run(' '.join(p for p in ('SELECT * FROM people WHERE', helper('name', v))))",
    "template": "run(string.Template(\"SELECT * FROM people WHERE name = '$v'\").substitute(v=v))",
    "replace": "run(\"SELECT * FROM people WHERE name = '@v'\".replace('@v', v))",
    "helper": "run('SELECT * FROM people WHERE ' + helper('name', v))",
    "builder": "run(Query(TABLE).filter('name', v).text())",
    "dedent": 'run(textwrap.dedent(f"""\n        SELECT * FROM people\n        WHERE name = \'{v}\'\n    """))',
    "upper": "run(f\"SELECT * FROM people WHERE upper(name) = '{v.upper()}'\")",
    "strip": "run(f\"SELECT * FROM people WHERE name = '{v.strip()}'\")",
    "whole query stripped": "run(f\"  SELECT * FROM people WHERE name = '{v}'  \".strip())",
    "slice": "run(f\"SELECT * FROM people WHERE name = '{v[0:200]}'\")",
    "slice from": "run(f\"SELECT * FROM people WHERE name = '{('xx' + v)[2:]}'\")",
    "split": "run(f\"SELECT * FROM people WHERE name = '{('k~' + v).split('~')[1]}'\")",
    "partition": "run(f\"SELECT * FROM people WHERE name = '{('k~' + v).partition('~')[2]}'\")",
    "regular expression": "run(f\"SELECT * FROM people WHERE name = '{re.match('(.*)', v, re.DOTALL).group(1)}'\")",
    "like": "run(f\"SELECT * FROM people WHERE name LIKE '%{v}%'\")",
    "in list": "run(\"SELECT * FROM people WHERE name IN (%s)\" % ','.join(f\"'{x}'\" for x in [v, 'Bo']))",
    "insert": "run(f\"INSERT INTO people VALUES (3, '{v}', 'x')\")",
    "script": "db().executescript(f\"UPDATE people SET city = '{v}' WHERE id = 1\")",
    "many": "db().executemany(f\"INSERT INTO people VALUES (?, '{v}', ?)\", [(1, 'x')])",
    "cursor": "db().cursor().execute(f\"SELECT * FROM people WHERE name = '{v}'\")",
    "line by line": "run('\\n'.join(['SELECT *', 'FROM people', f\"WHERE name = '{v}'\"]))",
    "string buffer": '(lambda b: (b.write("SELECT * FROM people WHERE name = \'"), b.write(v), b.write("\'"), run(b.getvalue()))[-1])(io.StringIO())',
    "bytes and back": 'run((b"SELECT * FROM people WHERE name = \'" + v.encode() + b"\'").decode())',
    "weak escape": 'run("SELECT * FROM people WHERE name = \'" + v.replace("\'", "\\\\\'") + "\'")',
    "removed word": "run(f\"SELECT * FROM people WHERE name = '{v.replace('DROP', '')}'\")",
    "quotes stripped first": 'run("SELECT * FROM people WHERE name = \'" + v.strip(\'"\') + "\'")',
    "comment": "run(f\"SELECT * FROM people WHERE name = '{v}' -- by name\")",
}
LITERAL_PAYLOADS = (
    "' OR '1'='1",
    "' OR 1=1 --",
    "x'; DROP TABLE people; --",
    "' UNION SELECT 1, sqlite_version(), 3 --",
    "'||(SELECT hex(randomblob(4)))||'",
    "x' AND 1=(SELECT count(*) FROM people) AND 'a'='a",
    "'/**/OR/**/1=1/**/--",
    "'\tOR\n1=1--",
    "' or ''='",
)
LITERAL_BENIGN = ("Ada", "a", "1", "", "Ada Lovelace", "50 % off -- really", "/* not a comment */",
                  "SELECT name FROM people", "ünïcödé", 'say "hi"', "a;b", "name", "people")  # fmt: skip

# Each holds `v` outside of any literal.
BARE = {
    "number": "run(f'SELECT * FROM people WHERE id = {v}')",
    "number concatenated": "run('SELECT * FROM people WHERE id = ' + v)",
    "limit": "run(f'SELECT * FROM people LIMIT {v}')",
    "offset": "run('SELECT * FROM people LIMIT 10 OFFSET %s' % v)",
    "in list of numbers": "run('SELECT * FROM people WHERE id IN (' + ', '.join([v, '2']) + ')')",
}
BARE_PAYLOADS = (
    "1 OR 1=1",
    "1; DROP TABLE people",
    "1 UNION SELECT 1, 2, 3",
    "(SELECT 1)",
    "1--",
    "1/**/OR/**/1",
    "id",
    "sleep(5)",
    "CASE WHEN 1=1 THEN 1 ELSE 2 END",
)
BARE_BENIGN = ("1", "2", "-1", "+1", "10")

NAMES = {
    "order by": "run(f'SELECT * FROM people ORDER BY {v}')",
    "column": "run(f'SELECT {v} FROM people')",
    "table": "run('SELECT * FROM ' + v)",
    "quoted": "run(f'SELECT \"{v}\" FROM people')",
}
NAME_PAYLOADS = (
    "(SELECT name FROM sqlite_master)",
    "name, (SELECT 1)",
    "name; DROP TABLE people",
    "CASE WHEN (1=1) THEN name ELSE id END",
    "name UNION SELECT 1",
    'x" FROM people; --',
)

SAFE = {
    "parameter": "run('SELECT * FROM people WHERE name = ?', (v,))",
    "named parameter": "run('SELECT * FROM people WHERE name = :v', {'v': v})",
    "many parameters": "db().executemany('INSERT INTO people VALUES (?, ?, ?)', [(1, v, v)])",
    "like parameter": "run('SELECT * FROM people WHERE name LIKE ?', ('%' + v + '%',))",
    "in list of marks": "run(f\"SELECT * FROM people WHERE name IN ({','.join('?' * 2)})\", [v, v])",
    "escaped": 'run("SELECT * FROM people WHERE name = \'" + v.replace("\'", "\'\'") + "\'")',
    "escaped in a helper": "run(f\"SELECT * FROM people WHERE name = '{(lambda s: s.replace(chr(39), chr(39) * 2))(v)}'\")",
    "length": "run(f'SELECT * FROM people WHERE length(name) = {len(v)}')",
    "hash": "run(f'SELECT * FROM people WHERE id = {hash(v)}')",
    "hex literal": "run(f\"SELECT * FROM people WHERE name = x'{v.encode().hex()}'\")",
    "filtered": "run(f\"SELECT * FROM people WHERE name = '{re.sub(r'[^a-zA-Z0-9 ]', '', v)}'\")",
    "filtered by character": "run(\"SELECT * FROM people WHERE name = '\" + ''.join(c for c in v if c.isalnum()) + \"'\")",
    "mapped": "run('SELECT * FROM people ORDER BY ' + ORDERS.get(v, 'id'))",
    "dynamic where": "run('SELECT * FROM people WHERE 1 = 1' + (' AND name = ?' if v else ''), [v] if v else [])",
    "json parameter": "run('SELECT json_extract(?, ?)', (json.dumps({'v': v}), '$.v'))",
    "identifier quoted": "run('SELECT \"name\" AS \"' + v.replace('\"', '\"\"') + '\" FROM people')",
}


def program(ways: dict[str, str], prelude: str = "") -> str:
    """Return a handler that takes one of `ways`, named by the event."""
    body = HEAD + "WAYS = {}\n"
    for name, expression in ways.items():
        body += f"\ndef way(event, v):\n    return {expression}\nWAYS[{name!r}] = way\n"
    return body + f"""
def handler(event, context):
    v = event["v"]
    {prelude}
    return WAYS[event["how"]](event, v)
"""  # fmt: skip


def check(
    folder: Path,
    ways: dict[str, str],
    values: tuple[str, ...],
    blocked: bool,
    prelude: str = "",
    *,
    parts: int = 1,
) -> None:
    """Try each way with the values, or with one of `parts` of them: the next way with the next."""
    events = [
        {"how": how, "v": v, "n": 1}
        for number, how in enumerate(ways)
        for v in values[number % parts :: parts]
    ]
    answers = guarded(folder, program(ways, prelude), events)
    assert len(answers) == len(events)
    wrong = [
        (event["how"], event["v"], answer.outcome, answer.result)
        for event, answer in zip(events, answers, strict=True)
        if (answer.outcome == "blocked") != blocked
    ]
    assert not wrong, f"{len(wrong)} of {len(events)}: {wrong[:10]}"


def test_a_literal_is_not_left(tmp_path: Path) -> None:
    check(tmp_path, IN_LITERAL, LITERAL_PAYLOADS, blocked=True)


# Each event costs a process: of values that pass in every way a third each; all in the long run.
SHARES = pytest.mark.parametrize("parts", [3, pytest.param(1, marks=pytest.mark.storm)])


@SHARES
def test_data_inside_a_literal_passes(tmp_path: Path, parts: int) -> None:
    check(tmp_path, IN_LITERAL, LITERAL_BENIGN, blocked=False, parts=parts)


def test_a_number_stays_a_number(tmp_path: Path) -> None:
    check(tmp_path, BARE, BARE_PAYLOADS, blocked=True)


def test_numbers_pass(tmp_path: Path) -> None:
    check(tmp_path, BARE, BARE_BENIGN, blocked=False)


def test_names_are_not_more_than_names(tmp_path: Path) -> None:
    check(tmp_path, {k: v for k, v in NAMES.items() if k != "quoted"}, NAME_PAYLOADS, blocked=True)
    check(tmp_path, {"quoted": NAMES["quoted"]}, NAME_PAYLOADS[-1:], blocked=True)


@SHARES
def test_safe_handlers_take_everything(tmp_path: Path, parts: int) -> None:
    check(tmp_path, SAFE, (*LITERAL_PAYLOADS, *LITERAL_BENIGN, *BARE_PAYLOADS, "'", "\\", "--"),
          blocked=False, parts=parts)  # fmt: skip


CHECKED = {
    "member": "if v not in ALLOWED:\n        raise ValueError(v)",
    "collection made from data": "if v not in {r[1] for r in db().execute('PRAGMA table_info(people)')}:\n        raise ValueError(v)",
    "enum": "v = Column(v).value",
    "pattern": "if not re.fullmatch('[a-z_]+', v):\n        raise ValueError(v)",
    "identifier": "if not v.isidentifier():\n        raise ValueError(v)",
    "equality": "if v != 'name' and v != 'city':\n        raise ValueError(v)",
    "match": "match v:\n        case 'name' | 'city':\n            pass\n        case _:\n            raise ValueError(v)",
}


@pytest.mark.parametrize("how", CHECKED)
def test_checked_names_pass(tmp_path: Path, how: str) -> None:
    ways = {k: v for k, v in NAMES.items() if k not in ("table", "quoted")}
    check(tmp_path, ways, ("name", "city"), blocked=False, prelude=CHECKED[how])


def test_a_name_that_nobody_checked_is_blocked(tmp_path: Path) -> None:
    check(tmp_path, {"order by": NAMES["order by"]}, ("rowid", "rowid DESC"), blocked=True)


CONVERTED = {
    "int": "v = int(v)",
    "float": "v = float(v)",
    "int in text": "v = str(int(v))",
}


@pytest.mark.parametrize("how", CONVERTED)
def test_converted_numbers_pass(tmp_path: Path, how: str) -> None:
    ways = {"number": BARE["number"]}
    check(tmp_path, ways, ("1", "-7", "12345678"), blocked=False, prelude=CONVERTED[how])


PAYLOAD = "x' OR 'a'='a"
TOKEN = ".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in ({"alg": "none"}, {"sub": PAYLOAD})
)
DECODED = {
    "base64": (base64.b64encode, "base64.b64decode(v).decode()"),
    "base64 for URLs": (base64.urlsafe_b64encode, "base64.urlsafe_b64decode(v).decode()"),
    "hex": (lambda b: b.hex(), "bytes.fromhex(v).decode()"),
    "URL": (quote, "unquote(v)"),
    "URL twice": (lambda b: quote(quote(b)), "unquote(unquote(v))"),
    "plus": (lambda b: quote(b).replace("%20", "+"), "parse_qs('v=' + v)['v'][0]"),
    "form": (lambda b: "a=1&v=" + quote(b), "parse_qs(v)['v'][0]"),
    "query": (lambda b: "/p?v=" + quote(b), "parse_qs(urlsplit(v).query)['v'][0]"),
    "JSON": (lambda b: json.dumps({"v": b.decode()}), "json.loads(v)['v']"),
    "JSON in JSON": (lambda b: json.dumps(json.dumps({"v": b.decode()})), "json.loads(json.loads(v))['v']"),
    "JSON in base64": (lambda b: base64.b64encode(json.dumps([b.decode()]).encode()), "json.loads(base64.b64decode(v))[0]"),
    "entities": (lambda b: b.decode().replace("'", "&#39;"), "html.unescape(v)"),
    "gzip in base64": (lambda b: base64.b64encode(gzip.compress(b)), "gzip.decompress(base64.b64decode(v)).decode()"),
    "token": (lambda b: TOKEN, "json.loads(base64.urlsafe_b64decode(v.split('.')[1] + '=='))['sub']"),
    "NFKC": (lambda b: b.decode().replace("'", "\uff07"), "unicodedata.normalize('NFKC', v)"),
    "CSV": (lambda b: f"1,{b.decode()},x\n", "list(csv.reader(io.StringIO(v)))[0][1]"),
    "XML": (lambda b: f"<a><b>{b.decode()}</b></a>", "xml.etree.ElementTree.fromstring(v).findtext('b')"),
    "escapes": (lambda b: b.decode().replace("'", "\\u0027"), "codecs.decode(v, 'unicode_escape')"),
    "rot13": (lambda b: __import__("codecs").encode(b.decode(), "rot13"), "codecs.decode(v, 'rot13')"),
    "reversed": (lambda b: b.decode()[::-1], "v[::-1]"),
}  # fmt: skip


@pytest.mark.parametrize("how", DECODED)
def test_decoded_data_is_followed(tmp_path: Path, how: str) -> None:
    encode, decode = DECODED[how]
    values = []
    for text in (PAYLOAD.encode(), b"Ada Lovelace"):
        encoded = encode(text)
        values.append(encoded.decode() if isinstance(encoded, bytes) else encoded)
    ways = {"f-string": IN_LITERAL["f-string"]}
    prelude = f"v = {decode}"
    check(tmp_path, ways, (values[0],), blocked=True, prelude=prelude)
    if how != "token":
        check(tmp_path, ways, (values[1],), blocked=False, prelude=prelude)


def test_decoded_data_is_found_in_what_a_dependency_made(tmp_path: Path) -> None:
    """The same, where only search can find it: the statement comes out of a buffer."""
    for how in ("base64", "hex", "URL", "URL twice", "JSON", "JSON in base64", "gzip in base64"):
        encode, decode = DECODED[how]
        encoded = encode(PAYLOAD.encode())
        value = encoded.decode() if isinstance(encoded, bytes) else encoded
        ways = {how: IN_LITERAL["string buffer"]}
        check(tmp_path, ways, (value,), blocked=True, prelude=f"v = {decode}")


def answer_to(folder: Path, code: str, event: object) -> Guarded:
    return guarded(folder, HEAD + code, [event])[0]


def test_a_value_put_together_from_parts(tmp_path: Path) -> None:
    code = """
def handler(event, context):
    name = event["first"] + " " + event["last"]
    return run("SELECT * FROM people WHERE name = '" + name + "'")
"""
    event = {"first": "x'", "last": "OR 1=1 --"}
    assert answer_to(tmp_path, code, event).outcome == "blocked"
    assert answer_to(tmp_path, code, {"first": "Ada", "last": "L"}).outcome == "ok"


def test_two_values_that_are_harmless_alone(tmp_path: Path) -> None:
    code = """
def handler(event, context):
    return run(f"SELECT * FROM people WHERE name = '{event['a']}' AND city = '{event['b']}'")
"""
    assert answer_to(tmp_path, code, {"a": "'", "b": "'"}).outcome == "blocked"
    assert answer_to(tmp_path, code, {"a": "''", "b": "''"}).outcome == "ok"


def test_keys_of_an_event_are_data_too(tmp_path: Path) -> None:
    code = """
def handler(event, context):
    where = " AND ".join(f"{column} = ?" for column in event["filters"])
    return run("SELECT * FROM people WHERE " + where, list(event["filters"].values()))
"""
    assert answer_to(tmp_path, code, {"filters": {"name": "Ada"}}).outcome == "ok"
    hostile = answer_to(tmp_path, code, {"filters": {"1=1 OR name": "x"}})
    assert hostile.outcome == "blocked"
    assert "1=1" not in json.dumps(hostile.records)


def test_a_whole_statement_from_the_event(tmp_path: Path) -> None:
    code = "def handler(event, context):\n    return run(event['statement'])\n"
    assert answer_to(tmp_path, code, {"statement": "SELECT 1"}).outcome == "blocked"


def test_a_loop_that_grows_a_statement(tmp_path: Path) -> None:
    code = """
def handler(event, context):
    statement = "SELECT * FROM people WHERE 1 = 1"
    for value in event["names"]:
        statement += " OR name = '" + value + "'"
    return run(statement)
"""
    names = [f"name {n}" for n in range(300)]
    assert answer_to(tmp_path, code, {"names": names}).outcome == "ok"
    assert answer_to(tmp_path, code, {"names": [*names, "' OR 1=1 --"]}).outcome == "blocked"


def test_nothing_of_the_payload_is_told(tmp_path: Path) -> None:
    for expression in (IN_LITERAL["f-string"], IN_LITERAL["string buffer"]):
        ways = {"way": expression}
        event = {"how": "way", "v": "zebra' OR 'quagga'='quagga"}
        (answer,) = guarded(tmp_path, program(ways), [event])
        assert answer.outcome == "blocked"
        for text in (json.dumps(answer.records), answer.result):
            assert "zebra" not in text
            assert "quagga" not in text


def test_a_comment_is_not_left_by_a_new_line(tmp_path: Path) -> None:
    code = """
def handler(event, context):
    return run(f"SELECT * FROM people WHERE name = 'x' -- {event['v']}")
"""
    assert answer_to(tmp_path, code, {"v": "asked by Ada -- really"}).outcome == "ok"
    assert answer_to(tmp_path, code, {"v": "\nOR 1=1"}).outcome == "blocked"
    assert answer_to(tmp_path, code, {"v": " \n UNION SELECT 1, 2, 3"}).outcome == "blocked"


def test_a_collection_of_the_events_own_values_vouches_for_nothing(tmp_path: Path) -> None:
    code = """
def handler(event, context):
    counts = {}
    for column in event["columns"]:
        if column in counts:
            counts[column] += 1
        else:
            counts[column] = 1
    if event["sort"] not in event["columns"]:
        raise ValueError
    return run("SELECT * FROM people ORDER BY " + ", ".join(counts) + ", " + event["sort"])
"""
    hostile = "(SELECT 1)"
    twice = {"columns": [hostile, hostile], "sort": "(SELECT 1)"}
    assert answer_to(tmp_path, code, twice).outcome == "blocked"
    assert answer_to(tmp_path, code, {"columns": ["rowid"], "sort": "rowid"}).outcome == "blocked"


@pytest.mark.storm
@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=lambda found: found.minor)
def test_it_is_the_same_with_every_interpreter(tmp_path: Path, interpreter: Interpreter) -> None:
    for ways, values, blocked in (
        (IN_LITERAL, LITERAL_PAYLOADS[:2], True),
        (IN_LITERAL, LITERAL_BENIGN[:4], False),
        (SAFE, LITERAL_PAYLOADS, False),
    ):
        events = [{"how": how, "v": v, "n": 1} for how in ways for v in values]
        answers = guarded(tmp_path, program(ways), events, python=str(interpreter.path))
        wrong = [
            (event, answer.result)
            for event, answer in zip(events, answers, strict=True)
            if (answer.outcome == "blocked") != blocked
        ]
        assert not wrong, wrong[:5]
