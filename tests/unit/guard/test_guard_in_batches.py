"""Lists of lines that only their function has: the same is known of their texts as of any others."""

# ruff: noqa: E501

from __future__ import annotations

import ast
import builtins
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.guard import scopes
from casemate.guard.generations import MAX_BATCH, MAX_NOTED, MAX_PENDING
from casemate.guard.in_batches import private_lists
from casemate.guard.inlining import PREFIX, SUFFIX
from casemate.guard.names import NAMES
from casemate.guard.notes import JOINED
from casemate.guard.provenance import Provenance
from casemate.guard.quick import MAX_SHORT
from casemate.guard.rewriting import rewrite

LINES = """
def f(rows, sep="unused"):
    lines = [f"# {len(rows)} rows", ""]
    for row in rows:
        name = row["name"].strip()
        lines.append(f"- {row['id']:>4} {name:<6}: {row['city']}")
        lines.append("")
    return "|".join(lines)
"""


@pytest.fixture
def provenance() -> Iterator[Provenance]:
    with noting() as made:
        yield made


class noting:
    """A provenance that rewritten code finds."""

    def __enter__(self) -> Provenance:
        self.made = Provenance()
        for name in NAMES:
            setattr(builtins, f"{PREFIX}{name}{SUFFIX}", getattr(self.made, name))
        self.made.begin()
        return self.made

    def __exit__(self, *_: object) -> None:
        self.made.end()
        for name in NAMES:
            delattr(builtins, f"{PREFIX}{name}{SUFFIX}")


def tree(source: str) -> ast.Module:
    return ast.parse(textwrap.dedent(source))


def function(source: str, *, noted: bool = True) -> Any:
    made = tree(source)
    namespace: dict[str, Any] = {"__name__": "own"}
    exec(compile(rewrite(made) if noted else made, "own.py", "exec"), namespace)
    return namespace["f"]


def batches(source: str) -> list[str]:
    (defined,) = tree(source).body
    assert isinstance(defined, (ast.FunctionDef, ast.AsyncFunctionDef))
    return list(private_lists(defined))


def known(notes: Provenance) -> list[tuple[Any, ...]]:
    """What a sink can ask: texts with how they were made, in the order in which they were."""
    return [note[:4] for note in notes.since((-1, 0))[0]]


def test_what_a_loop_appends_is_known_once_it_is_joined(provenance: Provenance) -> None:
    rows = [{"id": n, "name": f" n{n}' ", "city": "".join(["O", "slo"])} for n in range(3)]
    text = function(LINES)(rows)
    assert text == function(LINES, noted=False)(rows)
    whole = provenance.of(text)
    assert whole is not None
    first = whole.parts[4]  # between separators: a head, nothing, the first line
    made = provenance.of(first)
    assert made is not None
    assert (made.kind, made.constant) == (JOINED, 0b010101)
    assert made.parts == ("- ", "   0", " ", "n0'   ", ": ", "Oslo")
    assert made.parts[-1] is rows[0]["city"]


def test_nothing_is_taken_text_by_text(provenance: Provenance) -> None:
    rows = [{"id": n, "name": "a", "city": "b"} for n in range(900)]
    function(LINES)(rows)
    assert len(provenance._waiting) < 5


NOT_PRIVATE = {
    "returned": "def f(r):\n    l = []\n    for x in r:\n        l.append(f'a{x}')\n    ''.join(l)\n    return l",
    "read": "def f(r):\n    l = []\n    for x in r:\n        l.append(f'a{x}')\n        print(l[-1])\n    return ''.join(l)",
    "given on": "def f(r):\n    l = []\n    g(l)\n    for x in r:\n        l.append(f'a{x}')\n    return ''.join(l)",
    "another name": "def f(r):\n    l = m = []\n    for x in r:\n        l.append(f'a{x}')\n    return ''.join(l)",
    "given again": "def f(r):\n    l = []\n    for x in r:\n        l.append(f'a{x}')\n    l = [1]\n    return ''.join(l)",
    "only sometimes": "def f(r, l):\n    if r:\n        l = []\n    for x in r:\n        l.append(f'a{x}')\n    return ''.join(l)",
    "a parameter": "def f(r, l):\n    l = []\n    for x in r:\n        l.append(f'a{x}')\n    return ''.join(l)",
    "in a closure": "def f(r):\n    l = []\n    def g(): return l\n    for x in r:\n        l.append(f'a{x}')\n    return ''.join(l)",
    "in a lambda": "def f(r):\n    l = []\n    for x in r:\n        l.append(f'a{x}')\n    return (lambda: ''.join(l))",
    "global": "def f(r):\n    global l\n    l = []\n    for x in r:\n        l.append(f'a{x}')\n    return ''.join(l)",
    "grown": "def f(r):\n    l = []\n    for x in r:\n        l.append(f'a{x}')\n    l += r\n    return ''.join(l)",
    "a comprehension's": "def f(r):\n    l = [x for x in r]\n    for x in r:\n        l.append(f'a{x}')\n    return ''.join(l)",
    "the result of append": "def f(r):\n    l = []\n    for x in r:\n        y = l.append(f'a{x}')\n    return ''.join(l)",
    "joined by what is not written": "def f(r, s):\n    l = []\n    for x in r:\n        l.append(f'a{x}')\n    return s.join(l)",
    "never joined": "def f(r):\n    l = []\n    for x in r:\n        l.append(f'a{x}')",
    "no loop": "def f(r):\n    l = []\n    l.append(f'a{r}')\n    return ''.join(l)",
    "an exception's": "def f(r):\n    l = []\n    for x in r:\n        l.append(f'a{x}')\n    try: g()\n    except E as l: pass\n    return ''.join(l)",
    "imported": "def f(r):\n    l = []\n    import x as l\n    for x in r:\n        l.append(f'a{x}')\n    return ''.join(l)",
    "matched": "def f(r):\n    l = []\n    match r:\n        case l: pass\n    for x in r:\n        l.append(f'a{x}')\n    return ''.join(l)",
    "deleted": "def f(r):\n    l = []\n    for x in r:\n        l.append(f'a{x}')\n    del l\n    return ''.join(l)",
}  # fmt: skip


@pytest.mark.parametrize("why", NOT_PRIVATE)
def test_a_list_that_anybody_else_may_see_is_no_such_list(why: str) -> None:
    assert batches(NOT_PRIVATE[why]) == []


def test_a_function_that_sees_its_own_names_has_no_such_list(provenance: Provenance) -> None:
    source = LINES.replace("    return", "    seen = sorted(locals())\n    return seen,")
    assert "casemate" not in str(function(source)([{"id": 1, "name": "a", "city": "b"}]))


SAME = {
    "no row": "def f():\n    l = []\n    for x in []:\n        l.append(f'a{x}')\n    return ''.join(l)",
    "joined twice": "def f():\n    l = ['h']\n    o = []\n    for x in 'abc':\n        l.append(f'<{x}>')\n        o = [*o, '.'.join(l)]\n    return o",
    "two lists": "def f():\n    l = []\n    m = []\n    for x in 'abc':\n        l.append(f'{x}{x}')\n        m.append(f'{x}!')\n    return '-'.join(l) + '+'.join(m)",
    "an error in between": "def f():\n    l = []\n    for x in ['a', None]:\n        try:\n            l.append(f'{x}{x.upper()}')\n        except AttributeError:\n            l.append(f'{x}?')\n    return ''.join(l)",
    "no text": "def f():\n    l = [1]\n    for x in 'ab':\n        l.append(f'{x}.')\n    try:\n        return ''.join(l)\n    except TypeError as e:\n        return str(e)",
    "yield": "def g():\n    l = []\n    for x in 'ab':\n        l.append(f'{(yield x)}/{(yield x)}')\n    yield ''.join(l)\ndef f():\n    i = g()\n    return [next(i), *(i.send(n) for n in range(4))]",
    "loops in loops": "def f():\n    l = []\n    for x in 'ab':\n        while len(x) < 3:\n            x = x + 'c'\n            l.append(f'{x:>4}|{(x + x).upper()}')\n    return ''.join(l)",
    "in with and match": "def f():\n    l = []\n    import contextlib\n    for x in 'ab':\n        with contextlib.suppress(ValueError):\n            match x:\n                case 'a':\n                    l.append(f'{x}1')\n                case _:\n                    l.append(f'{x}2')\n    return ''.join(l)",
    "a docstring": "def f():\n    'text'\n    l = []\n    for x in 'ab':\n        l.append(f'{x}1')\n    return ''.join(l), f.__doc__",
    "a method": "class A:\n    def g(self):\n        l = []\n        for x in 'ab':\n            l.append(f'{x}{self.h()}')\n        return ''.join(l)\n    def h(self): return sorted(vars(self))\ndef f():\n    return A().g()",
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_it_does_what_the_code_said(provenance: Provenance, name: str) -> None:
    assert "b0" in ast.unparse(rewrite(tree(SAME[name])))
    plain, noted = function(SAME[name], noted=False), function(SAME[name])
    for _ in range(3):
        assert noted() == plain()


ROW = st.fixed_dictionaries(
    {
        "id": st.integers() | st.text(max_size=5) | st.floats(),
        "name": st.text(max_size=9) | st.just("x" * 300) | st.just("a' OR"),
        "city": st.text(max_size=9) | st.none() | st.just("y" * MAX_SHORT),
    }
)


@settings(deadline=None, max_examples=60)
@given(st.lists(ROW, max_size=12), st.sampled_from(["", "if row['id']", "if len(row['name']) > 3"]))
def test_the_same_is_known_as_of_texts_that_are_noted_one_by_one(
    rows: list[dict[str, Any]], condition: str
) -> None:
    begin = f"{condition or 'if True'}:\n            lines.append"
    source = LINES.replace(">4}", "}").replace('lines.append(f"-', f'{begin}(f"-', 1)
    found = []
    own = scopes.private_lists
    for batched in (True, False):
        scopes.private_lists = own if batched else lambda _: {}  # type: ignore[attr-defined]
        try:
            with noting() as notes:
                text = function(source)(rows)
                assert ("b0" in ast.unparse(rewrite(tree(source)))) is batched
                found.append((text, sorted(known(notes), key=repr)))
        finally:
            scopes.private_lists = own  # type: ignore[attr-defined]
    assert found[0] == found[1]


def test_what_waits_is_bounded(provenance: Provenance) -> None:
    rows = [{"id": n, "name": "a", "city": "b"} for n in range(MAX_BATCH * 40)]
    function(LINES)(rows)
    assert provenance._listed <= MAX_BATCH * 16
    assert all(len(note[3]) <= MAX_BATCH for note in provenance._waiting if note[0] == ())
    assert len(known(provenance)) <= 2 * MAX_NOTED
    long = [{"id": 1, "name": "a", "city": "y" * (MAX_PENDING // 4)} for _ in range(5)]
    for _ in range(3):
        function(LINES)(long)
        assert provenance._pending <= 2 * MAX_PENDING


def test_outside_an_invocation_nothing_is_kept(provenance: Provenance) -> None:
    provenance.end()
    assert function(LINES)([{"id": 1, "name": "a", "city": "b"}])
    provenance.begin()
    assert known(provenance) == []
