"""What is written into functions instead of called does what the code said, and is noted."""

# ruff: noqa: E501

from __future__ import annotations

import ast
import asyncio
import builtins
import gc
import textwrap
import weakref
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from casemate.guard.inlining import MAX_INLINE, MAX_TURNED, PREFIX, SUFFIX
from casemate.guard.names import NAMES
from casemate.guard.notes import DERIVED, JOINED
from casemate.guard.provenance import Provenance
from casemate.guard.quick import MAX_CUT_FROM, MAX_SHORT
from casemate.guard.rewriting import rewrite
from unit.guard.test_guard_rewriting import SNIPPETS


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


def function(source: str, name: str = "f", *, noted: bool = True) -> Any:
    tree = ast.parse(textwrap.dedent(source))
    namespace: dict[str, Any] = {"__name__": "own"}
    exec(compile(rewrite(tree) if noted else tree, "own.py", "exec"), namespace)
    return namespace[name]


@pytest.mark.parametrize("name", sorted(SNIPPETS.keys() - {"global", "nonlocal"}))
def test_the_result_is_the_same_in_a_function(name: str) -> None:
    body = textwrap.indent(SNIPPETS[name].replace("\n'''", "'''"), "    ")
    source = f"def f():\n{body}\n    return r\n"
    plain, noted = function(source, noted=False)(), function(source)()
    assert noted == plain
    assert type(noted) is type(plain)


SAME = {
    "texts in texts": "def f():\n    return f'{1}-{f\"{2}+{3}\"}-{(f\"{4}{5}\" + f\"{6}{7}\").strip()}-{8}'",
    "turned inside a text": "def f():\n    x = ' A '\n    return f'{x.strip()}{x.lower()}|{f\"{x.upper()}!\".strip()}'",
    "turned of turned": "def f():\n    return f'{1} a '.strip().title().swapcase()",
    "a list": "def f():\n    return [f'{a}:{b.strip()}' for a in 'xy' for b in (' p', 'q ') if a in ('x', 'y')]",
    "a set and a dict": "def f():\n    return ({f'{a}.' for a in 'xy'}, {f'{a}k': a.upper() for a in 'xy'})",
    "a generator": "def f():\n    return list(f'{a}:{a.upper()}' for a in 'xy')",
    "where items come from": "def f():\n    return [x for x in f'{1}{2}' for y in [x.strip()] for z in (lambda: f'{y}!')()]",
    "lambdas": "def f():\n    return [g('a') for g in (lambda v: f'<{v.upper()}>', lambda v, w=f'{1}{2}': v + w)]",
    "lambda in a generator": "def f():\n    return list(g('a') for g in (lambda v: f'<{v.upper()}>',))",
    "a class": "def f():\n    class A:\n        x = f'{1}{2}'.strip()\n        y = [c.upper() for c in 'ab']\n        z = 'a' in ('a', 'b')\n    return {k: v for k, v in vars(A).items() if k[0] != '_'}",
    "a class without names": "class A:\n    x = f'{1}{2}'.strip()\n    def g(self): return sorted(vars(A))\ndef f():\n    return [k for k in A().g() if 'casemate' in k]",
    "defaults and decorators": "def f():\n    def d(t): return lambda g: lambda: g() + t\n    @d(f'{1}{2}'.strip())\n    def g(a=f'{3}{4}'.lower()): return a\n    return g()",
    "its own locals": "def f(a=1):\n    b = f'{a}{a}'.strip()\n    return locals()",
    "others see its locals": "def f(a=1):\n    b = f'{a}{a}'.strip()\n    return sorted(vars()), dir(), eval('b')",
    "no text": "class A:\n    def strip(self): return ['x']\n    def lower(self): return 'l'\ndef f():\n    return (A().strip(), A().lower(), b' a '.strip(), b'A'.lower())",
    "a text's own type": "class T(str):\n    def strip(self): return 'own'\ndef f():\n    return (T(' a ').strip(), T(' A ').lower(), type(T('a').lower()))",
    "names that hide others": "def f(len=1, type=2, str=3):\n    return f'{len}{type}{str}'.strip() + (' A '.lower())",
    "members": "def f():\n    out = []\n    for x in ['a', 'b', 'c', 1, None, ['a']]:\n        out += [x in ('a', 'b'), x not in ('a', 'b'), {'k': x}['k'] in ('a',)]\n    return out",
    "a flag after a docstring": "def f():\n    'text'\n    return ('a' + '') in ('a', 'b'), f.__doc__",
    "nothing but a docstring": "def f():\n    'text'\ng = f\ndef f():\n    return g(), g.__doc__",
    "no hash": "class A:\n    def __eq__(self, other): return other == 'a'\ndef f():\n    x = A()\n    return [x in ('a', 'b'), x in ('b',), x not in ('a', 'b')]",
    "yield": "def g():\n    x = f'{(yield 1)}{(yield 2)}'.strip()\n    yield x\ndef f():\n    i = g()\n    return [next(i), i.send('a'), i.send('b')]",
    "only formatted": "def f():\n    n = ' ab '.strip().title()\n    return f'{n:>6}|{n:<6}|'",
    "formatted and changed": "def f():\n    n = ' ab '.strip()\n    n += 'c'\n    return f'{n:>6}|'",
    "errors": "def f():\n    try:\n        return f'{1}{None.strip()}'\n    except AttributeError as e:\n        return str(e)",
    "long": "def f():\n    x = 'a ' * 3000\n    return [f'<{x}>', x.strip(), x.strip().upper(), b' a'.strip() + x.encode().strip()]",
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_it_does_what_the_code_said(name: str) -> None:
    plain, noted = function(SAME[name], noted=False), function(SAME[name])
    for _ in range(3):
        assert noted() == plain()


def test_a_coroutine_among_others_keeps_its_parts() -> None:
    source = """
    import asyncio
    async def part(x, n):
        for _ in range(n):
            await asyncio.sleep(0)
        return x
    async def one(x, n):
        parts = [f"{await part(x, n)}-{await part(x, 2)}!".lower() for _ in range(3)]
        return f"{await part(x, n)}/{await part(x, 1)}" + parts[2]
    async def f():
        return await asyncio.gather(*(one(f"X{n}", n) for n in range(9)))
    """
    assert asyncio.run(function(source)()) == [f"X{n}/X{n}x{n}-x{n}!" for n in range(9)]


def test_threads_keep_their_parts() -> None:
    source = """
    import threading
    def one(n, out):
        for k in range(3000):
            text = f"{n}:{k}".upper()
            if text != str(n) + ":" + str(k):
                out.append(text)
    def f():
        out = []
        threads = [threading.Thread(target=one, args=(n, out)) for n in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
        return out
    """
    assert function(source)() == []


def test_a_text_is_noted_with_its_parts(provenance: Provenance) -> None:
    value = "".join(["x", "y"])
    text = function("def f(v, n):\n    return f'a {v}: {n:>3}.'")(value, 7)
    made = provenance.of(text)
    assert made is not None
    assert (made.kind, made.parts, made.constant) == (
        JOINED,
        ("a ", "xy", ": ", "  7", "."),
        0b10101,
    )
    assert made.parts[1] is value


class Money:
    """A class of Python whose format has an effect."""

    def __init__(self, text: str) -> None:
        self.text, self.formatted = text, 0

    def __format__(self, specification: str) -> str:
        self.formatted += 1
        return self.text


@pytest.mark.parametrize(
    ("value", "specification", "part"),
    [
        *(("x' OR", ">9", "    x' OR"), ("abcdef", "<3", "abcdef"), (7.125, ".2f", "7.12")),
        *((-3, "d", "-3"), (Decimal("1.50"), ">6", "  1.50"), (Money("x' OR"), ">3", "x' OR")),
    ],
)
def test_what_is_formatted_is_made_again_when_it_is_asked_for(
    provenance: Provenance, value: Any, specification: str, part: str
) -> None:
    make = function(f"def f(v, w):\n    return f'a {{v:{specification}}}|{{w:>4}}.'")
    text = make(value, "b'")
    made = provenance.of(text)
    assert made is not None
    assert (made.kind, made.parts, made.constant) == (
        JOINED,
        ("a ", part, "|", "  b'", "."),
        0b10101,
    )
    if isinstance(value, Money):
        assert value.formatted == 1, "what a class does when it is formatted is done once"
    if part is value or part == value:
        assert made.parts[1] is value


def test_of_two_that_cannot_be_formatted_again_the_other_parts_are_known(
    provenance: Provenance,
) -> None:
    value = "".join(["x'", " OR"])
    first, second = Money("1"), Money("2")
    text = function("def f(v, a, b):\n    return f'{v} {a:>3}{b:>3}'")(value, first, second)
    made = provenance.of(text)
    assert made is not None
    assert (made.kind, made.parts) == (DERIVED, (value,))
    assert (first.formatted, second.formatted) == (1, 1)


@pytest.mark.parametrize("specification", [">{n}", ".3", "%Y", "!r:>9", "*^9.1"])
def test_the_text_of_any_other_format_is_noted(specification: str) -> None:
    colon = "" if specification[0] == "!" else ":"
    source = f"def f(v, n):\n    return f'a {{v{colon}{specification}}}'"
    assert "('a ', None)" in ast.unparse(rewrite(ast.parse(source)))


def test_a_name_that_its_own_text_sets_is_not_read_again(provenance: Provenance) -> None:
    text = function("def f(v):\n    return f'{v:>3}{(v := \"b\")}'")("a")
    made = provenance.of(text)
    assert text == "  ab"
    assert made is not None
    assert made.parts == ("  a", "b")


def test_what_is_stripped_of_nothing_takes_no_note(provenance: Provenance) -> None:
    strip = function("def f(v):\n    return [x.strip() for x in v]")
    assert strip(["a", "bc", "x' OR"] * 9) == ["a", "bc", "x' OR"] * 9
    assert not provenance._waiting
    strip([" a b"])
    assert len(provenance._waiting) == 1


def test_a_long_text_is_noted_as_well(provenance: Provenance) -> None:
    value = "x" * (MAX_INLINE + 1)
    text = function("def f(v):\n    return f'a {v}'")(value)
    made = provenance.of(text)
    assert made is not None
    assert (made.kind, made.parts, made.constant) == (JOINED, ("a ", value), 0b01)


@pytest.mark.parametrize("size", [9, MAX_TURNED, MAX_TURNED + 1, MAX_CUT_FROM + 1])
def test_each_step_of_a_chain_is_known(provenance: Provenance, size: int) -> None:
    value = " " + "a" * (size - 2) + " "
    text = function("def f(v):\n    return v.strip().upper().lower()")(value)
    chain = [text]
    while (made := provenance.of(chain[-1])) is not None:
        assert made.kind == DERIVED
        chain.append(made.parts[0])
    assert chain == [value.strip(), value.strip().upper(), value.strip(), value]
    assert chain[-1] is value


def test_what_a_method_returns_as_it_is_keeps_its_note(provenance: Provenance) -> None:
    text = function("def f(v):\n    t = f'<{v}>'\n    return t.strip()")("x")
    made = provenance.of(text)
    assert made is not None
    assert made.kind == JOINED


def test_bytes_are_noted(provenance: Provenance) -> None:
    value = b" ab "
    made = provenance.of(function("def f(v):\n    return v.strip()")(value))
    assert made is not None
    assert made.parts == (value,)


def test_what_was_found_is_known_whichever_way_it_is_written(provenance: Provenance) -> None:
    find = function("def f(r):\n    for x in r:\n        if x['k'] in ('a', 'b', 'c'): pass")
    find([{"k": text} for text in ("b", "b", "z", "a", "b")])
    assert provenance.check_of("a") == ("member", ("a", "b", "c"))
    assert provenance.check_of("b") == ("member", ("a", "b", "c"))
    for text in ("c", "z"):
        assert provenance.check_of(text) == ("", None)
    find([{"k": "c"}])
    assert provenance.check_of("c") == ("member", ("a", "b", "c"))


def test_what_was_found_is_forgotten_with_the_invocation(provenance: Provenance) -> None:
    find = function("def f(*texts):\n    return [x in ('a', 'b') for x in texts]")
    assert find("a", "b", "a") == [True, True, True]
    provenance.end()
    provenance.begin()
    assert provenance.check_of("a") == ("", None)
    find("a")
    assert provenance.check_of("a")[0] == "member"


def test_the_ring_holds_no_more_than_before() -> None:
    assert MAX_INLINE == MAX_SHORT
    assert MAX_TURNED <= MAX_CUT_FROM


def test_a_function_keeps_nothing_large_alive() -> None:
    class Text(str):
        __slots__ = ("__weakref__",)

        def strip(self, chars: str | None = None, /) -> str:
            return "ab"

    source = """
    def f(make, look):
        make().strip()
        look()
    """
    made: list[weakref.ref[Text]] = []

    def make() -> Text:
        text = Text("x" * 100_000)
        made.append(weakref.ref(text))
        return text

    def look() -> None:
        gc.collect()
        assert made[0]() is None

    function(source)(make, look)


def test_there_are_never_more_names_than_are_allowed() -> None:
    parts = "".join(f"{{v[{n}]}}," for n in range(100))
    code = function(f"def f(v):\n    return f'{parts}'")
    assert code(list("ab" * 50)).count(",") == 100
    many = function("def f(v):\n" + "\n".join(f"    v in ('a{n}', 'b')" for n in range(100)))
    assert len(many.__code__.co_varnames) < 40


def test_a_name_that_is_only_formatted_costs_no_note() -> None:
    source = "def f(v):\n    n = v.strip().title()\n    return f'{n:>5}'"
    assert PREFIX + "note" not in ast.unparse(rewrite(ast.parse(source)))
    for use in ("n", "(n,)", "f'{n}!'", "f'{n!r:>5}' + n", "(lambda: n)()"):
        other = f"def f(v):\n    n = v.strip().title()\n    return f'{{n:>5}}', {use}"
        assert PREFIX + "note" in ast.unparse(rewrite(ast.parse(other)))


def test_a_flag_is_asked_for_in_one_step() -> None:
    source = "def f(r):\n    for x in r:\n        if x['k'] in ('a', 'b'): pass"
    made = ast.unparse(rewrite(ast.parse(source)))
    assert made.count("if __casemate_f0__ is None else x['k'] in ('a', 'b')") == 1
