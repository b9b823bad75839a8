"""No error is its own cause: who follows it never comes to an end, and nobody lets go of it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest

import casemate

SOURCES = sorted(Path(casemate.__file__).parent.rglob("*.py"))


def returning_what_is_given(trees: Iterable[ast.AST]) -> set[str]:
    """Names that only functions have which may return an error that they are given."""
    may: set[str] = set()
    may_not: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                (may if returns_what_is_given(node) else may_not).add(node.name)
    return may - may_not


def returns_what_is_given(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    given = {
        each.arg
        for each in (*function.args.posonlyargs, *function.args.args)
        if each.annotation is not None
        and ast.unparse(each.annotation).endswith(("Error", "Exception"))
    }
    return any(
        isinstance(each, ast.Name) and each.id in given
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and node.value is not None
        for each in branches(node.value)
    )


def branches(value: ast.expr) -> Iterator[ast.expr]:
    if isinstance(value, ast.IfExp):
        yield from branches(value.body)
        yield from branches(value.orelse)
    elif isinstance(value, ast.Await):
        yield from branches(value.value)
    else:
        yield value


def own_causes(text: str, returning: set[str]) -> list[int]:
    """Lines on which an error may be raised from itself."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        asked = {
            ast.unparse(each.left)
            for each in ast.walk(node)
            if isinstance(each, ast.Compare) and isinstance(each.ops[0], ast.Is)
        }
        made = {
            each.targets[0].id: branch
            for each in ast.walk(node)
            if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
            for branch in branches(each.value)
        }
        for each in ast.walk(node):
            if not (isinstance(each, ast.Raise) and isinstance(each.cause, ast.Name)):
                continue
            for raised in branches(each.exc) if each.exc is not None else ():
                name = raised.id if isinstance(raised, ast.Name) else ""
                call = made.get(name, raised)
                passes = isinstance(call, ast.Call) and any(
                    isinstance(given, ast.Name) and given.id == each.cause.id for given in call.args
                )
                called = ast.unparse(cast(ast.Call, call).func) if passes else ""
                may_return = called.rpartition(".")[2] in returning and name not in asked
                if name == each.cause.id or may_return:
                    found.append(each.lineno)
    return found


@pytest.mark.parametrize(
    ("body", "is_own"),
    [
        ("raise error from error", True),
        ("raise other() if unsure else error from error", True),
        ("raise await told(error) from error", True),
        ("found = told(error)\n    raise found from error", True),
        (
            "made = told(error)\n    if made is error:\n        raise\n    raise made from error",
            False,
        ),
        ("raise Other(error) from error", False),
    ],
)
def test_what_is_looked_for_is_found(body: str, is_own: bool) -> None:
    text = f"try:\n    pass\nexcept OSError as error:\n    {body}\n"
    assert bool(own_causes(text, {"told"})) is is_own


def test_no_error_is_raised_from_itself() -> None:
    texts = {path: path.read_text() for path in SOURCES}
    returning = returning_what_is_given(map(ast.parse, texts.values()))
    found = [
        f"{path.relative_to(SOURCES[0].parent)}:{line}"
        for path, text in texts.items()
        for line in own_causes(text, returning)
    ]
    assert not found
