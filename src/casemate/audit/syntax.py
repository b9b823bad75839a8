"""The syntax of one file: all its nodes in one pass, how many there are, and how deep they go."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator, Sequence, Set
from itertools import islice
from typing import NamedTuple

_PLAIN = frozenset(
    (
        *("attr", "arg", "id", "module", "asname", "kind", "type_comment", "lineno", "tag"),
        *("level", "simple", "conversion", "is_async", "rest", "kwd_attrs"),
    )
)
"""Fields that never hold nodes."""
_LEAVES = (ast.Constant, ast.Global, ast.Nonlocal, ast.alias)
_KNOWN: dict[type[ast.AST], tuple[tuple[str, ...], int]] = {}
"""Of each kind of node: the fields that may hold others, and for how many it counts."""


class Syntax(NamedTuple):
    """What one pass over a tree tells."""

    tree: ast.Module
    nodes: tuple[ast.AST, ...]
    """Level by level, as `ast.walk` has them; without those that say load or store."""
    total: int
    """Of all nodes, with these."""
    depth: int


def syntax_of(tree: ast.Module) -> Syntax:
    """Walk a tree once: in half the time of `ast.walk`."""
    nodes: list[ast.AST] = []
    level: list[ast.AST] = [tree]
    depth = count = deepest = 0
    while level:
        depth += 1
        nodes += level
        below: list[ast.AST] = []
        add = below.append
        for node in level:
            names, weight = _fields(type(node))
            count += weight
            deepest = max(deepest, depth + weight - 1)
            for name in names:
                found = getattr(node, name, None)
                if isinstance(found, list):
                    below += [each for each in found if isinstance(each, ast.AST)]
                elif isinstance(found, ast.AST):
                    add(found)
        level = below
    return Syntax(tree, tuple(nodes), count, deepest)


def walk(node: ast.AST) -> list[ast.AST]:
    """Return a node and all that are below it, as `ast.walk` does, in a third of the time."""
    found = [node]
    for each in found:  # which grows meanwhile
        for name in _fields(type(each))[0]:
            held = getattr(each, name, None)
            if isinstance(held, list):
                found += [one for one in held if isinstance(one, ast.AST)]
            elif isinstance(held, ast.AST):
                found.append(held)
    return found


def above(nodes: Sequence[ast.AST], found: Set[int]) -> set[int]:
    """Return the ids of these nodes, and of all that they are in, in one pass over a file's.

    To walk down from each node that may hold one takes the square of how deep they go.
    """
    held = set(found)
    for node in reversed(nodes):  # what is within comes after what it is in
        if any(id(each) in held for each in _below(node)):
            held.add(id(node))
    return held


def first(node: ast.AST, most: int) -> Iterator[ast.AST]:
    """Yield a node and those below it, level by level, at most so many."""
    waiting = deque((node,))
    for _ in range(most):
        if not waiting:
            return
        each = waiting.popleft()
        yield each
        waiting.extend(islice(_below(each), most))


def _below(node: ast.AST) -> Iterator[ast.AST]:
    for name in _fields(type(node))[0]:
        held = getattr(node, name, None)
        if isinstance(held, list):
            yield from (each for each in held if isinstance(each, ast.AST))
        elif isinstance(held, ast.AST):
            yield held


def _fields(kind: type[ast.AST]) -> tuple[tuple[str, ...], int]:
    found = _KNOWN.get(kind)
    if found is None:
        every = () if kind in _LEAVES else kind._fields
        names = tuple(name for name in every if name not in _PLAIN and name != "ctx")
        found = _KNOWN[kind] = names, 2 if "ctx" in kind._fields else 1
    return found
