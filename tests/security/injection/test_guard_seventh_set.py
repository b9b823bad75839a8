"""What a seventh set of programs showed, whose author had not read the guard: classes, not cases."""

from __future__ import annotations

import base64
import pickle
import subprocess
import types
from collections.abc import Sequence
from pathlib import Path

import pytest

from casemate.guard.command.arguments import Argument
from casemate.guard.command.reading import judge_code
from casemate.guard.command.unknown_code import plain
from casemate.guard.core import Guard
from casemate.guard.evaluation.formulas import is_formula
from casemate.guard.origin import Origin, Span
from casemate.guard.sinks.template import SINK as TEMPLATE
from casemate.guard.sql.services import patches as services
from casemate.guard.verdict import BlockedError, Verdict
from casemate.guard.written.heads import judge_events, judge_fields
from casemate.guard.written.kinds import of_name, of_type
from casemate.guard.written.settings import judge_settings
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

DATA = Origin("event", ("q",))

MAKE = (
    "import subprocess\nfrom pathlib import Path\n"
    "Path('/tmp/Makefile').write_text('all:\\n\\t@echo $(V) $(P)\\n')\n"
    "subprocess.run(['make', '-s', '-C', '/tmp/', f\"V={event['v']}\", 'P=' + event.get('p', 'x')],"
    " check=False)"
)
PREFIXED = (
    "import urllib.request\nurl = event['u'].replace('{site}', 'http://127.0.0.1:1/public')\n"
    "if not url.startswith('http://127.0.0.1:1/public/'):\n    return 'refused'\n"
    "try:\n    urllib.request.urlopen(url, timeout=1)\nexcept OSError:\n    return 'none there'"
)
PATH_PREFIXED = (
    "import urllib.request\nfrom urllib.parse import urlsplit\nparts = urlsplit(event['u'])\n"
    "if parts.netloc not in {'127.0.0.1:1'} or not parts.path.startswith('/public/'):\n"
    "    return 'refused'\n"
    "try:\n    urllib.request.urlopen(event['u'], timeout=1)\nexcept OSError:\n    return 'none'"
)
MAKE_LINE = (
    "import os, shlex\nfrom pathlib import Path\n"
    "Path('/tmp/Makefile').write_text('all:\\n\\t@echo $(V)\\n')\n"
    "os.system('make -s -C /tmp/ V=' + shlex.quote(event['v']))"
)
IMPORTING = """
import base64, importlib, io, pickle
class Own(pickle.Unpickler):
    def find_class(self, module, name):
        if module == 'builtins':
            raise pickle.UnpicklingError('no')
        return getattr(importlib.import_module(module), name)
def handler(event, context):
    return str(Own(io.BytesIO(base64.b64decode(event['d']))).load())
"""
JOINED = (
    "import urllib.request\nfrom urllib.parse import urljoin\nKEYS = '/internal/keys'\n"
    "try:\n    urllib.request.urlopen(urljoin('http://127.0.0.1:1/avatars/', event['a']), timeout=1)\n"
    "except OSError:\n    return 'none there'"
)
JOINED_CHECKED = JOINED.replace("try:", "if event['a'] not in (KEYS,):\n    return\ntry:", 1)
UNPICKLER = """
import base64, io, pickle
class Own(pickle.Unpickler):
    def find_class(self, module, name):
        {body}
        return super().find_class(module, name)
def handler(event, context):
    return str(Own(io.BytesIO(base64.b64decode(event['d']))).load())
"""
REFUSING = UNPICKLER.format(body="if module.startswith('os'): raise pickle.UnpicklingError('no')")
REFUSING_NAMES = UNPICKLER.format(
    body="if name in ('eval', 'exec', 'system'): raise pickle.UnpicklingError('no')"
)
ALLOWING = UNPICKLER.format(
    body="if (module, name) not in {('builtins', 'getattr'), ('datetime', 'date')}: raise KeyError"
)
SENT = (
    "return {'statusCode': 200, 'headers': {'content-type': 'text/event-stream'},"
    " 'body': f\"event: goal\\ndata: {event['t']}\\n\\n\"}"
)
ZONE = "with open('/tmp/a.zone', 'w') as f:\n    f.write(f\"@ IN SOA ns\\n{event['h']} IN A {event['v']}\\n\")"
FILTERED = (
    "import sqlite3\ndb = sqlite3.connect(':memory:')\ndb.execute('CREATE TABLE t(a, b)')\n"
    "return db.execute(f\"SELECT a FROM t WHERE {event['c']} > {event['v']}\").fetchall()"
)
RULES = """
import re
RULE = re.compile(r'^([a-z]+) ([<>=!]+) (.+)$')
def handler(event, context):
    name, sign, number = RULE.match(event['r']).groups()
    return bool(eval(f'value {sign} {number}', {'value': 1}))
"""
SHOP = (
    "return str(eval(event['e'], {'__builtins__': {}},"
    " {'price': 2, 'qty': 3, 'city': 'Cork', 'max': max}))"
)
AWK = (
    "import subprocess\n"
    'program = f\'BEGIN {{ FS = "{event["s"]}" }} NR > 1 {{ n += $2 }} END {{ print n }}\'\n'
    "subprocess.run(['awk', program], input='a;1', text=True, check=False)"
)
AWK_WRITES = AWK.replace("print n ", 'print n > "/tmp/out" ')
ENV = (
    "import subprocess\nfrom pathlib import Path\n"
    "text = ''.join('{}=\"{}\"\\n'.format(k, v.replace('\"', '\\\\\"')) for k, v in event['n'].items())\n"
    "Path('/tmp/.env').write_text(text)\n"
    "subprocess.run(['sh', '-c', '. /tmp/.env; echo \"$NAME\"'], check=False)"
)
WRITER = (
    "import importlib\nmodule, _, name = event['w'].rpartition('.')\n"
    "return str(getattr(importlib.import_module(module), name)(event['v']))"
)
LOCATED = "import pydoc\nreturn str(pydoc.locate(event['w'])(event['v']))"


GENERATED = """
import importlib.util
from pathlib import Path
def handler(event, context):
    lines = [f'{name.upper()} = "{value}"' for name, value in event['s'].items()]
    path = Path('/tmp/settings_of_site.py')
    path.write_text('# generated\\n' + '\\n'.join(lines) + '\\n')
    spec = importlib.util.spec_from_file_location('settings_of_site', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(vars(module)['A'])
"""


def _pickled(function: object, *arguments: object) -> dict[str, str]:
    class Made:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return function, arguments

    return {"d": base64.b64encode(pickle.dumps(Made())).decode()}


VULNERABLE: Cases = {
    "generated: an expression": (GENERATED, {"s": {"a": 'x" + __import__("os").name + "'}}),
    "generated: a statement": (GENERATED, {"s": {"a": '1"; B = 6 * 7; C = "'}}),
    "generated: a line": (GENERATED, {"s": {"a": 'x"\nimport os\nC = "y'}}),
    "generated: a name": (GENERATED, {"s": {"a = 1\nimport os #": "x", "A": "y"}}),
    **{
        f"{place}: {name}": (code, {"w": name, "v": "true"})
        for place, code in (("writer", WRITER), ("located", LOCATED))
        for name in ("os.system", "subprocess.getoutput", "builtins.eval", "shutil.rmtree")
    },
    "writer: what a module has imported": (WRITER, {"w": "json.codecs", "v": "x"}),
    "writer: a module within": (WRITER, {"w": "json.tool.main", "v": "x"}),
    "writer: a special name": (WRITER, {"w": "pprint._sys", "v": "x"}),
    "writer: formats": (WRITER, {"w": "string.Formatter", "v": "x"}),
    "located: what a module has imported": (LOCATED, {"w": "json.codecs.open", "v": "x"}),
    "located: in a module that others imported": (LOCATED, {"w": "statistics.sys.exit", "v": "1"}),
    "make: a command": (MAKE, {"v": "1; id"}),
    "make: a pipe": (MAKE, {"v": "1 | sh"}),
    "make: and": (MAKE, {"v": "1", "p": "x && id"}),
    "make: a line": (MAKE, {"v": "1\nid"}),
    "make: back-ticks": (MAKE, {"v": "`id`"}),
    "make: expanded": (MAKE, {"v": "$(shell id)"}),
    "make: expanded in braces": (MAKE, {"v": "1.${shell id}"}),
    "prefix: dots": (PREFIXED, {"u": "{site}/../internal/keys"}),
    "prefix: encoded dots": (PREFIXED, {"u": "{site}/%2e%2e/internal/keys"}),
    "prefix: dots later": (PREFIXED, {"u": "{site}/a/../../internal/keys"}),
    "prefix: whole": (PREFIXED, {"u": "http://127.0.0.1:1/public/../internal"}),
    "prefix of the path: dots": (PATH_PREFIXED, {"u": "http://127.0.0.1:1/public/../internal"}),
    "make in a line": (MAKE_LINE, {"v": "1; id"}),
    "make in a line: expanded": (MAKE_LINE, {"v": "$(shell id)"}),
    "pickle: imported": (IMPORTING, _pickled(subprocess.getoutput, "true")),
    "joined: a path that the code has": (JOINED, {"a": "/internal/keys"}),
    "joined: another": (JOINED, {"a": "../internal/keys"}),
    "pickle: eval": (REFUSING, _pickled(eval, "1")),
    "pickle: subprocess": (REFUSING, _pickled(subprocess.getoutput, "true")),
    "pickle: a method": (REFUSING, _pickled(getattr, "", "join")),
    "pickle: other names": (REFUSING_NAMES, _pickled(subprocess.getoutput, "true")),
    "pickle: a module's names": (
        REFUSING_NAMES,
        {"d": base64.b64encode(b"cos\npopen\n.").decode()},
    ),
    "events: another": (SENT, {"t": "x\n\nevent: admin\ndata: 1"}),
    "events: a field": (SENT, {"t": "x\rid: 7"}),
    "zone: another record": (ZONE, {"h": "me", "v": "192.0.2.1\nwww IN A 203.0.113.6"}),
    "zone: by the name": (ZONE, {"h": "a IN A 192.0.2.9\nlogin", "v": "192.0.2.1"}),
    "signed: more than a number": (FILTERED, {"c": "a", "v": "-5 OR 1=1"}),
    "signed: a column": (FILTERED, {"c": "a", "v": "-b"}),
    "signed: hidden": (FILTERED, {"c": "password", "v": "-5"}),
    "rules: code": (RULES, {"r": "cpu != 0 or print(1)"}),
    "shop: a format": (SHOP, {"e": "'%99999999s' % 1"}),
    "shop: a text repeated": (SHOP, {"e": "('a' if qty else 'b') * 99999999"}),
    "shop: an attribute": (SHOP, {"e": "'a'.__class__ if qty == 3 else 'b'"}),
    "shop: a list of texts": (SHOP, {"e": "['a'] * 99999999"}),
    "awk: out of the literal": (AWK, {"s": '"; system("id"); x = "'}),
    "awk: the quote escaped": (AWK, {"s": "\\"}),
    "awk: both escaped": (AWK, {"s": '\\\\"; system(1) #'}),
    "awk: a file": (AWK_WRITES, {"s": ";"}),
    "env: a substitution": (ENV, {"n": {"NAME": 'the "best" $(id)'}}),
    "env: the backslash escaped": (ENV, {"n": {"NAME": 'x\\"; id #'}}),
    "env: the quote at its end": (ENV, {"n": {"NAME": 'a "b" \\', "Z": "; id #"}}),
    "env: a line": (ENV, {"n": {"NAME": 'a "b"\nPATH=/tmp'}}),
}
HARMLESS: Cases = {
    "generated: texts": (GENERATED, {"s": {"a": "it's 5 o'clock; relax", "url": "https://x/?a=1"}}),
    "generated: a line that says the same": (GENERATED, {"s": {"a": "b = c"}, "o": 'A = "b = c"'}),
    **{
        f"{place}: {name}": (code, {"w": name, "v": "1"})
        for place, code in (("writer", WRITER), ("located", LOCATED))
        for name in ("json.dumps", "pprint.pformat", "collections.Counter", "decimal.Decimal")
    },
    "make: a version": (MAKE, {"v": "1.2.3-rc.1+build5", "p": "linux/arm64 größe, it's"}),
    "prefix: steps inside": (PREFIXED, {"u": "{site}/a/b/../c?x=../y"}),
    "prefix: refused by the code": (PREFIXED, {"u": "http://127.0.0.1:2/x"}),
    "prefix of the path: steps": (PATH_PREFIXED, {"u": "http://127.0.0.1:1/public/a/../b?c=/../d"}),
    "make in a line": (MAKE_LINE, {"v": "1.0 it's"}),
    "joined: in the folder": (JOINED, {"a": "2026/x..y.png?size=1"}),
    "joined: a path that the code checked": (JOINED_CHECKED, {"a": "/internal/keys"}),
    "pickle: a class": (REFUSING, _pickled(dict, [("a", 1)])),
    "pickle: what the code names": (ALLOWING, _pickled(getattr, "", "join")),
    "events: several lines": (SENT, {"t": "first\nsecond: x\n the event"}),
    "events: words": (SENT, {"t": "event: x"}),
    "zone: a record": (ZONE, {"h": "*.dev", "v": "192.0.2.1"}),
    "signed": (FILTERED, {"c": "a", "v": -5}),
    "rules: unequal": (RULES, {"r": "cpu != 9.15e1"}),
    "shop: texts chosen": (SHOP, {"e": "'free' if price == 0 else 'paid; thanks'"}),
    "shop: texts compared": (SHOP, {"e": "max(1, qty) * price if city == 'Cork' else 0"}),
    "awk: a sign": (AWK, {"s": ";"}),
    "awk: an escaped one": (AWK, {"s": "\\t"}),
    "awk: a pattern": (AWK, {"s": ", *"}),
    "env: quotes": (ENV, {"n": {"NAME": 'the "best" #1, a \\ b'}}),
}


def test_attacks_are_stopped(tmp_path: Path) -> None:
    sinks = {"command", "url", "deserialisation", "code", "header", "sql", "file"}
    assert_blocked(tmp_path, placed(VULNERABLE, tmp_path), sinks, ("sqlite3",))


def test_harmless_values_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(HARMLESS, tmp_path), ("sqlite3",))


def _spans(text: str, *parts: str) -> list[Span]:
    places = [(text.index(part), len(part)) for part in parts]
    return [Span(at, at + length, DATA, exact=True) for at, length in places]


def _filled(template: str, *parts: str) -> tuple[str, list[Span]]:
    """Return a text with data in its places `{}`, and where that is."""
    first, *rest = template.split("{}")
    text, spans = first, list[Span]()
    for part, after in zip(parts, rest, strict=True):
        spans.append(Span(len(text), len(text) + len(part), DATA, exact=True))
        text += part + after
    return text, spans


def _shell_of_sqlite(*parts: str) -> Verdict | None:
    return judge_code("sqlite3", *_filled(_LITE, *parts), _no_judge, _no_judge)


def _no_judge(line: str, inside: Sequence[Span]) -> Verdict | None:
    raise AssertionError("neither a shell's nor Python's")


def _script(name: str, text: str, *parts: str) -> Verdict | None:
    return judge_code(name, text, _spans(text, *parts), _no_judge, _no_judge)


_ED = "2c\n{}\n.\nw\nq\n"
_LITE = "create table t(n);\n.headers {}\n.separator {}\nselect n from t order by {};\n"


@pytest.mark.parametrize("part", ["it's; $(id)", "two\n!not run", "... and so on", "`a` .x"])
def test_text_that_ed_puts_in_passes(part: str) -> None:
    assert _script("ed", _ED.format(part), part) is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (_ED.format("x\n.\n!id\n1c\ny"), "x\n.\n!id\n1c\ny"),
        (_ED.format("x\n."), "x\n."),
        (_ED.format("."), "."),
        ("2c\na\n.\n!{}\n".format("id; x"), "id; x"),
        ("/{}/c\nx\n.\n".format("a;b"), "a;b"),
    ],
)
def test_what_ends_the_text_of_ed_is_stopped(text: str, part: str) -> None:
    assert _script("ed", text, part) is not None


@pytest.mark.parametrize("part", ["1+2*(3-5)", "7 > 5", "(1 + 2) * 3 / 4 ^ 2", "-.5"])
def test_a_sum_for_bc_passes(part: str) -> None:
    assert _script("bc", part + "\n", part) is None


@pytest.mark.parametrize("part", ["9^9^9", "9^999", "while(1){}", "x=1;y", "1\n!id", "read()"])
def test_more_than_a_sum_for_bc_is_stopped(part: str) -> None:
    assert _script("bc", part + "\n", part) is not None


@pytest.mark.parametrize(
    "parts", [("on", "|", "n desc"), ("off", ";", "n ASC"), ("on", "', '", "n, n desc")]
)
def test_how_rows_of_sqlite3_are_shown_and_ordered_passes(parts: tuple[str, ...]) -> None:
    assert _shell_of_sqlite(*parts) is None


@pytest.mark.parametrize(
    "parts",
    [
        ("on\n.shell id", ",", "n"),
        ("on", ",\n.shell id", "n"),
        ("on", ",\nselect 1;--", "n"),
        ("on", ",", "1;\n.system id\nselect 1"),
        ("on", ",", "1; select 'x' || 42"),
        ("on", ",", "n desc; drop table t"),
        ("on", ",", "(select 1)"),
    ],
)
def test_other_commands_of_sqlite3_are_stopped(parts: tuple[str, ...]) -> None:
    assert _shell_of_sqlite(*parts) is not None


@pytest.mark.parametrize("line", [".shell echo {}", ".once |{}", ".open {}", ".read {}", ".{}"])
def test_commands_of_sqlite3_that_open_or_run_take_no_data(line: str) -> None:
    assert _script("sqlite3", line.format("on x") + "\nselect 1;\n", "on x") is not None


def test_a_dot_within_a_literal_is_no_command_of_sqlite3() -> None:
    text = "insert into t values ('a\n.mode', 'x y');\n"
    assert _script("sqlite3", text, "x y") is None
    assert _script("sqlite3", text.replace("x y", "x') or ('"), "x') or ('") is not None


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("age > 35 and city != 'Sydney'", True),
        ("city in ['Cork', 'Sydney'] & age < 50", True),
        ("spent * 1.19", True),
        ("~(a == 1) | b > -5", True),
        ("age < @pd.io.common.os.getpid()", False),
        ("name.str.contains('x')", True),
        ("name.str.cat('x')", False),
        ("name.str.contains(name.str.upper().__class__)", False),
        ("name == __import__('os').sep", False),
        ("password == 'a'", False),
        ("a ** b ** c", False),
        ("x = 1", False),
        ("'a' * 9 == city", False),
        ("`a b` > 1", False),
    ],
)
def test_expressions_over_columns(text: str, *, passes: bool) -> None:
    assert is_formula(text, _spans(text, text), columns=True) is passes


def test_columns_are_no_formula_of_an_eval() -> None:
    assert not is_formula("a & b", _spans("a & b", "a & b"))


def _rendered(template: str, values: object, event: object) -> None:
    """Render as chevron does: what is between its two functions does not matter here."""
    guard = Guard()
    module = types.ModuleType("chevron.renderer")
    source = "def tokenize(template): return template\ndef render(template, data): return tokenize(template)"
    exec(source, module.__dict__)
    TEMPLATE.patches["chevron.renderer"](guard, module)
    guard.begin(event)
    try:
        module.render(template, values)
    finally:
        guard.end()


@pytest.mark.parametrize(
    "text",
    ["Hi {{name}}", "{{{ name }}} ${x}", "{{#items}}- {{.}}{{/items}}", "{{&a.b}} {{^n}}-{{/n}}"],
)
def test_mustache_of_the_event_shows_plain_values(text: str) -> None:
    _rendered(text, {"name": "x", "items": ["a", {"b": 1}]}, {"t": text})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{{> ../../etc/passwd}}", {"name": "x"}),
        ("{{=<% %>=}}<%name%>", {"name": "x"}),
        ("{{ name.__class__ }}", {"name": "x"}),
        ("{{ password }}", {"password": "x"}),
        ("{{ name }}", {"name": Guard}),
        ("{{ name }}", {"a": [{"b": lambda: 1}]}),
        ("{{ name", {"name": "x"}),
    ],
)
def test_mustache_of_the_event_gets_at_nothing_else(text: str, values: object) -> None:
    with pytest.raises(BlockedError):
        _rendered(text, values, {"t": text})


def test_cypher_of_embedded_graphs_is_judged() -> None:
    module = types.ModuleType("kuzu.connection")
    exec(
        "class Connection:\n    def execute(self, query, parameters=None): return query",
        module.__dict__,
    )
    guard = Guard()
    services()["kuzu.connection"](guard, module)
    value = "zz' OR p.hidden OR p.name = '"
    guard.begin({"q": value})
    query = "MATCH (p:P) WHERE p.name CONTAINS '" + value + "' RETURN p.name"
    with pytest.raises(BlockedError):
        module.Connection().execute(query)
    assert module.Connection().execute("MATCH (p) WHERE p.name = $n RETURN p", {"n": value})
    guard.end()


def test_kinds_of_files_that_are_lines() -> None:
    for name in ("/tmp/example.com.zone", "x/my.hosts", "etc/passwd", ".htpasswd", "hosts.deny"):
        kind = of_name(name)
        assert kind is not None and kind.name == "FIELDS", name
    kind = of_type("text/event-stream; charset=utf-8")
    assert kind is not None and kind.name == "EVENTS"


def test_lines_of_the_event_alone_pass() -> None:
    text = "a: 1\n\nevent: x\n"
    assert judge_events(text, _spans(text, text)) is None
    assert judge_fields(text, _spans(text, text)) is None


def test_settings_in_single_quotes_are_judged_as_before() -> None:
    text = "NAME='it\\'s\nPATH=/tmp'\n"
    assert judge_settings(text, _spans(text, "it\\'s\nPATH=/tmp")) is not None


@pytest.mark.parametrize("program", ["awk", "gawk"])
def test_a_comparison_before_a_print_is_no_file(program: str) -> None:
    text = 'NR > 1 { x = "a;b" } END { print x }'
    argument = Argument(text, _spans(text, "a;b"))
    assert plain(argument, program) is None
    written = text.replace("print x", 'print x > "f"')
    assert plain(Argument(written, _spans(written, "a;b")), program) is not None
    named = 'NR > 1 { print x > "a;b" }'
    assert plain(Argument(named, _spans(named, "a;b")), program) is not None
