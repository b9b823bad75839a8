"""Templates in handlers of every style: data in the source, and data in the context."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from support.guard_cases import Cases, placed, run

JINJA = "{{ ''.__class__.__mro__ }}"
MAKO = "${self.module.cache.util.os.getcwd()}"
_J = "import jinja2\nfrom jinja2 import Template, Environment\n"
_M = "from mako.template import Template\n"

VULNERABLE: Cases = {
    "Template": (_J + "return Template(event['t']).render()", {"t": JINJA}),
    "Template f-string": (_J + "return Template(f'Hello {event[\"n\"]}').render()", {"n": JINJA}),
    "Template concatenation": (
        _J + "return Template('<h1>' + event['n'] + '</h1>').render()",
        {"n": "{{7*7}}"},
    ),
    "Template percent": (_J + "return Template('Hello %s' % event['n']).render()", {"n": JINJA}),
    "Template format": (
        _J + "return jinja2.Template('Hello {}'.format(event['n'])).render()",
        {"n": JINJA},
    ),
    "Template replaced": (
        _J + "return Template('Hello NAME'.replace('NAME', event['n'])).render()",
        {"n": JINJA},
    ),
    "Template joined": (
        _J + "return Template('\\n'.join(['a', *event['lines']])).render()",
        {"lines": ["b", JINJA]},
    ),
    "from_string": (_J + "return Environment().from_string(event['t']).render()", {"t": JINJA}),
    "from_string with autoescape": (
        _J + "return Environment(autoescape=True).from_string('Hi ' + event['n']).render()",
        {"n": JINJA},
    ),
    "from_string keyword": (
        _J + "return Environment().from_string(source=event['t']).render()",
        {"t": JINJA},
    ),
    "statement": (
        _J + "return Template('Hi ' + event['n']).render()",
        {"n": "{% for c in [].__class__.__base__.__subclasses__() %}{{ c }}{% endfor %}"},
    ),
    "comment": (_J + "return Template('Hi ' + event['n'] + ' {{ x }}').render(x=1)", {"n": "{#"}),
    "variable of the context": (
        _J + "return Template('Hi ' + event['n']).render(config={'secret': 1})",
        {"n": "{{ config }}"},
    ),
    "in an expression": (
        _J + "return Template('{{ ' + event['e'] + ' }}').render(user={'a': 1})",
        {"e": "user.__class__"},
    ),
    "name in an expression": (
        _J + "return Template('{{ user.' + event['e'] + ' }}').render(user={'a': 1})",
        {"e": "__class__"},
    ),
    "literal left": (
        _J + "return Template('{{ \"' + event['e'] + '\" }}').render()",
        {"e": '" ~ self.__init__ ~ "'},
    ),
    "in a filter": (
        _J + "return Template('{{ x|' + event['f'] + ' }}').render(x=1)",
        {"f": "attr('__class__')"},
    ),
    "own delimiters": (
        _J
        + "return Environment(variable_start_string='[[', variable_end_string=']]').from_string('Hi ' + event['n']).render()",
        {"n": "[[ 7*7 ]]"},
    ),
    "line statement": (
        _J
        + "return Environment(line_statement_prefix='#').from_string('Hi\\n' + event['n']).render()",
        {"n": "# set x = 7"},
    ),
    "DictLoader": (
        _J
        + "env = Environment(loader=jinja2.DictLoader({'a': 'Hi ' + event['n']}))\nreturn env.get_template('a').render()",
        {"n": JINJA},
    ),
    "FunctionLoader": (
        _J
        + "env = Environment(loader=jinja2.FunctionLoader(lambda name: event['t']))\nreturn env.get_template('a').render()",
        {"t": JINJA},
    ),
    "compile_expression": (
        _J + "return Environment().compile_expression(event['e'])(x=1)",
        {"e": "x.__class__"},
    ),
    "a literal of an expression, ended": (
        _J
        + "return Environment().compile_expression('5 if country == \"' + event['c'] + '\" else 0')(country='DE')",
        {"c": 'x" or "x'},
    ),
    "a literal of an expression, its end escaped": (
        _J
        + 'return Environment().compile_expression(f\'x == "{event["a"]}" or y == "{event["b"]}"\')(x=1, y=2)',
        {"a": "\\", "b": " or 1 or "},
    ),
    "a literal of an expression, left open": (
        _J
        + "return str(Environment().compile_expression(\"'\" + event['a'] + \"' ~ \" + event['b'])(k=1))",
        {"a": "'", "b": "k ~ ''"},
    ),
    "split over fields": (
        _J + "return Template(event['a'] + event['b']).render()",
        {"a": "{", "b": "{7*7}}"},
    ),
    "JSON in a string": (
        _J + "import json\nreturn Template('Hi ' + json.loads(event['body'])['n']).render()",
        {"body": json.dumps({"n": JINJA})},
    ),
    "base64": (
        _J + "import base64\nreturn Template(base64.b64decode(event['t']).decode()).render()",
        {"t": base64.b64encode(JINJA.encode()).decode()},
    ),
    "URL-encoded": (
        _J
        + "from urllib.parse import unquote_plus\nreturn Template('Hi ' + unquote_plus(event['n'])).render()",
        {"n": quote(JINJA)},
    ),
    "query string": (
        _J
        + "from urllib.parse import parse_qs\nreturn Template('Hi ' + parse_qs(event['q'])['n'][0]).render()",
        {"q": "n=" + quote(JINJA)},
    ),
    "hex": (
        _J + "return Template(bytes.fromhex(event['t']).decode()).render()",
        {"t": JINJA.encode().hex()},
    ),
    "denylist": (
        _J
        + "if '__class__' in event['n']: raise ValueError\nreturn Template('Hi ' + event['n']).render()",
        {"n": "{{ ''['__cla' ~ 'ss__'] }}"},
    ),
    "stripped": (
        _J + "return Template('Hi ' + event['n'].strip().title()).render()",
        {"n": " {{ x }} "},
    ),
    "in a class": (
        """
        from jinja2 import Environment
        class Mailer:
            environment = Environment()
            def body(self, greeting, name):
                return self.environment.from_string(f"{greeting} {{{{ name }}}}").render(name=name)
        def handler(event, context):
            return Mailer().body(event["greeting"], event["name"])
        """,
        {"greeting": "{{ ''.__class__ }}", "name": "Ada"},
    ),
    "Mako": (_M + "return Template(event['t']).render()", {"t": MAKO}),
    "Mako in part": (_M + "return Template('Hello ' + event['n']).render()", {"n": "${7*7}"}),
    "Mako by keyword": (
        _M + "return Template(text='Hello ' + event['n']).render()",
        {"n": "${7*7}"},
    ),
    "Mako block": (
        _M + "return Template('Hello ' + event['n']).render()",
        {"n": "<% import os %>"},
    ),
    "Mako line": (
        _M + "return Template('Hello\\n' + event['n']).render()",
        {"n": "% for x in [1]:\n${x}\n% endfor"},
    ),
    "Mako include": (
        _M + "return Template('Hello ' + event['n']).render()",
        {"n": "<%include file='/etc/hostname'/>"},
    ),
    "Mako expression": (
        _M + "return Template('${' + event['e'] + '}').render(x=1)",
        {"e": "x.__class__"},
    ),
    "Mako lookup": (
        "from mako.lookup import TemplateLookup\nl = TemplateLookup()\nl.put_string('a', 'Hi ' + event['n'])\nreturn l.get_template('a').render()",
        {"n": "${7*7}"},
    ),
    "more: render_template_string": (
        "import jinja2\nenv=jinja2.Environment()\ndef render_template_string(s,**c):\n    return env.from_string(s).render(**c)\nreturn render_template_string('<p>'+event['n']+'</p>',x=1)",
        {"n": "{{7*7}}"},
    ),
    "more: jinja overlay": (
        "import jinja2\nreturn jinja2.Environment().overlay().from_string(event['n']).render()",
        {"n": "{{7*7}}"},
    ),
    "more: native": (
        "from jinja2.nativetypes import NativeEnvironment\nreturn NativeEnvironment().from_string(event['n']).render()",
        {"n": "{{7*7}}"},
    ),
    "more: loader file": (
        "import jinja2,os,tempfile\nd=tempfile.mkdtemp()\nopen(d+'/t.html','w').write('Hi '+event['n'])\nreturn jinja2.Environment(loader=jinja2.FileSystemLoader(d)).get_template('t.html').render()",
        {"n": "{{7*7}}"},
    ),
    "more: mako file": (
        "from mako.template import Template\nopen('/tmp/guard-.mako','w').write('Hi '+event['n'])\nreturn Template(filename='/tmp/guard-.mako').render()",
        {"n": "${7*7}"},
    ),
    "more: jinja replace ph": (
        "from jinja2 import Template\nT='Dear __NAME__, {{ x }}'\nreturn Template(T.replace('__NAME__',event['n'])).render(x=1)",
        {"n": "{{ x.__class__ }}"},
    ),
    "more: jinja autoescape select": (
        "from jinja2 import Environment,select_autoescape\nenv=Environment(autoescape=select_autoescape())\nreturn env.from_string(event.get('template','x')).render(user='a')",
        {"template": "{{ user.__class__ }}"},
    ),
}

BENIGN: Cases = {
    "context": (_J + "return Template('Hello {{ name }}').render(name=event['n'])", {"n": JINJA}),
    "context of from_string": (
        _J + "return Environment(autoescape=True).from_string('Hello {{ name }}').render(**event)",
        {"name": JINJA},
    ),
    "whole event as context": (
        _J + "return Template('{% for i in items %}{{ i.n }}{% endfor %}').render(event)",
        {"items": [{"n": JINJA}]},
    ),
    "constant template": (
        _J + "T = Template('Hello {{ name }}')\nreturn T.render(name=event['n'])",
        {"n": "Ada"},
    ),
    "plain text in the source": (
        _J + "return Template(f'Hello {event[\"n\"]}, {{{{ x }}}}').render(x=1)",
        {"n": "Ada Lovelace <ada@example.com>"},
    ),
    "braces that are none": (
        _J + "return Template('Hello ' + event['n']).render()",
        {"n": "a { b } c % d"},
    ),
    "JSON in the context": (
        _J + "return Template('{{ d|tojson }}').render(d=event)",
        {"n": "{{7*7}}"},
    ),
    "chosen template": (
        _J
        + "T = {'a': 'A {{ n }}', 'b': 'B {{ n }}'}\nreturn Template(T[event['t']]).render(n=event['n'])",
        {"t": "a", "n": JINJA},
    ),
    "loader": (
        _J
        + "env = Environment(loader=jinja2.DictLoader({'a.html': 'Hi {{ n }}'}))\nreturn env.get_template(event['t']).render(n=event['n'])",
        {"t": "a.html", "n": JINJA},
    ),
    "sandboxed": (
        "from jinja2.sandbox import SandboxedEnvironment\nreturn SandboxedEnvironment().from_string(event['t']).render(name='Ada')",
        {"t": "Hello {{ name }}"},
    ),
    "number": (
        _J + "return Template('{{ x * ' + str(event['k']) + ' }}').render(x=2)",
        {"k": 12345},
    ),
    "checked name": (
        _J
        + "if event['f'] not in ('name', 'age'): raise ValueError\nreturn Template('{{ user.' + event['f'] + ' }}').render(user={'name': 1})",
        {"f": "name"},
    ),
    "literal of an expression": (
        _J
        + "return Environment().compile_expression('5 if country == \"' + event['c'] + '\" else 0')(country='DE')",
        {"c": "Côte d'Ivoire (or {{ x }})"},
    ),
    "number and literal of an expression": (
        _J
        + "e = event\nreturn Environment().compile_expression(f\"total >= {e['m']} and g == '{e['g']}'\")(total=3, g='a')",
        {"m": "2.50", "g": '5" pipe'},
    ),
    "macro": (
        _J
        + "return Template('{% macro m(x) %}<b>{{ x }}</b>{% endmacro %}{{ m(n) }}').render(n=event['n'])",
        {"n": JINJA},
    ),
    "words in common": (
        _J
        + "return Template('Hello {{ user }} of {{ city }}').render(user=event['user'], city=event['city'])",
        {"user": "user", "city": "city"},
    ),
    "Markup": ("from markupsafe import escape\nreturn str(escape(event['n']))", {"n": JINJA}),
    "escaped twice": (
        _J + "return Template('{{ n|e }}', autoescape=True).render(n=event['n'])",
        {"n": "<b>{{x}}</b>"},
    ),
    "filters": (
        _J
        + "env = Environment()\nenv.filters['up'] = str.upper\nreturn env.from_string('{{ n|up }}').render(n=event['n'])",
        {"n": JINJA},
    ),
    "globals": (
        _J
        + "env = Environment()\nenv.globals['site'] = event['s']\nreturn env.from_string('{{ site }}').render()",
        {"s": JINJA},
    ),
    "f-string page": ("import html\nreturn f'<h1>{html.escape(event[\"n\"])}</h1>'", {"n": JINJA}),
    "string.Template": (
        "import string\nreturn string.Template(event['t']).substitute(name='Ada')",
        {"t": "Hello $name"},
    ),
    "string.Template of the code": (
        "import string\nreturn string.Template('Hello $name').substitute(name=event['n'])",
        {"n": JINJA},
    ),
    "percent": ("return 'Hello %s' % event['n']", {"n": MAKO}),
    "Mako context": (_M + "return Template('Hello ${name}').render(name=event['n'])", {"n": MAKO}),
    "Mako escaped": (
        _M + "return Template('Hello ${name | h}').render(name=event['n'])",
        {"n": "<b>${7*7}</b>"},
    ),
    "Mako loop": (
        _M
        + "return Template('% for i in items:\\n${i}\\n% endfor\\n').render(items=event['items'])",
        {"items": [MAKO, "b"]},
    ),
    "Mako plain text": (
        _M + "return Template('Hello ' + event['n'] + ' ${x}').render(x=1)",
        {"n": "Ada, 100% of $5"},
    ),
    "Mako lookup": (
        "from mako.lookup import TemplateLookup\nl = TemplateLookup()\nl.put_string('a', 'Hi ${n}')\nreturn l.get_template('a').render(n=event['n'])",
        {"n": MAKO},
    ),
    "base64 context": (
        _J
        + "import base64\nreturn Template('{{ n }}').render(n=base64.b64decode(event['n']).decode())",
        {"n": base64.b64encode(JINJA.encode()).decode()},
    ),
    "JSON body context": (
        _J + "import json\nreturn Template('{{ n }}').render(**json.loads(event['body']))",
        {"body": json.dumps({"n": JINJA})},
    ),
    "stream": (
        _J
        + "return ''.join(Template('{% for x in xs %}{{ x }}{% endfor %}').generate(xs=event['xs']))",
        {"xs": [JINJA]},
    ),
    "tojson script": (
        _J + "return Template('<script>var d = {{ d|tojson }};</script>').render(d=event['d'])",
        {"d": "</script>{{7*7}}"},
    ),
    "more: template of constant + user content": (
        "import jinja2\nT='''<p>{{ title }}</p>{% for c in comments %}<li>{{ c }}</li>{% endfor %}'''\nreturn jinja2.Template(T,autoescape=True).render(**event)",
        {"title": "{{7*7}}", "comments": ["{{7*7}}", "{% x %}"]},
    ),
    "more: jinja for emails": (
        "import jinja2\nE=jinja2.Environment(autoescape=True,loader=jinja2.DictLoader({'w.html':'<p>{{ user.name }}</p>{% include \"f.html\" %}','f.html':'bye {{ user.name }}'}))\nreturn E.get_template('w.html').render(user=event['user'])",
        {"user": {"name": "{{7*7}} ${x} <% %>"}},
    ),
}


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


def test_data_that_becomes_a_templates_code_is_stopped(tmp_path: Path) -> None:
    answers = run(tmp_path, placed(VULNERABLE, tmp_path))
    missed = {n: a.result + a.trace for n, a in answers.items() if a.outcome != "blocked"}
    assert not missed
    for name, answer in answers.items():
        assert answer.records[0]["sink"] == "template", f"{name}: {answer}"
        assert answer.records[0]["fix"], name
        assert "could not be checked" not in str(answer.records), name


def test_data_in_the_context_passes(tmp_path: Path) -> None:
    answers = run(tmp_path, placed(BENIGN, tmp_path))
    wrong = {
        n: (a.result, a.records, a.trace)
        for n, a in answers.items()
        if a.outcome != "ok" or a.records
    }
    assert not wrong
