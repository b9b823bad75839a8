"""Loops call what takes their notes by local names, and nothing else does."""

# ruff: noqa: E501

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from typing import Any

import pytest

from casemate.guard.inlining import PREFIX, SUFFIX
from casemate.guard.names import NAMES
from casemate.guard.provenance import Provenance
from casemate.guard.rewriting import rewrite

_OWN = {f"{PREFIX}own_note{SUFFIX}", f"{PREFIX}own_len{SUFFIX}"}


@pytest.fixture(autouse=True)
def provenance() -> Iterator[Provenance]:
    made = Provenance()
    for name in NAMES:
        setattr(builtins, f"{PREFIX}{name}{SUFFIX}", getattr(made, name))
    made.begin()
    yield made
    for name in NAMES:
        delattr(builtins, f"{PREFIX}{name}{SUFFIX}")


def function(source: str) -> Any:
    found: dict[str, Any] = {}
    tree = rewrite(ast.parse(source))
    exec(compile(tree, "own.py", "exec", dont_inherit=True), found)
    return found["f"]


def test_a_loop_takes_its_notes_by_local_names(provenance: Provenance) -> None:
    source = (
        "def f(rows):\n 'Doc.'\n out = []\n for row in rows:\n  out.append(f'a {row}')\n return out"
    )
    make = function(source)
    assert set(make.__code__.co_varnames) >= _OWN
    assert make.__doc__ == "Doc."
    made = make(["x" * 3, "y" * 3])
    assert made == ["a xxx", "a yyy"]
    assert all(provenance.of(text) is not None for text in made)


@pytest.mark.parametrize(
    "source",
    [
        "def f(row): return f'a {row}'",
        "def f(rows): return [f'a {row}' for row in rows]",
        "def f(rows):\n for row in rows:\n  yield lambda: f'a {row}'",
        "def f(rows):\n for row in rows:\n  def g(): return f'a {row}'\n return g",
        "def f(rows):\n for row in rows: pass",
    ],
)
def test_what_is_in_no_loop_or_has_its_own_names_does_not(source: str) -> None:
    assert not _OWN & {
        *function(source).__code__.co_varnames,
        *function(source).__code__.co_cellvars,
    }


@pytest.mark.parametrize(
    "source",
    [
        "def f(n):\n out = []\n while n:\n  n -= 1\n  out.append(f'{n}-{n}')\n return out",
        "def f(n):\n out = []\n for i in range(n):\n  out += [(lambda: f'{i}-{i}')(), f'{i}:{i}']\n return out",
        "def f(n):\n out = []\n for i in range(n):\n  for j in range(i): out.append(f'{i}-{j}')\n return out",
        "def f(n):\n def g():\n  for i in range(n): yield f'{i}-{i}'\n return list(g())",
    ],
)
def test_it_does_what_the_code_said(source: str) -> None:
    plain: dict[str, Any] = {}
    exec(source, plain)
    assert function(source)(4) == plain["f"](4)
