"""Rewritten code does what the code said: values, order, errors, lines."""

# ruff: noqa: E501

from __future__ import annotations

import ast
import builtins
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.inlining import PREFIX, SUFFIX
from casemate.guard.names import NAMES
from casemate.guard.provenance import Provenance
from casemate.guard.rewriting import rewrite


@pytest.fixture(autouse=True)
def provenance() -> Iterator[Provenance]:
    made = Provenance()
    for name in NAMES:
        setattr(builtins, f"{PREFIX}{name}{SUFFIX}", getattr(made, name))
    made.begin()
    yield made
    made.end()
    for name in NAMES:
        delattr(builtins, f"{PREFIX}{name}{SUFFIX}")


def rewritten(source: str) -> CodeType:
    return compile(rewrite(ast.parse(source)), "own.py", "exec", dont_inherit=True)


SNIPPETS = {
    "f-string": "x = 3; r = f'a{x}b{x!r:>5}c{x:0{x}d}{{}}'",
    "f-string of one part": "x = 'a'; r = (f'{x}', f'', f'abc', f'{x}' is x)",
    "f-string with text in text": "d = {'k': 'v'}; r = f\"<{d['k']}-{f'{1}{2}'}>\"",
    "f-string evaluates in order": "l = []; r = (f'{l.append(1)}{l.append(2)}', l)",
    "f-string with equals": "x = 1; r = f'{x=} {x = !r}'",
    "addition": "a = 'x'; r = ('b' + a, a + 'b', 'b' + a + 'c', 'q' 'p' + 'z')",
    "addition of others": "r = (1 + 2, [1] + [2], (1,) + (2,), b'a' + b'b')",
    "addition of own type": "class A:\n    def __radd__(s, o): return 'own'\nr = 'x' + A()",
    "growing": "s = 'a'\nfor n in range(50):\n    s += str(n) + ','\nr = s",
    "growing far": "s = ''\nfor n in range(3000):\n    s += 'abc'\nr = len(s)",
    "growing by addition": "s = ''\nfor n in range(3000):\n    s = s + 'ab' + 'c'\nr = len(s)",
    "a list grows in place": "l = m = []\nl += 'ab'\nr = (l, l is m)",
    "an attribute grows": "class A: pass\na = A(); a.s = 'x'; a.s += 'y' + str(1); r = a.s",
    "an item grows": "d = {'a': 'x'}; d['a'] += 'y'; r = d",
    "slices of lists": "l = [1, 2, 3]; k = l; k += l[1:]; r = (l[1:] + l[:1], l is k, k, l[::2] * 2)",
    "two names at once": "a, (b, c), *d = 'x', ('', 1), 2; a += 'y'; b += a; c += 1; r = (a, b, c, d)",
    "a number grows": "n = 1\nn += 2\nr = n",
    "percent": "r = ('%s' % 'a', '%s-%d' % ('a', 3), '%(k)s' % {'k': 1}, 7 % 4, '%%' % ())",
    "percent of own type": "class A:\n    def __mod__(s, o): return o\nr = A() % (1, 2)",
    "format": "r = ('{}{}'.format(1, 'a'), '{a!r:>4}'.format(a='x'), '{0[0]}'.format([1]))",
    "join": "r = (', '.join(['a', 'b']), ''.join(c for c in 'abc'), '-'.join({'a': 1}))",
    "path join": "import os; r = os.path.join('a', 'b', 'c')",
    "a method called join": "class A:\n    def join(s, *a, **k): return (a, k)\nr = A().join(1, x=2)",
    "methods": "r = ('aXb'.replace('X', '-'), ' a '.strip(), 'a,b'.split(','), 'A'.lower())",
    "a method with keywords": "r = ('a b'.split(sep=None, maxsplit=1), 'ä'.encode(encoding='utf-8'))",
    "starred arguments": "a = ['X', '-']; k = {}; r = 'aXb'.replace(*a, **k)",
    "slices": "s = 'abcdef'; r = (s[1:], s[:2], s[::-1], s[1:4:2], s[:], [1, 2, 3][1:])",
    "a slice that is set": "l = [1, 2, 3]; l[1:] = 'ab'; del l[:1]; r = l",
    "membership": "r = ('a' in 'abc', 'x' not in ['x'], 3 in {3: 1}, 1 < 2 in [2])",
    "membership of own type": "class A:\n    def __contains__(s, x): return 5\nx = 1; r = (x in A())",
    "super": "class A:\n    def lower(s): return 'a'\nclass B(A):\n    def lower(s): return super().lower() + 'b'\nr = B().lower()",
    "comprehension": "r = [f'{a}{b}' for a in 'xy' for b in 'z' if a in 'x']",
    "lambda": "r = (lambda v: f'<{v}>' + v)('q')",
    "default": "def f(a='x' + str(1), *, b=f'{1}{2}'): return a + b\nr = f()",
    "private names": "class A:\n    __p = 'x'\n    def f(self): return f'{self.__p}{1}'\nr = A().f()",
    "match": "v = 'a'\nmatch v:\n    case 'b' | 'a' if v in ('a',): r = f'{v}{1}'\n    case _: r = 0",
    "annotations": "def f(a: 'x' + 'y' = 1) -> 'a' + 'b': ...\nx: 'p' + 'q' = 'z' + str(1)\nr = (f.__annotations__, x)",
    "generator": "def g():\n    x = yield f'{1}{2}'\n    yield 'a' + x\ni = g(); r = (next(i), i.send('b'))",
    "walrus": "r = (f'{(y := 3)}{y}', y)",
    "nested quotes": "r = f'''{'a' + \"b\"}{1}\n'''",
    "global": "s = 'a'\ndef f():\n    global s\n    s += 'b' + str(1)\nf(); r = s",
    "nonlocal": "def f():\n    s = 'a'\n    def g():\n        nonlocal s\n        s += f'b{1}'\n    g()\n    return s\nr = f()",
    "coroutine": "import asyncio\nasync def f():\n    return f'{await asyncio.sleep(0, 1)}{2}'\nr = asyncio.run(f())",
    "bytes": "r = (b'a' + bytes([98]), b','.join([b'a', b'b']), b'a'.decode(), b'abc'[1:])",
    "regular expressions": "import re; r = (re.match('a', 'ab').group(), re.sub('a', 'b', 'aa'), re.search('z', 'a'))",
    "unknown name": "try:\n    r = f'{nothing}{1}'\nexcept NameError as e:\n    r = str(e)",
    "wrong types": "try:\n    r = 'a' + 1\nexcept TypeError as e:\n    r = str(e)",
    "wrong join": "try:\n    r = ','.join([1])\nexcept TypeError as e:\n    r = str(e)",
    "wrong format": "try:\n    r = '%d' % 'a'\nexcept TypeError as e:\n    r = str(e)",
    "docstring": "def f():\n    'text'\nr = f.__doc__",
    "strings compare by value": "r = ('a' + str(1)) in {'a1'}",
    "getattr": "n = 'upper'; r = getattr('a', n)()",
    "eval": "x = '1 + 1'; r = eval(x)",
    "eval sees locals": "def f():\n    y = 4\n    e = 'y + 1'\n    return eval(e)\nr = f()",
}  # fmt: skip


@pytest.mark.parametrize("name", SNIPPETS)
def test_the_result_is_the_same(name: str) -> None:
    plain: dict[str, object] = {"__name__": "plain"}
    exec(compile(SNIPPETS[name], "own.py", "exec", dont_inherit=True), plain)
    noted: dict[str, object] = {"__name__": "plain"}
    exec(rewritten(SNIPPETS[name]), noted)
    assert noted["r"] == plain["r"]
    assert type(noted["r"]) is type(plain["r"])


def test_an_error_is_on_its_own_line() -> None:
    source = "x = 1\ny = (f'a{x}'\n     + f'{x}{1 / 0}')\n"
    with pytest.raises(ZeroDivisionError) as caught:
        exec(rewritten(source), {})
    assert caught.tb.tb_next is not None
    assert caught.tb.tb_next.tb_lineno == 3


def test_there_is_nothing_new_in_a_namespace() -> None:
    namespace: dict[str, object] = {}
    exec(rewritten("x = f'{1}{2}'\nclass A:\n    y = 'a' + x\n"), namespace)
    assert set(namespace) == {"__builtins__", "x", "A"}


def test_a_growing_text_is_not_copied_each_time() -> None:
    """As many steps as would take minutes if each copied all that went before."""
    code = "s = ''\nfor _ in range(300_000):\n    s += 'x' * 20 + 'y'\n"
    namespace: dict[str, object] = {}
    exec(rewritten(f"def f():\n{''.join('    ' + line + chr(10) for line in code.splitlines())}    return len(s)\nr = f()"), namespace)  # fmt: skip
    assert namespace["r"] == 300_000 * 21


def test_nested_too_deeply_is_said() -> None:
    source = "x = " + "+".join(["a"] * 20_000)
    try:
        tree = ast.parse(source)
    except RecursionError:
        return
    with pytest.raises(RecursionError):
        rewrite(tree)


LIBRARY = Path(sysconfig.get_paths()["stdlib"])


def _source(name: str) -> str:
    place = LIBRARY / f"{name}.py"
    return (place if place.exists() else LIBRARY / name / "__init__.py").read_text()


@pytest.mark.parametrize(
    "name", ["argparse", "string", "textwrap", "inspect", "ast", "json/decoder", "csv", "dis",
             "configparser", "tarfile", "datetime", "typing", "dataclasses", "logging/__init__"]
)  # fmt: skip
def test_modules_of_the_standard_library_compile(name: str) -> None:
    rewritten(_source(name))


def test_a_rewritten_library_works() -> None:
    """`textwrap` and `string` are full of what is rewritten."""
    for name, use in (
        ("textwrap", "r = dedent('  a\\n  b') + fill('x y z ' * 20, 30) + shorten('a b c d', 5)"),
        ("string", "r = Template('$a ${b}').substitute(a=1, b='x') + capwords('a b')"),
        ("shlex", "r = split('a \"b c\" d') + [quote(\"it's\"), join(['a', 'b c'])]"),
        ("posixpath", "r = [normpath('a/../b//c'), join('a', '/b'), split('/a/b')]"),
    ):
        source = _source(name)
        plain: dict[str, object] = {"__name__": "x"}
        exec(compile(source + "\n" + use, "own.py", "exec", dont_inherit=True), plain)
        noted: dict[str, object] = {"__name__": "x"}
        exec(rewritten(source + "\n" + use), noted)
        assert noted["r"] == plain["r"], name


@given(st.lists(st.text(max_size=5), min_size=2, max_size=6), st.text(max_size=3))
def test_whatever_the_texts_are(parts: list[str], separator: str) -> None:
    source = "r = (f'{a}{b}', a + '-' + b, s.join(parts), '%s%s' % (a, b), '{}{}'.format(a, b), a.replace(b, s) if b else a, a[1:], a.upper(), a in parts)"
    names = {"a": parts[0], "b": parts[1], "s": separator, "parts": parts}
    plain = dict(names)
    exec(compile(source, "own.py", "exec"), plain)
    made = Provenance()
    made.begin()
    for name in NAMES:
        setattr(builtins, f"{PREFIX}{name}{SUFFIX}", getattr(made, name))
    noted = dict(names)
    exec(rewritten(source), noted)
    assert noted["r"] == plain["r"]


@pytest.mark.parametrize(
    "expression",
    [
        *("len(text.split())", "len(text.strip().split(','))", "int(text.strip('x ').zfill(3))"),
        *("float(text.replace('2', '1'))", "bool(text.strip())", "not text.upper().split('X', 1)"),
    ],
)
def test_what_is_only_measured_takes_no_note(expression: str, provenance: Provenance) -> None:
    found: dict[str, object] = {"text": " x ".replace("x", "12")}
    exec(rewritten(f"r = {expression}"), found)
    assert found["r"] == eval(expression, {"text": " 12 "})
    assert not provenance._waiting


@pytest.mark.parametrize(
    "source",
    [
        "def len(parts): return parts\nr = len(text.split())",
        "from os import *\nr = text.split()\nlen(text.split())",
        "import codecs as int\nr = text.split()\nint.lookup_error",
        "def f(len): return len(text.split())\nr = f(list)",
        "r = len(PATTERN.split(text)) and text.split()",
    ],
)
def test_what_a_function_of_the_codes_own_is_given_is_noted(
    source: str, provenance: Provenance
) -> None:
    found: dict[str, object] = {"text": "a1 b2".upper(), "PATTERN": re.compile(" ")}
    exec(rewritten(source), found)
    assert isinstance(found["r"], list)
    assert provenance.of(found["r"][0]) is not None


def test_what_a_pattern_found_is_checked_by_it_though_it_is_only_measured(
    provenance: Provenance,
) -> None:
    found: dict[str, object] = {"match": re.match("(?P<way>asc|desc)", "asc".upper().lower())}
    exec(rewritten("r = len(match.group('way'))"), found)
    assert provenance.check_of("asc") == ("pattern", None)


ANNOUNCED = {
    "db.execute('select 1', (x,))": False,
    "db.execute('select 1')": False,
    "y = db.execute('select ?', [x]).fetchone()": False,
    "y = db.execute('select ?', {'a': x}).fetchall()[0]": False,
    "y = db.execute('select 1')": True,
    "for y in db.execute('select 1'): pass": True,
    "y = db.execute('select 1').rows": True,
    "db.execute('{ a }', x)": True,
    "db.execute('{ a }', values=x)": True,
    "db.execute(*x)": True,
    "db.execute(x, (1,))": True,
    "db.execute(f'select {x}')": True,
    "y = db.execute(x).fetchone()": True,
}


@pytest.mark.parametrize("source", ANNOUNCED)
def test_statements_are_announced_unless_they_are_literals(source: str) -> None:
    made = ast.unparse(rewrite(ast.parse(source)))
    assert (f"{PREFIX}watched{SUFFIX}(" in made) is ANNOUNCED[source]
