"""Who may not is told so before anything that costs something is done."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import casemate.api

_FINDS = {
    "call.service.control.recorded": "whose a record is, it says itself",
    "monitor.incident": "what it is about is what rights are needed on",
    "call.service.monitor.incident": "likewise",
    "monitor.finding": "likewise; no more than MAX_FINDINGS of an incident",
}
"""What is waited for before rights are asked for, and why they cannot be asked for without it."""


_ASKS = ("call.require", "service.require", "call.service.require", "_require")


def _before_rights(function: ast.AsyncFunctionDef) -> list[str]:
    """Return what is waited for before rights are asked for, where they are."""
    asks = [
        node.lineno
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _ASKS
    ]
    if not asks:
        return []
    awaited = [node for node in ast.walk(function) if isinstance(node, ast.Await)]
    return [
        ast.unparse(each.value.func)
        for each in awaited
        if isinstance(each.value, ast.Call) and each.lineno < min(asks)
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("async def f(o, call):\n await build(o)\n call.require(a, b)", ["build"]),
        ("async def f(o, call):\n call.require(a, b)\n await build(o)", []),
        ("async def f(o, call):\n await build(o)", []),
        ("async def f(o, call):\n x = await sbom(o)\n _require([x], call)", ["sbom"]),
    ],
)
def test_what_comes_before_rights_is_found(text: str, found: list[str]) -> None:
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.AsyncFunctionDef)
    assert _before_rights(function) == found


def test_nothing_but_what_rights_depend_on_is_waited_for_before_they_are_asked_for() -> None:
    wrong, asking = [], 0
    for path in sorted(Path(casemate.api.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.AsyncFunctionDef) or not any(
                ast.unparse(each).startswith("performs(") for each in node.decorator_list
            ):
                continue
            asking += "require(" in ast.unparse(node)
            wrong += [
                f"{path.name}:{node.name}: {each}"
                for each in _before_rights(node)
                if each not in _FINDS
            ]
    assert not wrong, f"ask for rights first, or say why not: {wrong}"
    assert asking > 10
