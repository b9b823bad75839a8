"""What stands in the place of a method's call does, and has noted, what the call would have."""

# ruff: noqa: E501

from __future__ import annotations

import ast
import builtins
import gc
import re
import weakref
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard import rewriting
from casemate.guard.core import Guard
from casemate.guard.inlining import MAX_TURNED, PREFIX, SUFFIX
from casemate.guard.names import NAMES
from casemate.guard.notes import DERIVED, REPLACED, Several
from casemate.guard.rewriting import Rewriter, rewrite
from casemate.guard.searching import ANY_LENGTH

PATTERN = re.compile(r"(?P<word>[a-z' ]+)(;)?(-)?(https?://\S+)?")
WORDS = re.compile(r"(select|[a-z]+)[ ;-]?(.*)", re.DOTALL)
EVENTS = ("x' OR 1", "a;b;c", "select name", "name", "", "Ä-b;", "a", "https://a.example/b;c", "7")
STEPS = (
    "v = v.strip('; ')",
    "v = row[k].rstrip('c')",
    "v = v.removeprefix('a')",
    "v = v[1:]",
    "v = v[:1]",
    "v = v[-3:] + row[k][:2]",
    "v = v.replace(';', ',')",
    "v = v.replace('OR', '--')",
    "v = v.split(';')[-1]",
    "v = v.split()[0] if v.split() else v",
    "v, *rest = (v + ' b').split(' ')",
    "m = PATTERN.match(v); v = m.group(1) if m else v",
    "m = re.search(TEXT, v); v = ''.join(g or '' for g in m.groups()) if m else v",
    "m = WORDS.fullmatch(v); v = (m.groups()[0] if m else v)",
    "m = PATTERN.match(v); parts = m.groups() if m else (v,); v = parts[0]",
    "v = f'{v}!' if v.startswith('a') else v",
    "v = f'<{v}>' if row[k].startswith(START) else v.strip('<')",
    "v = v + 'x' if v.endswith(('b', 'c')) else v",
    "v = 'id' if v.isidentifier() else v",
    "v = v if row[k].isalpha() else v + ' '",
    "v = v if v in ALLOWED else v + '?'",
    "v = row[k] if row[k] not in LISTED else v",
    "v = v if v == 'name' else v + ';'",
    "v = 'q' if row[k] != 'name' else row[k]",
    "v = ','.join([v, 'b'])",
    "v = '-'.join(p for p in (v, row[k]))",
    "v = ' '.join([w.strip('-') for w in v.split('-') if w.startswith('a') or w in ALLOWED])",
)


def guard_of(source: str) -> Guard:
    guard = Guard("/nowhere")
    guard.constants.add_code(compile(source, "own.py", "exec"))
    guard.provenance.patterns.add(PATTERN, ANY_LENGTH)
    guard.provenance.patterns.add(WORDS, ANY_LENGTH)
    return guard


class ByCalls(Rewriter):
    """Rewrites without what stands in the place of a call."""

    def _in_place(self, *_: Any) -> None:
        return None

    def _compared_in_place(self, *_: Any) -> None:
        return None

    def _member_in_place(self, node: ast.Compare) -> ast.expr:
        return self._call(node, "member", node.left, node.comparators[0])


def run(source: str, event: dict[str, str], *, in_place: bool) -> tuple[Guard, list[Any]]:
    """Run a program, and return the guard, still within the call, with what was made."""
    guard = guard_of(source)
    for name in NAMES:
        setattr(builtins, f"{PREFIX}{name}{SUFFIX}", getattr(guard.provenance, name))
    tree = ast.parse(source)
    if in_place:
        rewrite(tree)
    else:
        nothing: dict[str, Any] = {"match_form": lambda *_: "", "sets_no_name": lambda *_: False}
        with mock.patch.multiple(rewriting, **nothing):
            ByCalls(tree).visit(tree)
    namespace: dict[str, Any] = {"__name__": "own", "PATTERN": PATTERN, "WORDS": WORDS, "re": re}
    exec(compile(tree, "own.py", "exec"), namespace)
    guard.begin(event)
    return guard, namespace["f"](event)


@pytest.fixture(autouse=True)
def _names() -> Iterator[None]:
    yield
    for name in NAMES:
        delattr(builtins, f"{PREFIX}{name}{SUFFIX}")


HEAD = "TEXT = '([a-z]+)(;?)'\nSTART = 'sel'\nALLOWED = {'name', 'a', 'b'}\nLISTED = ['select name', '7']\n"


def judged(guard: Guard, made: list[Any]) -> list[Any]:
    """Return all that a sink can ask about what was made."""
    provenance = guard.provenance
    return [
        [
            (text, guard.spans(text), guard.spans(f"SELECT '{text}' -- "), guard.whole(text)),
            (guard.check_of(text), provenance.kept.get(("prefix", text))),
            [(q.function.__name__, q.arguments, q.place) for q in provenance.asked_of(text)],
        ]
        for text in made
    ]


@given(
    st.lists(st.sampled_from(STEPS), min_size=1, max_size=7),
    st.tuples(st.sampled_from(EVENTS), st.sampled_from(EVENTS)),
)
def test_it_is_judged_as_if_all_were_done_by_calls(
    steps: list[str], values: tuple[str, str]
) -> None:
    lines = [line for step in steps for line in (*step.split("; m"), "made.append(v)")]
    lines = [line if not line.startswith(" =") else f"m{line}" for line in lines]
    body = "\n    ".join(lines)
    source = f"{HEAD}def f(row):\n    k = 'k'\n    v = row['v']\n    made = [v]\n    {body}\n    return made\n"
    event = {"k": values[0], "v": values[1]}
    (one, made), (other, expected) = (
        run(source, dict(event), in_place=in_place) for in_place in (True, False)
    )
    assert made == expected
    assert judged(one, made) == judged(other, expected)
    for guard in (one, other):
        guard.end()


def function(source: str, *, noted: bool = True) -> Any:
    guard = guard_of(source)
    for name in NAMES:
        setattr(builtins, f"{PREFIX}{name}{SUFFIX}", getattr(guard.provenance, name))
    guard.provenance.begin()
    tree = ast.parse(source)
    namespace: dict[str, Any] = {"__name__": "own", "re": re}
    exec(compile(rewrite(tree) if noted else tree, "own.py", "exec"), namespace)
    return namespace["f"], guard.provenance


OWN = """
class Own:
    def __init__(self): self.said = []
    def __getattr__(self, name):
        self.said.append(name)
        return lambda *a: (name, a)
    def __getitem__(self, key): return ('item', key)
    def __eq__(self, other): return ('equal', other)
    def __ne__(self, other): return ('differs', other)
    def __hash__(self): return 7
class Word(str):
    def strip(self, *a): return 'own'
    def startswith(self, *a): return 'own'
    def replace(self, *a): return 'own'
    def split(self, *a): return 'own'
    def __eq__(self, other): return 'own'
    __hash__ = str.__hash__
"""
SAME = {
    "no text": "o = Own(); return (o.startswith('a'), o.isdigit(), o.strip('a'), o.replace('a', 'b'), o.split(','), o.split(), o.groups(), o.group(1), o[1:], o == 'a', o != 'a', o.match('a'), o.said)",
    "its own type": "w = Word('a'); return (w.startswith('a'), w.strip('a'), w.replace('a', 'b'), w.split(','), w == 'b', type(w[:1]), w.split())",
    "data": "b = b'a b'; return (b.startswith(b'a'), b.split(), b[:1], b.isdigit(), b.replace(b'a', b'b'))",
    "items": "d = {'k': ' a;b '}; return (d['k'].strip(' '), d['k'].split(';'), d['k'].startswith(' '), d['k'] == ' a;b ', d['k'] != 'x', d['k'][:1], d['k'][1:-1].strip())",
    "what is asked once": "l = []\n    def g(): l.append(1); return ' ab '\n    return (g().startswith(' '), g().strip('a'), g()[1:], g() == 'x', g() != 'x', g().replace(' ', ''), g().isalpha(), l)",
    "lists": "l = [1, 2, 3]; return (l[1:], l[:1], l[l[0]:], (1, 2)[1:])",
    "members": "s, l, d, t, g = {'a'}, ['b', 1], {'c': 1}, ('d',), (c for c in 'xyz'); return [x in c for x in ('a', 'b', 'c', 'd', 1) for c in (s, l, d, t)] + ['y' in g, list(g)]",
    "a generator that is looked through": "g = (c for c in 'xyz'); x = 'y'; return (x in g, list(g), x not in g)",
    "in comprehensions": "return [a.strip('x') for a in [b[1:] for b in ' ax by'.split(' ') if b.startswith('a') or b == 'by'] if a in {'x': 1} or a != 'q']",
    "inside each other": "v = 'a-b;c'; return v.split(';')[0][1:].strip('-').replace('b', v[:1].replace('a', '')).startswith(v[1:][:1])",
    "conditions": "v = 'ab'; n = 0\n    while v.startswith('a') and v != 'x': v = v[1:]; n += 1\n    return v, n",
    "walrus": "if (a := ' x '.strip(' ')) == 'x' and (b := a[:1]).isalpha(): return a, b",
    "lambda": "return [g(' a ') for g in (lambda v: v.strip(' '), lambda v: v == ' a ', lambda v: v.split(), lambda v: v[1:])]",
    "a class": "class A:\n        x = 'ab'.strip('a')\n        y = x == 'b'\n        z = x[1:]\n        w = x.startswith('b')\n    return sorted(k for k in vars(A) if 'casemate' in k), A.x, A.y, A.w",
    "errors": "r = []\n    for g in (lambda: None.startswith('a'), lambda: 'a'.startswith(1), lambda: 'a'.strip(1), lambda: x in r, lambda: r in y, lambda: 'a'.split('')):\n        try: g()\n        except Exception as e: r.append((type(e), str(e)))\n    return r",
    "long": f"v = 'ab;' * {MAX_TURNED}; return (len(v.strip('a')), len(v[1:]), len(v.split(';')), v.startswith('ab'), len(v.replace(';', ',')), v == 'x')",
    "match": "m = re.match('(a)(b)?', 'ab'); n = re.compile('a').fullmatch('ab'); return (m.groups(), m.group(1), m.group('1' and 2), m.groups('x'), n, re.search('b', 'ab').group())",
    "join": "return (','.join('abc'), ','.join(c for c in 'ab'), '-'.join(['a']), ''.join([]), b','.join([b'a']))",
}


@pytest.mark.parametrize("name", SAME)
def test_the_result_is_the_same(name: str) -> None:
    source = f"{OWN}\ndef f():\n    {SAME[name]}\n"
    (plain, _), (noted, _) = (function(source, noted=noted) for noted in (False, True))
    expected, found = plain(), noted()
    assert repr(found) == repr(expected)


def test_a_part_is_known_by_what_it_was_cut_from() -> None:
    source = (
        "def f(v):\n    return v.strip(';'), v[1:], v.replace('a', 'b'), v[:1], v[:2].strip(';')\n"
    )
    called, provenance = function(source)
    text = "".join([";xa", "y;"])
    stripped, cut, replaced, sign, short = called(text)
    assert provenance.of(stripped) == (stripped, DERIVED, (text,), 1)
    assert provenance.of(cut) == (cut, DERIVED, (text,), 1)
    assert provenance.of(replaced) == (replaced, REPLACED, (text, "a", "b"), 0)
    assert provenance.of(sign) == (sign, DERIVED, (text,), 1)
    assert provenance.of(short) is None or short == "x"


def test_a_sign_that_is_a_letter_takes_no_note() -> None:
    called, provenance = function("def f(v):\n    return [w[:1] for w in v]\n")
    called(["ab", "cd", "7x"])
    assert not provenance._waiting
    called([";b"])
    assert len(provenance._waiting) == 1


def test_nothing_stays_in_the_names() -> None:
    source = (
        "class A:\n    def __init__(self): self.k = self\n"
        "    def strip(self, a): return 1\n    def startswith(self, a): return False\n"
        "def f(make):\n    d = {'k': 1}\n    x = make().strip('a'), make().startswith('a'), make() == 'a', make()[1:]\n"
        "    return x, [t for t in (yield_() for yield_ in ())], held()\n"
    )
    made: list[Any] = []

    class Own:
        def strip(self, _: str) -> int:
            return 1

        def startswith(self, _: str) -> bool:
            return False

        def __getitem__(self, _: object) -> int:
            return 1

    def make() -> Own:
        own = Own()
        made.append(weakref.ref(own))
        return own

    def held() -> list[object]:
        gc.collect()
        return [ref() for ref in made if ref() is not None]

    called, _ = function(source)
    called.__globals__["held"] = held
    assert called(make)[2] == []


def test_what_is_equal_in_many_objects_is_kept_of_few() -> None:
    called, provenance = function("def f(rows):\n    return [r['k'] == 'name' for r in rows]\n")
    assert all(called([{"k": "".join(["na", "me"])} for _ in range(9)]))
    how, collections = provenance.check_of("name")
    assert how == "member" and type(collections) is Several and len(collections) == 4


def test_what_is_found_again_in_the_same_is_noted_once() -> None:
    called, provenance = function(
        "A = {'name'}\nB = ['name']\ndef f(v):\n    return [v in A, v in A, v in B, v not in A]\n"
    )
    assert called("name") == [True, True, True, False]
    how, collections = provenance.check_of("name")
    assert how == "member" and list(collections) == [{"name"}, ["name"]]
