"""What an eighth set of programs showed, whose author had not read the guard: classes, not cases."""

from __future__ import annotations

import types
from collections.abc import Sequence
from pathlib import Path

import pytest

from casemate.guard.core import Guard
from casemate.guard.evaluation.formulas import is_body, is_of_names
from casemate.guard.origin import PIECE, Origin, Span
from casemate.guard.pages.judgement import judge as judge_page
from casemate.guard.sinks.code import SINK as CODE
from casemate.guard.sinks.deserialisation import SINK as DESERIALISATION
from casemate.guard.sinks.template import SINK as TEMPLATE
from casemate.guard.spans import escaped, together
from casemate.guard.sql.structure import judge as judge_sql
from casemate.guard.sql.tokens import Dialect
from casemate.guard.verdict import BlockedError
from casemate.guard.written.settings import judge_expansions, judge_yaml
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

DATA = Origin("event", ("q",))

PROBE = (
    "import json, subprocess\nchosen = json.loads(event['t'])\n"
    "words = ['echo', 'probe', '-c', chosen['count'], chosen['target']]\n"
    "subprocess.run(' '.join(words), shell=True, check=False, capture_output=True)"
)
GREP = (
    "import subprocess\nfor term in event['q'].split('|'):\n"
    "    quoted = term.replace('\"', '\\\\\"')\n"
    "    subprocess.run(f'grep -F -- \"{quoted}\" /etc/hostname', shell=True, check=False, capture_output=True)"
)
SESSION = """
from http.cookies import SimpleCookie
from pathlib import Path, PurePath
DIR = '/tmp/sessions'
Path(DIR, 's').mkdir(parents=True, exist_ok=True)
Path(DIR, 'export.json').write_text('{}')
def handler(event, context):
    jar = SimpleCookie(event['cookie'])
    file = str(PurePath(DIR, 's', jar['sid'].value + '.json'))
    try:
        return open(file).read()
    except FileNotFoundError:
        return 'nobody'
"""
SHEET = """
import re
REF = re.compile(r"\\b([A-Z])(\\d+)\\b")
CELLS = {'A1': 3.0, 'B2': 4.0, 'C1': 0.5}
def handler(event, context):
    text = REF.sub(lambda m: f"cell('{m[0]}')", event['t'])
    return str(eval(text, {'cell': CELLS.get, 'SUM': lambda *a: sum(a), 'ROUND': round}))
"""
PUT_IN = "return eval(f\"cell('{event['t']}')\", {'cell': {'A1': 3.0, 'B2': 4.0}.get})"
LIMIT = "return eval(f'price > {event[\"t\"]}', {'price': 3, 'limit': 5})"
RULE = (
    "space = {}\n"
    "text = event['t'].replace('&&', ' and ')\n"
    "exec(compile('def rule(temp=0, zone=\"\", **_):\\n    return ' + text, '<r>', 'exec'), space)\n"
    "return str(space['rule'](temp=90, zone='oven'))"
)
PROJECTION = """
ALLOWED = {'len': len, 'round': round, 'float': float}
def handler(event, context):
    made = eval('lambda row: ' + event['t'], {'__builtins__': ALLOWED})
    return str(made({'a': 1, 'tags': ['x; y'], 'password': 'hidden'}))
"""
FORM = """
import keyword
TEMPLATE = "from dataclasses import dataclass\\n@dataclass\\nclass Form:\\n{fields}\\n"
def handler(event, context):
    lines = []
    for name, default in event['f'].items():
        if not name.isidentifier() or keyword.iskeyword(name):
            return 'refused'
        lines.append(f'    {name}: object = "{default}"')
    space = {'__name__': 'form'}
    exec(TEMPLATE.format(fields='\\n'.join(lines)), space)
    return vars(space['Form']())
"""
UNCHECKED = FORM.replace("if not name.isidentifier() or keyword.iskeyword(name):", "if not name:")
STAMP = (
    "import shlex, subprocess\n"
    "line = f\"env -u HOME printf '%s|' \\\"{event['t']}\\\"\"\n"
    "subprocess.run(shlex.split(line), check=False, capture_output=True)"
)
QUOTED = (
    "import shlex, subprocess\n"
    "line = f'echo {shlex.quote(event[\"t\"])} end'\n"
    "subprocess.run(shlex.split(line), check=False, capture_output=True)"
)
RECIPES = (
    "import subprocess\nfrom pathlib import Path\n"
    "text = f\"NAME := {event['n']}\\nall:\\n\\t@echo '$(NAME).tar.gz'\\n\"\n"
    "Path('/tmp/Makefile').write_text(text)\n"
    "subprocess.run(['make', '-s', '-C', '/tmp/', 'all'], check=False, capture_output=True)"
)

VULNERABLE: Cases = {
    "probe: a command": (PROBE, {"t": '{"count": "5", "target": "10.0.0.1; id"}'}),
    "probe: in the number": (PROBE, {"t": '{"count": "5|id", "target": "10.0.0.1"}'}),
    "probe: a sign in an address": (PROBE, {"t": '{"count": "5", "target": "10.0.0.1;id"}'}),
    "grep: the quote escaped": (GREP, {"q": '\\";id;\\"|x'}),
    "grep: back-ticks": (GREP, {"q": "a|`id`"}),
    "grep: a substitution": (GREP, {"q": '"a"$(id)|x'}),
    "session: dots": (SESSION, {"cookie": "sid=../export"}),
    "session: a dot before them": (SESSION, {"cookie": 'sid="./../export"; b=1'}),
    "session: dots later": (SESSION, {"cookie": 'a=1; sid="a/.//../../export"'}),
    "sheet: a module": (SHEET, {"t": "__import__('os').getpid()"}),
    "sheet: an attribute": (SHEET, {"t": "A1.__class__"}),
    "sheet: built-in functions": (SHEET, {"t": "__builtins__"}),
    "sheet: another function": (SHEET, {"t": "open('A1')"}),
    "sheet: much": (SHEET, {"t": "[A1] * 99999999"}),
    "put in: another call": (PUT_IN, {"t": "A1') + cell('B2"}),
    "put in: a sum": (PUT_IN, {"t": "A1') or ('"}),
    "limit: more than a value": (LIMIT, {"t": "0 or 1"}),
    "limit: a name": (LIMIT, {"t": "limit"}),
    "rule: a function": (RULE, {"t": "open('/etc/hostname').read()"}),
    "rule: a line": (RULE, {"t": "0\nrule = lambda **k: __import__('os').name"}),
    "rule: a name that is no parameter": (RULE, {"t": "__builtins__"}),
    "rule: another name": (RULE, {"t": "temp and exec"}),
    "rule: an attribute": (RULE, {"t": "zone.join('ab')"}),
    "projection: subclasses": (PROJECTION, {"t": "().__class__.__base__.__subclasses__()"}),
    "projection: by a function": (PROJECTION, {"t": "len.__self__"}),
    "projection: a key that is hidden": (PROJECTION, {"t": "row['password']"}),
    "projection: any key": (PROJECTION, {"t": "row[str(len)]"}),
    "projection: the parameter called": (PROJECTION, {"t": "row(1)"}),
    "projection: another lambda": (PROJECTION, {"t": "1, lambda: 0"}),
    "form: out of the default": (FORM, {"f": {"a": '" + __import__("os").name + "'}}),
    "form: a special name": (FORM, {"f": {"__post_init__": "x"}}),
    "form: a name that nobody checked": (UNCHECKED, {"f": {"a: object = 1; b": "x"}}),
    "form: a plain name that nobody checked": (UNCHECKED, {"f": {"zz": "x"}}),
    "stamp: two arguments": (STAMP, {"t": 'a" "b'}),
    "stamp: many": (STAMP, {"t": '" "$x" -- "1'}),
    "recipes: a command": (RECIPES, {"n": "x'; id; echo '"}),
    "recipes: expanded by the shell": (RECIPES, {"n": "x$$(id)"}),
    "recipes: and": (RECIPES, {"n": "x' && id && echo '"}),
}
HARMLESS: Cases = {
    "probe: an address": (PROBE, {"t": '{"count": "5", "target": "10.0.0.1"}'}),
    "probe: an address of IPv6": (PROBE, {"t": '{"count": "5", "target": "2001:db8::1"}'}),
    "probe: a day": (PROBE, {"t": '{"count": "7", "target": "2026-03-01"}'}),
    "grep: quotes in one part": (GREP, {"q": '"price"|C++'}),
    "grep: words": (GREP, {"q": "a; b & c > d|it's"}),
    "session: a word": (SESSION, {"cookie": 'sid=4f2a; theme="dark ../mode"'}),
    "session: a dot": (SESSION, {"cookie": 'sid="./a//b"'}),
    "sheet: a sum": (SHEET, {"t": "ROUND(SUM(A1,B2)/3, 2)"}),
    "sheet: a choice": (SHEET, {"t": "(A1+1)**2 if C1 > 0.2 else 0"}),
    "put in: a name": (PUT_IN, {"t": "B2"}),
    "rule: a comparison": (RULE, {"t": "temp > 80 && zone == 'oven'"}),
    "rule: in a list": (RULE, {"t": "(temp - 32) * 5 / 9 >= 37.5 or zone in ('a', 'b')"}),
    "rule: a constant": (RULE, {"t": "True"}),
    "projection: values": (PROJECTION, {"t": "{'n': len(row['tags']), 'first': row['tags'][0]}"}),
    "projection: the row": (PROJECTION, {"t": "row"}),
    "projection: a choice": (PROJECTION, {"t": "'big' if row['a'] > 10 else 'small'"}),
    "form: fields": (FORM, {"f": {"name": "O'Brien", "größe": "5 < 6; -- import os"}}),
    "stamp: one argument": (STAMP, {"t": "it's (draft); do not copy > 5"}),
    **{
        f"quoted: {text}": (QUOTED, {"t": text})
        for text in ("it's a; b", "a b", "'a' \"b c\" d", "back\\slash 'x", "'", "")
    },
    "recipes: a name": (RECIPES, {"n": "C++ tools (final) #1"}),
}


def test_attacks_are_stopped(tmp_path: Path) -> None:
    sinks = {"command", "path", "code", "file", "deserialisation"}
    assert_blocked(tmp_path, placed(VULNERABLE, tmp_path), sinks, ())


def test_harmless_values_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(HARMLESS, tmp_path), ())


def _filled(template: str, *parts: str) -> tuple[str, list[Span]]:
    """Return a text with data in its places `{}`, and where that is."""
    first, *rest = template.split("{}")
    text, spans = first, list[Span]()
    for part, after in zip(parts, rest, strict=True):
        spans.append(Span(len(text), len(text) + len(part), DATA, exact=True))
        text += part + after
    return text, spans


_SHELL = '<title>{}</title><script>var s = "{}";</script>'


@pytest.mark.parametrize("title", ["</b> ok", "a </script>"])
@pytest.mark.parametrize("part", ["</p> <b>", "a</i>", "< /script", "</title>"])
def test_other_tags_end_no_script_and_no_title(title: str, part: str) -> None:
    assert judge_page(*_filled(_SHELL, title, part), ()) is None


@pytest.mark.parametrize(
    ("title", "parts"),
    [
        ("x", "</script><b>"),
        ("x", "</SCRIPT >"),
        ("x", "<!-- <script>"),
        ("</title><b>", "x"),
        ("</TITLE ", "x"),
    ],
)
def test_what_ends_a_script_or_a_title_is_stopped(title: str, parts: str) -> None:
    assert judge_page(*_filled(_SHELL, title, parts), ()) is not None


@pytest.mark.parametrize("begun", ["<svg>", "<p><MATH x=1>", "<?xml version='1.0'?>"])
def test_a_script_that_is_read_as_markup_is_ended_by_any_tag(begun: str) -> None:
    text, spans = _filled(begun + "<script>var s = '{}';</script>", "</svg><img src=x>")
    assert judge_page(text, spans, ()) is not None


def test_an_end_of_a_script_in_parts_is_stopped() -> None:
    text, spans = _filled("<script>var s = '{}{}';</script>", "</scr", "ipt>")
    assert judge_page(text, spans, ()) is not None
    text, spans = _filled("<script>var s = '{}/script>';</script>", "<")
    assert judge_page(text, spans, ()) is not None


def test_pieces_that_stand_beside_a_value_are_looked_at_alone() -> None:
    whole = Span(0, 4, DATA, exact=False)
    piece = Span(4, 9, DATA.decoded(*PIECE), exact=False)
    assert together([whole, piece]) == [whole, piece]
    assert together([whole, piece._replace(origin=DATA)]) == [whole._replace(end=9)]
    assert together([piece._replace(start=0, end=4), piece]) == [piece._replace(start=0)]


def test_a_page_with_a_text_as_script_escapes_it_has_its_own_end() -> None:
    assert "\\u003c/b\\u003e" in escaped("</b>")
    assert "\\u003c/b>" in escaped("</b>")
    assert "\\u003C/b\\u003E" in escaped("</b>")  # as Django does
    assert "<\\/b>" in escaped("</b>")
    page = "<script>s = '\\u003c/script\\u003ex'</script>"
    at = page.index("</script>")
    end = Span(at, len(page), DATA.decoded(*PIECE), exact=False)
    assert judge_page(page, [end], ()) is None
    assert judge_page(page.replace("\\u003c", "<"), [end._replace(exact=True)], ()) is not None


_ROWS = "select * from \"pages\" where space <> 'x' AND (title LIKE '%{}%') order by id"


def _searched(*parts: str, begun: str) -> tuple[str, list[Span]]:
    text, spans = _filled(_ROWS, *parts)
    return text, [Span(0, len(begun), DATA.decoded(*PIECE), exact=False), *spans]


def test_the_beginning_of_a_librarys_own_statement_is_there_by_chance() -> None:
    begun = 'select * from "pages'
    assert judge_sql(*_searched("*", begun=begun), (Dialect.SQLITE,)) is None
    assert judge_sql(*_searched("*", begun=begun[:14]), (Dialect.SQLITE,)) is None


@pytest.mark.parametrize(
    ("parts", "begun"),
    [
        (("') OR 1 --",), 'select * from "pages'),
        (("*",), "select * from \"pages\" where space <> 'x'"),
    ],
)
def test_more_than_that_is_stopped(parts: tuple[str, ...], begun: str) -> None:
    assert judge_sql(*_searched(*parts, begun=begun), (Dialect.SQLITE,)) is not None


def test_a_statement_of_the_event_that_a_library_cut_is_stopped() -> None:
    text = 'select * from "users" LIMIT 10'
    span = Span(0, 20, DATA.decoded(*PIECE), exact=False)
    assert judge_sql(text, [span], (Dialect.SQLITE,)) is not None


def _rendered(template: str, values: object) -> None:
    """Render as chevron does: what is between its two functions does not matter here."""
    guard = Guard()
    module = types.ModuleType("chevron.renderer")
    source = "def tokenize(template): return template\ndef render(template, data): return tokenize(template)"
    exec(source, module.__dict__)
    TEMPLATE.patches["chevron.renderer"](guard, module)
    guard.begin({"t": template})
    try:
        module.render(template, values)
    finally:
        guard.end()


@pytest.mark.parametrize("text", ["{{7*7}}", "{{a-b}} {{#c:d}}x{{/c:d}}", "{{ größe.e+f }}"])
def test_mustache_calculates_nothing(text: str) -> None:
    _rendered(text, {"a": "x"})


@pytest.mark.parametrize(
    "text",
    ["{{_a}}", "{{a._b}}", "{{a.__class__}}", "{{>a}}", "{{=a b=}}", "{{7*password}}", "{{7"],
)
def test_mustache_reaches_nothing_that_is_hidden(text: str) -> None:
    with pytest.raises(BlockedError):
        _rendered(text, {"a": "x"})


@pytest.mark.parametrize(
    ("template", "part", "passes"),
    [
        ("lambda row: {}", "row['a'] + row['b']", True),
        ("lambda row: ({})", "row", False),
        ("lambda row: row == {}", "row", False),
        ("def f(a, *b, c=1, **d):\n    return {}", "a + b[0] + c", True),
        ("def f(a):\n    return {}\n", "a ** 2", True),
        ("def f(a):\n    return {}\n", "a ** 99", False),
        ("def f(a):\n    return {}\n", "a ** 9 ** 9", False),
        ("def f(a):\n    return {}\n", "a; x = 1", False),
        ("def f(a):\n    return {}\n", "a\n\nimport os", False),
        ("def f(password):\n    return {}", "password", False),
        ("@cache\ndef f(a):\n    return {}", "a", False),
        ("x = 1\ndef f(a):\n    return {}", "a", False),
        ("def f(a):\n    return {}", "(lambda: a)", False),
        ("def f(a):\n    return {}", "a if a else b", False),
        ("def f(a):\n    return {}", "f'{a}'", False),
    ],
)
def test_formulas_that_functions_return(template: str, part: str, *, passes: bool) -> None:
    assert is_body(*_filled(template, part)) is passes


@pytest.mark.parametrize(
    ("template", "parts", "passes"),
    [
        ("{}", ("a * 2",), True),
        ("f('{}'){}", ("A1", " + a"), True),
        ("{}f('{}')", ("a > ", "A1"), True),
        ("f('{}')", ("A1') + f('b",), False),
        ("f('{}') > 1", ("A1",), False),
        ("{}", ("f('a b; c')",), False),
        ("{}", ("b * 2",), False),
        ("{}", ("token",), False),
        ("{}", ("f(a=1)",), False),
        ("{}", ("",), False),
    ],
)
def test_formulas_of_given_names(template: str, parts: Sequence[str], *, passes: bool) -> None:
    assert is_of_names(*_filled(template, *parts), ("a", "f", "token")) is passes


LUA = 'local level = "{}"\nreturn level .. ": " .. base'
SCRIPT = 'const q = "{}"; q.length'


@pytest.mark.parametrize(
    ("module", "owner", "name", "template"),
    [
        ("lupa.lua54", "LuaRuntime", "execute", LUA),
        ("lupa.luajit21", "LuaRuntime", "eval", LUA),
        ("py_mini_racer._mini_racer", "MiniRacer", "eval", SCRIPT),
        ("dukpy.evaljs", "JSInterpreter", "evaljs", SCRIPT),
    ],
)
def test_scripts_of_embedded_engines(module: str, owner: str, name: str, template: str) -> None:
    library = types.ModuleType(module)
    source = f"class {owner}:\n    def {name}(self, code, *more): return code"
    exec(source, library.__dict__)
    guard = Guard()
    CODE.patches[module](guard, library)
    CODE.patches[module](guard, library)  # once more changes nothing
    run = getattr(vars(library)[owner](), name)
    for value, passes in (("it's; -- a", True), ('" .. secret .. "', False), ('" + x + "', False)):
        text = template.replace("{}", value)
        guard.begin({"q": value})
        if passes:
            assert run(text) == text
            assert run("1 + 1") == "1 + 1"
        else:
            with pytest.raises(BlockedError):
                run(text)
        guard.end()


def test_a_script_of_the_event_is_for_an_engine_that_has_nothing_of_the_process() -> None:
    for module, passes in (("dukpy.evaljs", True), ("lupa.lua54", False)):
        library = types.ModuleType(module)
        source = (
            "class LuaRuntime:\n    def execute(self, code): return code\n"
            "class JSInterpreter:\n    def evaljs(self, code): return code"
        )
        exec(source, library.__dict__)
        guard = Guard()
        CODE.patches[module](guard, library)
        script = "os.exit(1)"
        guard.begin({"q": script})
        if passes:
            assert vars(library)["JSInterpreter"]().evaljs(script) == script
        else:
            with pytest.raises(BlockedError):
                vars(library)["LuaRuntime"]().execute(script)
        guard.end()


COMPOSE = 'service:\n  name: {}\n  env:\n    TITLE: "{}"\n'


@pytest.mark.parametrize(
    ("name", "title"),
    [("web-1", "the best; #1"), ("o'hara", "- not: a list"), ("my\n  shop", "50% {off}")],
)
def test_values_in_yaml_of_the_code_pass(name: str, title: str) -> None:
    assert judge_yaml(*_filled(COMPOSE, name, title)) is None


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("web", 'x"\n  privileged: true\n  y: "z'),
        ("web\n  volumes: ['/:/host']", "t"),
        ("web\n  'volumes': 1", "t"),
        ("web\n- x", "t"),
        ("web\r  privileged:", "t"),
    ],
)
def test_keys_and_items_in_yaml_of_the_code_are_stopped(name: str, title: str) -> None:
    assert judge_yaml(*_filled(COMPOSE, name, title)) is not None


@pytest.mark.parametrize(
    ("part", "passes"),
    [("a\n  b: c\n  - d", True), ("a\nb c", True), ("a\nb: c", False), ("a\n  b\n- c", False)],
)
def test_a_block_in_yaml_of_the_code_is_left_by_what_is_less_deep(
    part: str, *, passes: bool
) -> None:
    assert (judge_yaml(*_filled("x:\n text: |\n  {}\ny: 1\n", part)) is None) is passes


def test_yaml_of_the_event_alone_passes() -> None:
    text = "a: 1\nb:\n- c: 2\n"
    assert judge_yaml(text, [Span(0, len(text), DATA, exact=True)]) is None
    assert judge_yaml(f"---\n{text}", [Span(4, 4 + len(text), DATA, exact=True)]) is None


def test_safe_loaders_are_watched_for_yaml_of_the_code() -> None:
    module = types.ModuleType("yaml")
    source = (
        "class SafeLoader:\n    def __init__(self, stream): self.stream = stream\n"
        "class BaseLoader(SafeLoader):\n    pass"
    )
    exec(source, module.__dict__)
    guard = Guard()
    DESERIALISATION.patches["yaml"](guard, module)
    event = {"n": "web\nprivileged: true"}
    guard.begin(event)
    text = guard.provenance.join(0b01, "name: ", event["n"])
    for name in ("SafeLoader", "BaseLoader"):
        with pytest.raises(BlockedError):
            vars(module)[name](text)
        assert vars(module)[name](event["n"]).stream == event["n"]
        assert vars(module)[name]("name: web")
    guard.end()


_USES = "\nall:\n\t@echo $(A) $(B) ${C}\nother: $(D_e)\n\techo $(F)\n"


@pytest.mark.parametrize("line", ["A := {}", "export B={}", "C ?= {}", "  D_e += x {}", "F ::= {}"])
def test_variables_of_make_take_no_signs_of_a_shell(line: str) -> None:
    for part in ("x; id", "a'b & c", "x`id`", "$$(id)", "$$HOME", "a > b"):
        text, spans = _filled(line + _USES, part)
        assert judge_expansions(text, spans) is not None, part
    for part in ("v1.2.3 (final) #1", "C++ it's", "größe, 5%"):
        text, spans = _filled(line + _USES, part)
        assert judge_expansions(text, spans) is None, part


@pytest.mark.parametrize(
    ("recipe", "part", "passes"),
    [
        ("@echo '$(A)' '${A}'", "a; b & c | `d`", True),
        ("@echo '$(A)'", "a'; id; '", False),
        ("@echo '$(A)'", "a; $$(id)", False),
        ("@echo '$(A)' $(A)", "a; b", False),
        ('@echo "it\'s $(A)"', "a; b", True),
        ('@echo "it\'s $(A)"', 'a"; id; "', False),
        ('@echo "it\'s $(A)"', "a `id`", False),
        ("@echo 'x' $(A)", "a; b", False),
        ("@echo", "a; b $$(c)", True),
    ],
)
def test_a_variable_of_make_in_quotes_takes_most_signs(
    recipe: str, part: str, *, passes: bool
) -> None:
    text, spans = _filled("A := {}\nall:\n\t" + recipe + "\n", part)
    assert (judge_expansions(text, spans) is None) is passes


def test_a_variable_of_make_that_another_one_has_is_not_quoted() -> None:
    text, spans = _filled("A := {}\nB := $(A)\nall:\n\t@echo '$(A)' $(B)\n", "a; b")
    assert judge_expansions(text, spans) is not None
