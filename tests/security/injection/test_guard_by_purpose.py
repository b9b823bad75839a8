"""What is code, a template or markup by the purpose of its field, bounded by the program itself.

As different people write it. Each has its hostile twins, which stay stopped.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes

HANDLED = "def handler(event, context):\n    "


def _each(programs: dict[str, str], events: Iterable[object]) -> Cases:
    return {
        f"{name}: {event}": (code, event)
        for (name, code), event in itertools.product(programs.items(), events)
    }


# -- formulas that are evaluated with names of the code's ------------------------------------------

_M = "import math\nTOOLS = {'min': min, 'max': max, 'round': round, 'floor': math.floor}\nKEY = 'k'\n"
_ROW = "{k: float(v) for k, v in event['row'].items()}"
EVALUATORS = {
    "two dictionaries": _M + HANDLED + "return eval(event['f'], dict(TOOLS), event['row'])",
    "unpacked": _M + HANDLED + f"return eval(event['f'].strip(), {{**TOOLS}}, {_ROW})",
    "no built-ins, unpacked": _M
    + HANDLED
    + "return eval(event['f'], {'__builtins__': {}, **TOOLS}, event['row'])",
    "a scope of the module": _M
    + "SCOPE = {'__builtins__': {}, **TOOLS}\n"
    + HANDLED
    + "return eval(event['f'], SCOPE, event['row'])",
    "merged": _M + HANDLED + "return eval(event['f'], TOOLS | event['row'])",
    "signs replaced": _M
    + HANDLED
    + "f = event['f'].replace('÷', '/')\n    return eval(f, dict(TOOLS), event['row'])",
    "in brackets": _M + HANDLED + "return eval('(' + event['f'] + ')', TOOLS, event['row'])",
    "partial": _M
    + "from functools import partial\n\ndef work(f, row):\n    return eval(f, dict(TOOLS), row)\n\n"
    + HANDLED
    + "return list(map(partial(work, event['f']), [event['row']]))",
    "dataclass": _M
    + "from dataclasses import dataclass\n\n@dataclass\nclass Card:\n    gross: float\n    par: float\n"
    + "    name: str\n\n"
    + HANDLED
    + "return eval(event['f'], dict(TOOLS), vars(Card(**event['row'])))",
    "chained": _M
    + "from collections import ChainMap\n"
    + HANDLED
    + "return eval(event['f'], {}, ChainMap(event['row'], TOOLS))",
    "generator": _M
    + "def nets(f, rows):\n    for row in rows:\n        yield eval(f, dict(TOOLS), row)\n\n"
    + HANDLED
    + "return list(nets(event['f'], [event['row']]))",
    "async": "import asyncio\n"
    + _M
    + "async def work(f, row):\n    await asyncio.sleep(0)\n    return eval(f, dict(TOOLS), row)\n\n"
    + HANDLED
    + "return asyncio.run(work(event['f'], event['row']))",
}
COMPILED = {
    "compiled": _M
    + HANDLED
    + "rule = compile(event['f'], '<rule>', 'eval')\n    given = {'gross': event['row']['gross']}\n"
    + "    return eval(rule, dict(TOOLS), {**given, 'par': 72})",
}
_NUMBERS = {"gross": 88, "par": 72, "name": 5}
FORMULAS = [
    {"f": formula, "row": _NUMBERS}
    for formula in (
        *("gross - par * 0.9", "max(gross, 3)", "floor(gross / par)", "-gross", "gross ** 2"),
        *("round(gross / par * 100)", "gross if gross > 80 else par", "min(gross, par) <= 72"),
    )
]
REACHING = [
    {"f": formula, "row": _NUMBERS}
    for formula in (
        *("__import__('os').getcwd()", "open('/etc/hostname').read()", "().__class__.__base__"),
        *("gross.__class__", "floor.__self__", "max(gross, 3).real.__doc__", "(lambda: 1)()"),
        *("[x for x in (1,)]", "9 ** 9 ** 9", "gross ** gross", "str(9) * 9999999999"),
        *("globals()", "exit()", "getattr(gross, 'real')", "f'{gross.__class__}'", "vars()"),
        *("eval('1')", "print(gross)", "([0] + [1]) * 9999999999", "(gross := 3)"),
    )
]
_ALL = "def handler(event, context):\n    secret = 'x'\n    return eval(event['f'], "
OF_THE_CODE: Cases = {
    f"{scope} {name}": ("SETTING = 'k'\n" + _ALL + scope + ")", {"f": name})
    for scope in ("globals()", "{}, locals()", "dict(globals())", "globals() | {'a': 1}")
    for name in ("SETTING", "context", "handler", "secret", "event")
    if (name in ("SETTING", "handler")) != ("locals" in scope)
}
NAMED: Cases = {
    "password": (
        HANDLED + "return eval(event['f'], {}, event['row'])",
        {"f": "password", "row": {"password": 5}},
    ),
    "an object": (
        "class Box:\n    price = 3\n\n"
        + HANDLED
        + "return eval(event['f'], {'BOX'.lower(): Box()}, {})",
        {"f": "box"},
    ),
    "a function that runs code": (
        HANDLED + "return eval(event['f'], dict(run=eval), {})",
        {"f": "run('x')"},
    ),
    "a text that grows": (
        HANDLED + "return eval(event['f'], dict(name='ab'), {})",
        {"f": "name * 9999999999"},
    ),
    "a module": (
        "import math, os\n" + HANDLED + "return eval(event['f'], dict(os=os, math=math), {})",
        {"f": "os.getcwd()"},
    ),
    "a large number": (
        "import math\n" + HANDLED + "return eval(event['f'], dict(math=math), {})",
        {"f": "math.factorial(99999999)"},
    ),
    "what else a module has": (
        "import math\n" + HANDLED + "return eval(event['f'], dict(math=math), {})",
        {"f": "math.__loader__"},
    ),
    "parameters of the event's": (
        HANDLED + "return eval('lambda ' + event['f'], dict(a=1), {})(2)",
        {"f": "x: x.real"},
    ),
    "ends the code's comparison": (
        HANDLED + "f = f\"owner == '{event['f']}'\"\n    return eval(f, {}, {'owner': 'ada'})",
        {"f": "x' or owner != 'x"},
    ),
}
EVALUATED: Cases = {
    "math": (
        "import math\n" + HANDLED + "return eval(event['f'], {'math': math}, event['row'])",
        {"f": "math.sqrt(gross) * math.pi", "row": _NUMBERS},
    ),
    "tax": (
        HANDLED + "return eval(event['f'], {'tax': 0.2}, event['row'])",
        {"f": "gross * (1 + tax)", "row": _NUMBERS},
    ),
    "row": (
        HANDLED + "return eval(event['f'], {'__builtins__': {}}, {'row': event['row']})",
        {"f": "row['gross'] * row['par'] > 3", "row": _NUMBERS},
    ),
    "a function of the code's": (
        "import math\nF = {'__builtins__': {}, 'sqrt': math.sqrt}\n"
        + HANDLED
        + "return eval('lambda x, y: ' + event['f'], {**F})(4, 2)",
        {"f": "sqrt(x) + 2 * y"},
    ),
    "texts compared": (
        HANDLED + "return [r for r in event['rows'] if eval(event['f'], {}, r)]",
        {"f": "kind == 'a' and size >= 2", "rows": [{"kind": "a", "size": 3}]},
    ),
    "found by the code": (
        "class Cells(dict):\n    def __missing__(self, name):\n        return len(name)\n\n"
        + HANDLED
        + "return eval(event['f'], {}, Cells(event['row']))",
        {"f": "A1 + A12 * 2", "row": _NUMBERS},
    ),
    "broken, and answered": (
        HANDLED
        + "try:\n        return eval(event['f'], {}, event['row'])\n    except SyntaxError:\n"
        + "        return 'no formula'",
        {"f": "gross - * 2", "row": _NUMBERS},
    ),
    "a name that nobody has": (
        HANDLED
        + "try:\n        return eval(event['f'], {}, event['row'])\n    except NameError:\n"
        + "        return 'no such name'",
        {"f": "grosss - 2", "row": _NUMBERS},
    ),
}


def test_formulas_that_need_what_they_are_given_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _each(EVALUATORS, FORMULAS), ())


def test_formulas_that_are_compiled_first_and_others_pass(tmp_path: Path) -> None:
    known = [event for event in FORMULAS if "floor" not in str(event)]
    assert_passes(tmp_path, {**_each(COMPILED, known), **EVALUATED}, ())


def test_formulas_that_reach_further_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _each(EVALUATORS | COMPILED, REACHING), {"code"}, ())


def test_names_of_the_code_itself_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, {**OF_THE_CODE, **NAMED}, {"code"}, ())


# -- fields of formats -----------------------------------------------------------------------------

_LOAN = (
    '"""Letters, with {loan.title} and {loan.owed:.2f}."""\nfrom enum import Enum\n'
    "from dataclasses import dataclass\nclass Kind(Enum):\n    BOOK = 'book'\n\n"
    "@dataclass\nclass Loan:\n    title: str\n    fees: list\n    kind: Kind = Kind.BOOK\n\n"
    "    @property\n    def owed(self):\n        return sum(self.fees) / 100\n\n"
    "    @property\n    def internal_note(self):\n        return 'n'\n\n"
    "    @property\n    def lender(self):\n        return 'x'\n\n"
    "@dataclass(slots=True)\nclass Reader:\n    name: str\n    card: str = '0'\n\n"
    "def handler(event, context):\n"
    "    given = {'loan': Loan('Stone', [150]), 'reader': Reader('Ann')}\n"
    "    return event['t']"
)
FORMATS = {
    "format": _LOAN + ".format(**given)",
    "format_map": _LOAN + ".format_map(given)",
}
FIELDS = [
    {"t": text}
    for text in (
        *("{loan.title}: {loan.owed:.2f}", "Dear {reader.name}", "{loan.kind.value}", "{{x}}"),
        "{loan.owed!s:>9}",
    )
]
LOOKING = [
    {"t": text}
    for text in (
        *("{loan.__class__}", "{loan.internal_note}", "{loan.lender}", "{loan.fees.__class__}"),
        *("{reader.__init__.__globals__}", "{loan.owed.__class__}", "{reader.__slots__}", "{loan}"),
        "{loan.kind.__class__}",
    )
]


def test_fields_that_the_program_tells_of_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _each(FORMATS, FIELDS), ())


def test_other_fields_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _each(FORMATS, LOOKING), {"code"}, ())


# -- templates that people write -------------------------------------------------------------------

_J = "import datetime\nfrom jinja2 import DictLoader, Environment, Template, TemplateSyntaxError\n"
_GIVEN = "play=event.get('play', 'Hamlet'), day=datetime.date(2026, 12, 1), tags=['a', 'b']"
WRITTEN = {
    "from_string": _J
    + HANDLED
    + f"return Environment(autoescape=True).from_string(event['t']).render({_GIVEN})",
    "Template": _J + HANDLED + f"return Template(event['t'].strip()).render(dict({_GIVEN}))",
    "loader": _J
    + HANDLED
    + "env = Environment(loader=DictLoader({'a': event['t']}))\n    "
    + f"return env.get_template('a').render({_GIVEN})",
    "stream": _J + HANDLED + f"return ''.join(Template(event['t']).generate({_GIVEN}))",
    "class": _J
    + "class Note:\n    def __init__(self, **values):\n        self.values = values\n"
    + "    def render(self, text):\n        return Environment().from_string(text).render(self.values)\n"
    + HANDLED
    + f"return Note({_GIVEN}).render(event['t'])",
    "async": _J
    + "import asyncio\n"
    + HANDLED
    + "t = Environment(enable_async=True).from_string(event['t'])\n    "
    + f"return asyncio.run(t.render_async({_GIVEN}))",
    "native": _J
    + "from jinja2.nativetypes import NativeEnvironment\n"
    + HANDLED
    + f"return NativeEnvironment().from_string(event['t']).render({_GIVEN})",
    "globals": _J
    + HANDLED
    + "env = Environment()\n    env.globals['play'] = 'Hamlet'\n    "
    + "return env.from_string(event['t']).render(day=datetime.date(2026, 12, 1), tags=['a'])",
    "answered": _J
    + HANDLED
    + f"try:\n        return Environment().from_string(event['t']).render({_GIVEN})\n"
    + "    except TemplateSyntaxError as exc:\n        return {'error': exc.message}",
}
SHOWING = [
    {"t": text, "play": "{{ 7*7 }}"}
    for text in (
        *("Tonight: {{ play }} on {{ day }}", "{{ play|upper }}!", "{{play}}{{ nothing }}"),
        *("{{ tags|join(', ') }}", "{{ play|truncate(9)|e }}", "{{- play -}}", "100 % {x} #1"),
        *("{{ play | default('-') }}", "{% if play %}{{ play }}{% else %}none{% endif %}"),
        "{% if play == 'Faust' %}{{ tags|first }}{% elif not day %}-{% endif %}",
    )
]
OWN_FILTER: Cases = {
    "a filter of the code's": (
        _J
        + HANDLED
        + "env = Environment()\n    env.filters['german'] = lambda d: f'{d:%d.%m.%Y}'\n    "
        + f"return env.from_string(event['t']).render({_GIVEN})",
        {"t": "On {{ day|german }} we give {{ play }}"},
    ),
    "broken, and answered": (WRITTEN["answered"], {"t": "{{ play"}),
    "another broken one": (WRITTEN["answered"], {"t": "{% if play %} x"}),
    "as the code's own layout has it": (
        _J
        + "LAYOUT = '<p>%%GREETING%%</p><p>{{ person.name }}</p>'\n"
        + HANDLED
        + "text = LAYOUT.replace('%%GREETING%%', event['t'])\n    "
        + "return Template(text).render(person={'name': 'Ann', 'iban': 'DE1'})",
        {"t": "Hi {{ person.name }}, welcome"},
    ),
    "Mako as the code's own has it": (
        "from mako.template import Template\nDEFAULT = 'Dear ${name}, hello'\n"
        + HANDLED
        + "return Template(event.get('t') or DEFAULT).render(name='Ann')",
        {"t": "Good morning ${name}!"},
    ),
    "string.Template with a date": (
        "import datetime\nimport string\n"
        + HANDLED
        + "given = {'name': 'Ann', 'due': datetime.date(2026, 1, 1)}\n    "
        + "return string.Template(event['t']).substitute(given)",
        {"t": "$name until ${due}"},
    ),
}
ADDING = [
    {"t": text}
    for text in (
        *("{{ 7*7 }}", "{{ play.__class__ }}", "{{ play|attr('upper') }}", "{{ day.year }}"),
        *("{{ cycler.__init__.__globals__ }}", "{% for t in tags|list|map('x') %}{% endfor %}"),
        *("{{ play.upper() }}", "{{ play['x'] }}", "{% set x = 1 %}", "{{ play|map('upper') }}"),
        *("{{ lipsum }}", "{{ range }}", "{{ password }}", "{% include 'x' %}", "{{ play ~ day }}"),
        *(
            "{{ play|format }}",
            "{{ _x }}",
            "{{ play|center(99999) }}",
            "{{ self }}",
            "{{ dict() }}",
        ),
        *("{{ tags|join('-')|join('-') }}", "{# x #}{{ 1 }}", "{{ 'x'|list }}"),
        *(
            "{% if play.x %}{% endif %}",
            "{% if self %}{% endif %}",
            "{% if 1 in tags %}{% endif %}",
        ),
    )
]
HOSTILE: Cases = {
    "an object of the context": (
        _J + HANDLED + "return Template(event['t']).render(config={'a': 1})",
        {"t": "{{ config }}"},
    ),
    "an object of all templates": (
        _J
        + HANDLED
        + "env = Environment()\n    env.globals['app'] = {'a': event['t']}\n    "
        + "return env.from_string(event['t']).render()",
        {"t": "{{ app }}"},
    ),
    "a field that only others show": (
        _J + HANDLED + "return Template('Hi ' + event['t']).render(name='Ann', margin=3)",
        {"t": "{{ margin }}"},
    ),
    "a layout of the event's": (
        _J
        + HANDLED
        + "page = {'b': event['t'], 'a': \"{% extends 'b' %}\"}\n    "
        + "env = Environment(loader=DictLoader(page))\n    "
        + "return env.get_template('a').render(box=env)",
        {"t": "{{ box }}"},
    ),
    "a part of the event's": (
        _J
        + HANDLED
        + "page = {'b': event['t'], 'a': \"{% include 'b' %}\"}\n    "
        + "env = Environment(loader=DictLoader(page))\n    "
        + "return env.get_template('a').render(box=env)",
        {"t": "{{ box }}"},
    ),
    "within a literal of the code's": (
        _J + HANDLED + "return Template('{{ \"' + event['t'] + '\" }}').render(play='x')",
        {"t": '" ~ play.__class__ ~ "{{ play }}'},
    ),
    "Mako": (
        "from mako.template import Template\n"
        + HANDLED
        + "return Template('Dear ${name}, ' + event['t']).render(name='Ann')",
        {"t": "${name} ${context}"},
    ),
    "string.Template of variables": (
        "import string\n"
        + HANDLED
        + "note = 'x'\n    return string.Template(event['t']).substitute(locals())",
        {"t": "$note"},
    ),
}


def test_templates_that_show_what_they_are_given_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, {**_each(WRITTEN, SHOWING), **OWN_FILTER}, ("jinja2", "mako.template"))


def test_templates_that_do_more_are_blocked(tmp_path: Path) -> None:
    without = {name: code for name, code in WRITTEN.items() if name != "answered"}
    cases = {**_each(without, ADDING), **HOSTILE}
    assert_blocked(tmp_path, cases, {"template"}, ("jinja2", "mako.template"))


# -- markup that the code makes of escaped text ----------------------------------------------------

_H = "import re\nfrom html import escape\n"
_PAGE = (
    "\n\ndef handler(event, context):\n    return {'status': 200, 'headers': {'content-type': "
    "'text/html'}, 'body': '<main>' + shown(event['t']) + '</main>'}\n"
)
_LINK, _BOLD = r"r'\[([^\]]+)\]\(([^)\s]+)\)'", r"r'\*\*(.+?)\*\*'"
_RULES = f"RULES = [(re.compile({_BOLD}), r'<b>\\1</b>'), (re.compile({_LINK}), r'<a href=\"\\2\">\\1</a>')]\n"
_LOOP = "    for pattern, by in RULES:\n        t = pattern.sub(by, t)\n    return t"
CONVERTERS = {
    "rules": _H + _RULES + "def shown(t):\n    t = escape(t)\n" + _LOOP,
    "named groups": _H
    + "L = re.compile(r'\\[(?P<l>[^\\]]+)\\]\\((?P<u>[^)\\s]+)\\)')\n"
    + 'def shown(t):\n    return L.sub(r\'<a rel="nofollow" href="\\g<u>">\\g<l></a>\', escape(t))',
    "reduce": _H
    + "from functools import reduce\n"
    + _RULES
    + "def shown(t):\n    return reduce(lambda x, r: r[0].sub(r[1], x), RULES, escape(t))",
    "a function": _H
    + "def link(m):\n    return f'<a href=\"{m[2]}\">{m[1]}</a>'\n"
    + f"def shown(t):\n    return re.sub({_LINK}, link, re.sub({_BOLD}, r'<b>\\1</b>', escape(t)))",
    "a lambda": _H
    + f"def shown(t):\n    return re.sub({_LINK}, lambda m: '<a href=\"%s\">%s</a>' % (m.group(2), "
    + "m.group(1)), escape(t))",
    "a method": _H
    + "class Text:\n    def __init__(self, t):\n        self.t = escape(t)\n"
    + "    def _link(self, m):\n        return '<a href=\"{}\">{}</a>'.format(m[2], m[1])\n"
    + f"    def html(self):\n        return re.sub({_LINK}, self._link, self.t)\n"
    + "def shown(t):\n    return Text(t).html()",
    "lines": _H
    + _RULES
    + "def inline(t):\n    t = escape(t)\n"
    + _LOOP
    + "\ndef shown(t):\n    return ''.join(f'<p>{inline(x)}</p>' for x in t.splitlines())",
    "markupsafe": "import re\nfrom markupsafe import escape\n"
    + _RULES
    + "def shown(t):\n    t = str(escape(t))\n"
    + _LOOP,
    "a generator": _H
    + _RULES
    + "def blocks(t):\n    for x in t.split('\\n'):\n        x = escape(x)\n        for p, by in RULES:\n"
    + "            x = p.sub(by, x)\n        yield f'<li>{x}</li>'\n"
    + "def shown(t):\n    return '<ul>' + '\\n'.join(blocks(t)) + '</ul>'",
}
MARKED = [
    {"t": text}
    for text in (
        "see **Bread & Stone** by O'Hara",
        "[more](https://books.example/a?b=1&c=2) and **x** and [y](/z)",
        "Übung: [Seite 4](/seiten/4.html) **wichtig**",
        "write to [me](mailto:teacher@school.example)",
        "<script>alert('x')</script> **b** [l](http://x.example/)",
        '**a** **b** [c](#top) "quoted" <b>',
    )
]
RUNNING = [
    {"t": text}
    for text in (
        "[free](javascript:location=document.cookie)",
        "**b** and [x](JavaScript:alert&#40;1&#41;)",
        "[x](data:text/html,<script>alert(1)</script>)",
        "[a](/b) [x](vbscript:msgbox)",
    )
]
NOT_ESCAPED = {
    name: code.replace("escape(t)", "(t)").replace("escape(x)", "(x)")
    for name, code in CONVERTERS.items()
    if "markupsafe" not in name
}
RAW = [
    {"t": text}
    for text in (
        "**a** <img src=x onerror=alert(1)> [a](/b)",
        "[<script>alert(1)</script>](/x) **a**",
        '[a](/x"onmouseover="alert(1)) **b**',
    )
]


def _pages(programs: dict[str, str]) -> dict[str, str]:
    return {name: code + _PAGE for name, code in programs.items()}


def test_markup_that_the_code_makes_of_escaped_text_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, _each(_pages(CONVERTERS), MARKED), ("markupsafe",))


@pytest.mark.parametrize("texts", ["running", "raw"])
def test_scripts_in_what_the_code_marks_up_are_blocked(tmp_path: Path, texts: str) -> None:
    programs = CONVERTERS if texts == "running" else NOT_ESCAPED
    cases = _each(_pages(programs), RUNNING if texts == "running" else RAW)
    assert_blocked(tmp_path, cases, {"response"}, ("markupsafe",))
