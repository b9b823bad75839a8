"""What an error says to do next is a sentence: it begins like one, and ends like one.

The steps are found in the source by where they are given: as `next_step`, by name or by place, as
what a function called `next_step` returns, and under the names that these refer to.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src/casemate"
NAMED = frozenset(("next_step", "if_gone", "if_late"))
"""How what is done next is called where it is handed on."""
RETURNED = re.compile(r"^_?next_step(_of)?$")
ENDS = (".", "?", "!", "`", "{}")
TYPED = (": ", ":\n", "such as ", "for example ", " --", "docs/")
"""What stands before what is to be typed or opened: a stop behind that would be, as well."""
LEAST = 1_200
"""Of steps that are to be found: fewer, and the test looks past them."""

_Scope = dict[str, list[ast.expr]]


def _assigned(tree: ast.AST) -> _Scope:
    """Return what each name is given in a module."""
    found: _Scope = {}
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else ()
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = (node.target,)
        for target in targets:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(node.value)  # type: ignore[attr-defined]
    return found


def _places(tree: ast.AST) -> dict[str, int]:
    """Return of functions and classes of a module where among what is given the step is."""
    found = {}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [each.arg for each in node.args.posonlyargs + node.args.args]
            names = names[1:] if names[:1] in (["self"], ["cls"]) else names
        elif isinstance(node, ast.ClassDef):
            fields = (each.target for each in node.body if isinstance(each, ast.AnnAssign))
            names = [each.id for each in fields if isinstance(each, ast.Name)]
        for name in NAMED.intersection(names):
            found[node.name] = names.index(name)  # type: ignore[attr-defined]
    return found


def _texts(node: ast.AST, scope: _Scope, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the texts that an expression can be, with `{}` for what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            parts = [
                each.value if isinstance(each, ast.Constant) else _filled(each, scope, seen)
                for each in values
            ]
            yield "".join(str(part) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            ends = list(_texts(right, scope, seen)) or ["{}"]
            yield from (one + end for one in _texts(left, scope, seen) for end in ends)
        case ast.IfExp(body=body, orelse=other):
            yield from (*_texts(body, scope, seen), *_texts(other, scope, seen))
        case ast.BoolOp(values=values):
            for each in values:
                yield from _texts(each, scope, seen)
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            yield from _texts(value, scope, seen)
        case ast.Name(id=name) if name not in seen:
            for each in scope.get(name, ()):
                yield from _texts(each, scope, seen | {name})


def _filled(node: ast.AST, scope: _Scope, seen: frozenset[str]) -> str:
    """Return what a place of a template is filled with, where that is one text of the source."""
    value = node.value if isinstance(node, ast.FormattedValue) else node
    found = list(_texts(value, scope, seen)) if isinstance(value, ast.Name) else []
    return found[0] if len(found) == 1 else "{}"


def _given(tree: ast.AST, places: dict[str, int]) -> Iterator[ast.AST]:
    """Yield the expressions that say what to do next."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=function, args=arguments, keywords=keywords):
                yield from (each.value for each in keywords if each.arg in NAMED)
                name = getattr(function, "id", getattr(function, "attr", ""))
                if len(arguments) > places.get(name, len(arguments)):
                    yield arguments[places[name]]
            case ast.FunctionDef(name=name) if RETURNED.match(name):
                ends = (each for each in ast.walk(node) if isinstance(each, ast.Return))
                yield from (each.value for each in ends if each.value is not None)


def steps() -> Iterator[tuple[str, str]]:
    """Yield each next step of the source with the module that gives it."""
    texts = {path: path.read_text() for path in sorted(SOURCE.rglob("*.py"))}
    trees = {
        path: ast.parse(text) for path, text in texts.items() if any(name in text for name in NAMED)
    }
    given = {path: list(_given(tree, _places(tree))) for path, tree in trees.items()}
    names = {
        each.id
        for found in given.values()
        for node in found
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and each.id.isupper()
    }
    shared: _Scope = {}
    for text in texts.values():
        if any(f"\n{name} = " in text or f"\n{name}: " in text for name in names):
            for name, values in _assigned(ast.parse(text)).items():
                if name in names:
                    shared.setdefault(name, []).extend(values)
    for path, found in given.items():
        own = {**shared, **_assigned(trees[path])}
        for node in found:
            for text in _texts(node, own):
                if text:
                    yield str(path.relative_to(SOURCE)), text


def _is_ended(text: str) -> bool:
    last = text.rpartition(". ")[2]
    return text.endswith(ENDS) or any(mark in last for mark in TYPED)


def test_every_next_step_is_a_sentence() -> None:
    found = sorted(set(steps()))
    assert len(found) > LEAST
    assert [each for each in found if each[1][0].islower()] == [], "begin with a capital letter"
    unended = [each for each in found if not _is_ended(each[1])]
    assert unended == [], "end with a full stop, or with what is to be typed behind a colon"
