"""What vouches for a text, texts that are read again, and what a thirteenth and fourteenth set showed."""

from __future__ import annotations

import json
import os
import types
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from casemate.guard.evaluation.engines import _is_name_by_chance
from casemate.guard.evaluation.formulas import is_of_values
from casemate.guard.forms import Forms
from casemate.guard.markup.insertions import judge as judge_xml
from casemate.guard.origin import PIECE, Origin, Span
from casemate.guard.standing import _is_of_package
from casemate.guard.url.structure import judge as judge_url
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

PRELOAD = ("sqlite3", "collections", "types", "re")
SINKS = {"response", "sql", "deserialisation", "path", "code"}
SITE, OWN = "https://evil.example/x", "https://shop.example/a"
HEAD = (
    "import collections\nimport json\nimport os\nimport re\nimport types\n"
    "from urllib.parse import urlsplit\n"
    f"KNOWN = ({OWN!r}, 'https://other.example/b')\n"
    "os.environ['KNOWN_SITE'] = 'https://shop.example/a'\n"
    "os.environ['KNOWN_HOST'] = 'shop.example'\n"
)
DATABASE = (
    "DB = __import__('sqlite3').connect(':memory:')\nDB.execute('CREATE TABLE t (id, name)')\n"
)


def site(condition: str, *before: str) -> str:
    """Return a handler that sends on to an address, if a condition holds for it."""
    lines = ("u = event['u']", "h = urlsplit(u).hostname", *before)
    return (
        HEAD
        + "def handler(event, context):\n"
        + "".join(f"    {line}\n" for line in lines)
        + f"    if not ({condition}):\n        raise LookupError(u)\n"
        + "    return {'status': 302, 'headers': {'location': u}}\n"
    )


def rows(condition: str, *before: str) -> str:
    """Return a handler that has a part of a statement, if a condition holds for it."""
    return (
        DATABASE
        + "def handler(event, context):\n    u = event['u']\n"
        + "".join(f"    {line}\n" for line in before)
        + f"    if not ({condition}):\n        raise LookupError(u)\n"
        + "    return DB.execute(f'SELECT id FROM t WHERE id = 7 OR {u}').fetchall()\n"
    )


GIVEN = {
    **{"u": SITE, "host": "evil.example", "d": {"a": SITE}, "k": {SITE: 1}, "l": [SITE]},
    **{"upper": [SITE.upper()], "rows": [{"id": SITE}], "s": f"{SITE},x", "j": f'{{"a":"{SITE}"}}'},
}
PART = {"u": "1=1", "d": {"a": "1=1"}, "k": {"1=1": 1}, "l": ["1=1"], "pairs": [["1=1", "x"]]}
OF_THE_EVENT: Cases = {
    "its dictionary's values": (site("u in event['d'].values()"), GIVEN),
    "values of a copy": (site("u in dict(event['d']).values()"), GIVEN),
    "values of JSON in it": (site("u in json.loads(event['j']).values()"), GIVEN),
    "its keys": (site("u in event['k'].keys()"), GIVEN),
    "a set of its list": (site("u in set(event['l'])"), GIVEN),
    "a tuple of its list": (site("u in tuple(event['l'])"), GIVEN),
    "a set of what was cut from it": (site("u in set(event['s'].split(','))"), GIVEN),
    "a list of its rows": (site("u in [row['id'] for row in event['rows']]"), GIVEN),
    "one by one": (site("u in (row['id'] for row in event['rows'])"), GIVEN),
    "a queue of its list": (site("u in collections.deque(event['l'])"), GIVEN),
    "a view": (site("u in types.MappingProxyType(event['k'])"), GIVEN),
    "in lower case": (site("u in {one.lower() for one in event['upper']}"), GIVEN),
    "what was seen before": (site("u in seen", "seen = set()", "seen.add(u)"), GIVEN),
    "by setdefault": (site("u in seen", "seen = {}", "seen.setdefault(u, 1)"), GIVEN),
    "a name for a part of it": (site("u == OTHER", "OTHER = event['d']['a']"), GIVEN),
    "a name for its host": (site("h == OTHER", "OTHER = event['host']"), GIVEN),
    "a pair": (site("(u, 1) in {(row['id'], 1) for row in event['rows']}"), GIVEN),
    "a host in a set": (site("h in {event['host']}"), GIVEN),
    "a pattern with it": (site("re.fullmatch(f\"({event['host']})\", h)"), GIVEN),
    "an end with it": (site("f'.{h}'.endswith('.' + event['host'])"), GIVEN),
    "a statement by values": (rows("u in event['d'].values()"), PART),
    "a statement by keys": (rows("u in event['k'].keys()"), PART),
    "a statement by one by one": (rows("u in (one for one in event['l'])"), PART),
    "a statement by a pair": (rows("(u, 'x') in [tuple(p) for p in event['pairs']]"), PART),
    "a port in a set": (
        site("h in HOSTS and urlsplit(u).port in set(event['ports'])", "HOSTS = ('shop.example',)"),
        {"u": "https://shop.example:22/", "ports": [22, 23]},
    ),
}
HERE = {"u": OWN, "other": "x", "rows": [OWN]}
OF_THE_CODE: Cases = {
    "values": (site("u in {'a': KNOWN[0]}.values()"), HERE),
    "one by one": (site("u in (one for one in KNOWN)"), HERE),
    "in lower case": (site("u in {one.lower() for one in KNOWN}"), HERE),
    "put together": (site("u in [f'https://{n}.example/a' for n in ('shop', 'x')]"), HERE),
    "a setting": (site("u in os.environ['KNOWN_SITE'].split(',')"), HERE),
    "a setting's host": (site("h in {p.strip() for p in os.environ['KNOWN_HOST'].split(',')}"), HERE),
    "a setting by name": (site("h == HOST", "HOST = os.environ['KNOWN_HOST']"), HERE),
    "an end of a setting": (site("h.endswith(os.environ['KNOWN_HOST'])"), HERE | {"h": "shop.example"}),
    "with one of the event's": (site("u in known", "known = {event['other'], *KNOWN}"), HERE),
    "and in the event as well": (site("u in KNOWN and u in event['rows']"), HERE),
    "a pair": (site("(h, 1) in {(urlsplit(one).hostname, 1) for one in KNOWN}"), HERE),
    "a column in lower case": (
        DATABASE + "def handler(event, context):\n"
        "    if event['u'] in {name.lower() for name in ('ID', 'NAME')}:\n"
        "        DB.execute(f\"UPDATE t SET {event['u']} = 1\")\n",
        {"u": "name"},
    ),
    "a column that is sent twice": (
        DATABASE + "def handler(event, context):\n    seen = set()\n    for name in event['u']:\n"
        "        if name not in ['id', 'name', 'city'][:2] or name in seen:\n            continue\n"
        "        seen.add(name)\n        DB.execute(f'UPDATE t SET {name} = 1')\n",
        {"u": ["name", "name"]},
    ),
}  # fmt: skip

FORM = "from urllib.parse import parse_qs, quote\nreturn parse_qs({})"
TABLE = "import csv\nimport io\nreturn list(csv.reader({}))"
LITERAL = "import ast\nreturn ast.literal_eval({})"
USER = "f\"name={event['n']}&role=user\""
LINE = "io.StringIO(f\"id,name,role\\n{event['i']},{event['n']},user\\n\")"
FIELDS = "f\"{{'name': '{event['n']}', 'role': 'user'}}\""
UPLOAD = 'id,name\n1,"Ann, B"\n2,Bob'
READ_AGAIN: Cases = {
    "another parameter": (FORM.format(USER), {"n": "x&role=admin"}),
    "another column": (TABLE.format(LINE), {"i": "7", "n": "x,admin"}),
    "another row": (TABLE.format(LINE), {"i": "7", "n": "x,user\n8,y"}),
    "another column in a list": (TABLE.format("[f\"{event['n']},user\"]"), {"n": "x,admin"}),
    "another key": (LITERAL.format(FIELDS), {"n": "x', 'role': 'admin', 'z': '"}),
    "another key after a number": (
        LITERAL.format('\'{"id": %s, "role": "user"}\' % event[\'n\']'),
        {"n": "1, 'role': 'admin'"},
    ),
}
READ_AS_MEANT: Cases = {
    "a value of a form": (FORM.format(USER), {"n": "O'Brien; a=b + c"}),
    "a quoted value": (FORM.format("f\"name={quote(event['n'])}\""), {"n": "a&b=c"}),
    "the event's form": (FORM.format("event['n']"), {"n": "a=1&b=2"}),
    "the event's form with more": (FORM.format("'a=1&' + event['n']"), {"n": "b=1&c=2"}),
    "a column": (TABLE.format(LINE), {"i": "7", "n": "O'Brien; x | y"}),
    "the event's table": (TABLE.format("io.StringIO(event['b'])"), {"b": UPLOAD}),
    "with a head": (
        TABLE.format("io.StringIO('id,name\\n' + event['b'])"),
        {"b": UPLOAD, "q": "Ann, B"},
    ),
    "lines": (TABLE.format("['id,name', *event['b'].splitlines()]"), {"b": UPLOAD}),
    "a text of a literal": (LITERAL.format(FIELDS), {"n": "Ann; a < b"}),
    "a quoted text": (LITERAL.format("f\"[{event['n']!r}]\""), {"n": "O'Brien"}),
    "numbers": (LITERAL.format("f\"[{event['n']}]\""), {"n": "1, -2, 3.5"}),
    "the event's literal": (LITERAL.format("event['n']"), {"n": "{'a': 1}"}),
}


def test_what_the_event_brings_vouches_for_nothing(tmp_path: Path) -> None:
    assert_blocked(tmp_path, OF_THE_EVENT, SINKS, PRELOAD)


def test_what_the_code_has_vouches_in_whatever_collection(tmp_path: Path) -> None:
    assert_passes(tmp_path, OF_THE_CODE, PRELOAD)


def test_more_than_values_in_what_is_read_again(tmp_path: Path) -> None:
    assert_blocked(tmp_path, READ_AGAIN, {"deserialisation", "file"}, PRELOAD)


def test_values_in_what_is_read_again(tmp_path: Path) -> None:
    assert_passes(tmp_path, READ_AS_MEANT, PRELOAD)


PRINTED = "def handler(event, context):\n    print('INFO new object ' + event['k'])\n"
LOGGED = (
    "import logging\nimport sys\n"
    "logging.basicConfig(stream=sys.stdout, level=20, format='%(levelname)s %(name)s %(message)s')\n"
    "def handler(event, context):\n    logging.info('login of ' + event['k'] + ' failed')\n"
)
SAID = "def handler(event, context):\n    print('note by', event['k'])\n"
AT = "def handler(event, context):\n    print(f\"2026-01-05T10:00:00Z {event['k']}\")\n"
ROWS = (
    "def handler(event, context):\n    with open('/tmp/report.csv', 'w') as file:\n"
    "        file.write('day;who;sum\\n' + ';'.join(['1', event['k'], '5']) + '\\n')\n"
)
ADDED = (
    "import os\ndef handler(event, context):\n    where = f'/tmp/trail-{os.getpid()}.tsv'\n"
    "    os.system(f'echo before > {where}')\n    with open(where, 'a') as file:\n"
    "        file.write(f\"2026-01-05\\t{event['k']}\\tread\\n\")\n"
)
LEAVE = (
    "def handler(event, context):\n    lines = ['who,from,why']\n"
    "    why = event['k'].replace('\"', '\"\"')\n"
    '    lines.append(f\'{event.get("n", "Ann")},2026-01-05,"{why}"\')\n'
    "    return {'filename': 'leave.csv', 'content': '\\n'.join(lines)}\n"
)
SIGN = (
    "from string import Template\nSIGN = Template('<article><h1>Door</h1><p>$text</p></article>')\n"
    "def handler(event, context):\n    return {'html': SIGN.substitute(text=event['k'])}\n"
)
ALBUM = (
    "from html import escape\ndef handler(event, context):\n"
    "    text = event['k']\n"
    "    return {'pages': [f'<h2>{escape(text)}</h2><img src=\"/1\" alt=\"{text}\">']}\n"
)
CALENDAR = (
    "def handler(event, context):\n"
    "    return {'ics': f\"BEGIN:VEVENT\\r\\nSUMMARY:{event['k']}\\r\\nEND:VEVENT\\r\\n\"}\n"
)
BEFORE = (
    HEAD + "ORIGINS = ('https://client.example.com', 'https://admin.example.com')\n"
    "def handler(event, context):\n    u = str(event['k'])\n    if not u.startswith(ORIGINS):\n"
    "        raise LookupError(u)\n"
    "    return {'status': 302, 'headers': {'location': f'{u}?code=7'}}\n"
)
HOMES = (
    "import glob\nimport os\ndef handler(event, context):\n"
    "    return glob.glob(os.path.join('/var/tmp', event['k'], '*'))\n"
)
MORE = "Ann\nand one more line\n- a list\nINFORMATION: none"
STOPPED: Cases = {
    "a printed record": (PRINTED, {"k": "x\nINFO new object y"}),
    "a printed record of another level": (PRINTED, {"k": "x\nERROR disk full"}),
    "a printed record of words alone": (SAID, {"k": "x\nnote by admin"}),
    "a printed record with a time": (AT, {"k": "x\n2026-01-05T10:00:01Z y"}),
    "a record on standard output": (LOGGED, {"k": "x\r\nWARNING auth login of admin"}),
    "a row of a table": (ROWS, {"k": "a;9\n2;b"}),
    "a cell of a table": (ROWS, {"k": "a;9"}),
    "a cell of a table that is added to": (ADDED, {"k": "a\tapproved"}),
    "a row of a table that is returned": (LEAVE, {"k": "x", "n": 'Ann,1,"y"\nBob'}),
    "a formula of a table that is returned": (LEAVE, {"k": '=HYPERLINK("http://e.example","x")'}),
    "a script of a page that is returned": (SIGN, {"k": "<script>alert(1)</script>"}),
    "an attribute of a page that is returned": (ALBUM, {"k": 'x" onerror="alert(1)'}),
    "a line of a calendar that is returned": (CALENDAR, {"k": "x\r\nATTENDEE:mailto:a@b.example"}),
    "another host than was asked for": (BEFORE, {"k": "https://admin.example.com.evil.example/"}),
    "everybody's folder": (HOMES, {"k": "*"}),
    "an option of git": (
        "import subprocess\nreturn subprocess.run(['git', 'grep', event['k']])",
        {"k": "--open-files-in-pager=id"},
    ),
}
AS_MEANT: Cases = {
    **{f"{n} {m}": (code, {"k": text}) for n, code in enumerate((PRINTED, LOGGED, SAID, SIGN, ALBUM))
       for m, text in enumerate((MORE, "O'Brien & a < b", "see ERROR 5", "x" * 3000))},
    "a cell": (ROWS, {"k": "O'Brien, \"Ann\" | x"}),
    "a cell that is added": (ADDED, {"k": "a; b, c"}),
    "a quoted cell": (LEAVE, {"k": 'one, "two"\nthree'}),
    "lines of a calendar": (CALENDAR, {"k": "Lunch; 5, maybe"}),
    "a page of the event's own": ("return {'html': event['k']}", {"k": "<p>mine</p>"}),
    "a beginning that was asked for": (BEFORE, {"k": "https://admin.example.com/oauth"}),
    "a folder": (HOMES, {"k": "ann"}),
    "what git grep is to find": ("import subprocess\nreturn subprocess.run(['git', 'grep', '-F', '-e', event['k']]).returncode", {"k": "-e."}),
}  # fmt: skip


def test_what_two_sets_showed_is_stopped(tmp_path: Path) -> None:
    sinks = SINKS | {"log", "cell", "header", "command"}
    assert_blocked(tmp_path, placed(STOPPED, tmp_path), sinks, PRELOAD)


def test_what_is_as_meant_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(AS_MEANT, tmp_path), PRELOAD)


def test_a_name_of_lua_is_a_library_s_with_blanks_too() -> None:
    text = "return redis.call('GET')"
    (span,) = found(text, " redis.call", exact=False)
    piece = span._replace(origin=span.origin.decoded(*PIECE))
    assert _is_name_by_chance(text, piece)
    assert not _is_name_by_chance(text, span)


def found(text: str, part: str, *, exact: bool = True) -> list[Span]:
    """Return where data is in a text."""
    start = text.index(part)
    return [Span(start, start + len(part), Origin("event", ("q",)), exact)]


@pytest.mark.parametrize("value", ["Ann", "O'Brien", 'a "b"', "x > y"])
def test_an_attribute_that_quoteattr_wrote_is_one(value: str) -> None:
    quoted = quoteattr(value)
    text = f"<note by={quoted} kind='x'/>"
    assert judge_xml(text, found(text, quoted)) is None


@pytest.mark.parametrize("value", ['"a" admin="1"', "'a' b='c'", '"a', "a b", '"a"b'])
def test_more_than_one_attribute_is_not(value: str) -> None:
    text = f"<note by={value} kind='x'/>"
    assert judge_xml(text, found(text, value)) is not None


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("-(2 ** 10)", True),
        ("1000 * (1 + 0.05) ** 12", True),
        ("(3 ** 2 + 4 ** 2 + 5 ** 2) ** 0.5", True),
        ("10 ** -3", True),
        ("(9 ** 10) ** 11", False),
        ("9 ** 9 ** 9", False),
        ("2 ** 1000", False),
    ],
)
def test_powers_stay_small_together(text: str, *, passes: bool) -> None:
    assert is_of_values(text) is passes


@pytest.mark.parametrize("text", ["50% off!", "https://a.example/?b=c#d", "a &amp; b -- c"])
def test_what_was_turned_round_is_no_form(text: str) -> None:
    forms = Forms()
    turned = next(form for how, form in forms.of(text + '"') if how == "the reverse")
    assert isinstance(turned, str)
    assert {how for how, _ in forms.of(turned)}.isdisjoint(("a form", "URL encoding"))


def test_a_scheme_that_a_library_has_is_no_choice_of_a_host() -> None:
    text = "http://testserver/notes?q=a"
    assert judge_url(text, found(text, "http", exact=False), lambda *_: False) is None
    assert judge_url(text, found(text, "http"), lambda *_: False) is not None
    assert judge_url(text, found(text, "http://t", exact=False), lambda *_: False) is not None


def test_a_file_beside_a_library_s_own_is_its_own() -> None:
    folder = os.path.dirname(json.__file__)
    code = types.SimpleNamespace(co_filename=f"{folder}/tool.py")
    frame = types.SimpleNamespace(f_code=code, f_globals={"__name__": "json.tool"})
    assert _is_of_package(frame, f"{folder}/data/../names.json")  # type: ignore[arg-type]
    assert not _is_of_package(frame, f"{folder}/../names.json")  # type: ignore[arg-type]
    assert not _is_of_package(frame, "/etc/names.json")  # type: ignore[arg-type]
