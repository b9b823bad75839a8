"""What nobody would write on purpose: told with its place, in bounded time, without a crash."""

from __future__ import annotations

import ast
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.audit.flow.flow_programs import BODIES, HEAD

from casemate.audit.flow import Analysis, Entry, Limits, analyse, discover

HANDLER = Entry(path="app.py", name="handler")


def of(code: str, limits: Limits | None = None, **others: str) -> Analysis:
    files = {"app.py": code, **{f"{name}.py": text for name, text in others.items()}}
    return analyse(files, [HANDLER], limits)


UNREADABLE = {
    "python_2": "print 'a'\ndef handler(event, context):\n    exec event\n",
    "null_bytes": "def handler(event, context):\n    pass\n\0",
    "cut_short": "def handler(event, context):\n    os.system(",
    "brackets": "a = " + "(" * 5000 + ")" * 5000,
    "unary": "a = " + "-" * 20_000 + "1",
    "powers": "a = " + "2 ** " * 3000 + "2",
    "tabs_and_spaces": "if 1:\n\ta = 1\n        b = 2\n",
    "giant": "a = 1\n" * 400_000,
    "indented": "".join("    " * n + "if 1:\n" for n in range(99)) + "    " * 99 + "a = 1",
    "surrogate": "a = '\ud800'\ndef handler(:",
    "f_string": "a = f'{'",
}


@pytest.mark.parametrize("code", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_told_with_its_place(code: str) -> None:
    analysis = of(code)
    assert analysis.unresolved
    assert all(each.place.path == "app.py" and each.place.line >= 1 for each in analysis.unresolved)


def test_one_file_that_does_not_parse_takes_no_other_with_it() -> None:
    code = "import os\nimport broken\ndef handler(event, context):\n    os.system(event['a'])\n"
    analysis = of(code, broken="def (")
    assert [flow.weakness for flow in analysis.flows] == ["command"]
    assert [each.place.path for each in analysis.unresolved] == ["broken.py"]


STRANGE = {
    "self_import": "import app\nfrom app import *\nfrom . import app\nfrom ..... import a\n",
    "self_base": "class A(A):\n    pass\nA().b.c.d\n",
    "own_bases": "class A:\n    pass\nA.__bases__ = (A,)\nclass B(A, A, A):\n    pass\nB().x\n",
    "recursion": "def f(a):\n    return f(f(a))\n",
    "mutual": "def f(a):\n    return g(a)\ndef g(a):\n    return f(a)\n",
    "self_container": "a = []\na.append(a)\nb = {}\nb['a'] = b\n",
    "self_decorated": "def d(f):\n    return d\n@d\n@d\n@d\ndef f():\n    pass\n",
    "endless": "while True:\n    a = 1\n",
    "large_power": "a = 9 ** 9 ** 9\nb = 'a' * 10 ** 12\nc = 1 << 10 ** 9\nd = [0] * 10 ** 9\n",
    "large_range": "for i in range(10 ** 12):\n    a = i\n",
    "bad_format": "'{' .format(1)\n'{0[}'.format(1)\n'%' % 1\n'%(a' % 1\n'{:{}}'.format(1, 2)\n",
    "bad_expression": "import re\nre.match('(' , 'a')\nre.match('(a+)+$', 'a' * 99)\n",
    "deep_slices": "a = 'abc'[::0]\nb = (1, 2)[5]\nc = [][0]\nd = 'a'[9]\n",
    "star_everywhere": "def f(*a, **k):\n    return f(*a, *a, **k, **k)\nf(*f, **f)\n",
    "globals": "global a\na = 1\nnonlocal_ = globals()['a']\n",
    "walrus": "[(a := b) for b in range(9) if (c := a)]\n",
    "nan": "a = float('nan')\nb = {a: a}[a]\nc = a == a\n",
    "match": "match 1:\n    case {'a': [1, *b], **c}:\n        pass\n"
    "    case int(x) | str(x):\n        pass\n",
    "elif": "a = 0\nif a:\n    pass\n"
    + "".join(f"elif a == {n}:\n    b = {n}\n" for n in range(300)),
    "long_sum": "a = " + " + ".join(["'a'"] * 300) + "\n",
}


@pytest.mark.parametrize("start", STRANGE.values(), ids=STRANGE.keys())
def test_strange_code_is_read_on(start: str) -> None:
    code = f"{start}\nimport os\ndef handler(event, context):\n    os.system(event['a'])\n"
    before = sys.getrecursionlimit()
    analysis = of(code)
    assert "command" in {flow.weakness for flow in analysis.flows} or analysis.unresolved
    assert sys.getrecursionlimit() == before


def _calls_of_calls() -> str:
    functions = [
        f"def f{n}(a):\n    b = f{n + 1}(a + '{n}')\n    return b + f{n + 1}(b)\n"
        for n in range(20)
    ]
    return "".join(functions) + "def f20(a):\n    return a\n"


GROWING = {
    "calls_of_calls": _calls_of_calls() + "def handler(event, context):\n    f0(event['a'])\n",
    "branches": "def handler(event, context):\n    a = ''\n"
    + "".join(f"    if event['{n}']:\n        a += event['{n}']\n" for n in range(300)),
    "loops": "def handler(event, context):\n    a = ''\n"
    + "".join("    " * n + f"for i{n} in event:\n" for n in range(1, 18))
    + "    " * 18
    + "a += event['a']\n",
    "choices": "def handler(event, context):\n    return "
    + " or ".join(f"(event['a{n}'] and event['b{n}'])" for n in range(200)),
    "objects": "def handler(event, context):\n    a = []\n"
    + "".join(f"    a.append([event, a, {n}])\n" for n in range(2000)),
    "dictionaries": "def handler(event, context):\n    a = {}\n"
    + "".join(f"    a['{n}'] = dict(a, b=event['{n}'])\n" for n in range(300)),
    "comprehensions": "def handler(event, context):\n    return "
    + "[" * 12
    + "event"
    + "".join(f" for a{n} in 'abcdefgh']" for n in range(12)),
}


@pytest.mark.parametrize("code", GROWING.values(), ids=GROWING.keys())
def test_code_that_grows_without_end_stops_at_its_limits(code: str) -> None:
    began = time.process_time()
    analysis = of(code, Limits(steps=20_000, entry_seconds=1.0))
    assert time.process_time() - began < 10.0
    assert len(analysis.flows) < 100


def test_what_was_not_read_for_want_of_steps_is_told() -> None:
    analysis = of(GROWING["calls_of_calls"], Limits(steps=2_000))
    assert "handler" in analysis.unresolved[0].what


def test_entries_that_are_not_there_are_told() -> None:
    found = analyse({"app.py": "a = 1"}, [HANDLER, Entry(path="b.py", name="a")]).unresolved
    assert {each.place.path for each in found} == {"app.py", "b.py"}


def test_what_the_code_says_is_not_done(tmp_path: object) -> None:
    code = f"import pathlib\npathlib.Path({str(tmp_path)!r}, 'made').touch()\nraise SystemExit\n"
    of(code + "def handler(event, context):\n    pass\n")
    assert not list(tmp_path.iterdir())  # type: ignore[attr-defined]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=200))
def test_any_text_is_answered(text: str) -> None:
    of(text)
    discover({"app.py": text})


_LINES = [line for _, _, bad, good in BODIES for line in (bad, good)]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(_LINES), min_size=1, max_size=6), st.integers(0, 3))
def test_any_mixture_of_programs_is_answered(bodies: list[str], depth: int) -> None:
    inside = 'x = event["a"]\ndata = event\n' + "\n".join(bodies)
    for _ in range(depth):
        inside = "for y in x:\n" + "\n".join(f"    {line}" for line in inside.splitlines())
    text = "\n".join(f"    {line}" for line in inside.splitlines())
    code = f"{HEAD}\ndef handler(event, context):\n{text}\n"
    try:
        ast.parse(code)
    except SyntaxError:
        return
    of(code, Limits(steps=20_000))


def test_one_file_does_not_take_the_time_of_the_others() -> None:
    code = GROWING["comprehensions"].replace("handler", "h{}")
    files = {"a.py": "\n".join(code.format(n) for n in range(9))}
    files["b.py"] = "import os\ndef handler(event, context):\n    os.system(event['a'])\n"
    entries = [Entry(path="a.py", name=f"h{n}") for n in range(9)]
    limits = Limits(entry_seconds=0.2, file_seconds=0.3)
    analysis = analyse(files, [*entries, Entry(path="b.py", name="handler")], limits)
    assert [flow.place.path for flow in analysis.flows] == ["b.py"]
    assert any("time of its file" in each.what for each in analysis.unresolved)
