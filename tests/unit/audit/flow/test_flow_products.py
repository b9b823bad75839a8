"""Each way of data with each way to join it, each sink and each place: found, and its twin not."""

from __future__ import annotations

import itertools
import random
import textwrap

import pytest

from casemate.audit.flow import Entry, analyse

WAYS = {
    "as_it_is": "y = x",
    "stripped": "y = x.strip().lower()",
    "sliced": "y = x[1:]",
    "split": "y = x.split(',')[0]",
    "partitioned": "_, _, y = x.partition(':')",
    "encoded": "y = x.encode().decode()",
    "base64": "y = base64.b64decode(base64.b64encode(x.encode())).decode()",
    "json": "y = json.loads(json.dumps({'a': x}))['a']",
    "quoted": "y = urllib.parse.unquote(x)",
    "listed": "z = ['a']\nz.append(x)\ny = z[-1]",
    "keyed": "z = {'a': {'b': x}}\ny = z['a']['b']",
    "unpacked": "(_, (y, *_)) = (1, (x, 2))",
    "function": "def f(a, *, b):\n    return b\ny = f('a', b=x)",
    "closure": "def f():\n    def g():\n        return x\n    return g\ny = f()()",
    "method": (
        "class A:\n    def __init__(self, v):\n        self.v = v\n"
        "    def get(self):\n        return self.v\ny = A(x).get()"
    ),
    "generator": "def f():\n    yield from [x]\ny = next(f())",
    "comprehension": "y = ''.join(c for c in x)",
    "lambda": "y = (lambda a: a or 'b')(x)",
    "partial": "y = functools.partial('{}{}'.format, x)('a')",
    "chosen": "y = x if len(x) > 3 else 'a'",
    "replaced": "y = re.sub('a', 'b', x)",
    "walrus": "y = z if (z := x) else 'a'",
    "matched": "match {'k': x}:\n    case {'k': y}:\n        pass",
    "looped": "y = ''\nfor c in x:\n    y = y + c",
    "caught": "try:\n    y = x\nexcept KeyError:\n    y = 'a'",
    "deep_copied": "y = copy.deepcopy([x])[0]",
    "default": "y = {}.get('a', x)",
    "async": "async def f(a):\n    return a\ny = asyncio.run(f(x))",
    "nonlocal": "y = 'a'\ndef f():\n    nonlocal y\n    y = x\nf()",
    "setattr": "z = type('Z', (), {})()\nz.v = x\ny = z.v",
}
JOINS = {
    "alone": "q = y",
    "added": "q = 'a ' + y",
    "f": "q = f'a {y}'",
    "percent": "q = 'a %s' % y",
    "format": "q = 'a {}'.format(y)",
    "joined": "q = ' '.join(['a', y])",
}
SINKS = {
    "command": "os.system(q)",
    "sql": "cur.execute('select ' + q)",
    "code": "eval(q)",
    "template": "jinja2.Template(q)",
    "deserialisation": "pickle.loads(q)",
}
PLACES = {
    "plain": "{}",
    "branch": "if context:\n{}",
    "loop": "while context.more():\n{}",
    "attempt": "try:\n{}\nfinally:\n    pass",
    "inner": "def inner():\n{}\ninner()",
    "with": "with open('a') as file:\n{}",
}
HEAD = (
    "import asyncio, base64, copy, functools, jinja2, json, os, pickle, re, sqlite3, urllib.parse\n"
    "cur = sqlite3.connect('a').cursor()\n"
)
ALL = list(itertools.product(WAYS, JOINS, SINKS, PLACES))
SOME = random.Random(14).sample(ALL, 250) + [(way, "f", "command", "plain") for way in WAYS]


def program(case: tuple[str, str, str, str], value: str) -> str:
    way, joined, sink, place = case
    body = PLACES[place]
    inside = SINKS[sink]
    placed = body.format(inside if place == "plain" else textwrap.indent(inside, "    "))
    whole = f"x = {value}\n{WAYS[way]}\n{JOINS[joined]}\n{placed}"
    return f"{HEAD}def handler(event, context):\n{textwrap.indent(whole, '    ')}\n"


def wrong(cases: list[tuple[str, str, str, str]]) -> list[str]:
    out = []
    for case in cases:
        for value, told in (("event['a']", True), ("str(int(event['a']))", False), ("'b'", False)):
            code = program(case, value)
            analysis = analyse({"a.py": code}, [Entry(path="a.py", name="handler")])
            if (case[2] in {flow.weakness for flow in analysis.flows}) is not told:
                out.append(f"{'missed' if told else 'false'}: {case} of {value}")
    return out


def test_some_of_all_are_found_and_their_twins_are_not() -> None:
    assert not wrong(SOME)


@pytest.mark.storm
@pytest.mark.timeout(1200)
def test_all_are_found_and_their_twins_are_not() -> None:
    assert len(ALL) >= 5_000
    assert not wrong(ALL)
