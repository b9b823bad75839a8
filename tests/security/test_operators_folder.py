"""Where an operator stands is no place of modules: a folder of a stranger's must not run there."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import casemate
from support.node import TestNode

SOURCES = Path(casemate.__file__).parent
HOSTILE = """
import pathlib
pathlib.Path({marker!r}).touch()
raise SystemExit("a stranger's module was loaded")
"""


def _commands(tree: ast.AST) -> list[list[ast.expr]]:
    """Return what follows the interpreter in each list of words that begins with it."""
    return [
        node.elts[place + 1 :]
        for node in ast.walk(tree)
        if isinstance(node, ast.List | ast.Tuple)
        for place, word in enumerate(node.elts)
        if ast.unparse(word) == "sys.executable"
    ]


def test_each_interpreter_that_is_started_looks_for_modules_in_no_such_folder() -> None:
    found = {
        f"{path.relative_to(SOURCES)}: {ast.unparse(words[0])}"
        for path in SOURCES.rglob("*.py")
        for words in _commands(ast.parse(path.read_text("utf-8")))
        if words
    }
    allowed = ("'-I'", "'-P'", "flag")  # `flag` is one of the two (cli/serving.py)
    assert len(found) >= 5
    assert not {one for one in found if not one.endswith(allowed)}


@pytest.mark.timeout(120)
def test_a_node_that_is_started_in_a_strangers_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, marker = tmp_path / "stranger", tmp_path / "marker"
    folder.mkdir()
    for name in ("uvloop", "msgspec", "typer", "sitecustomize", "casemate/__init__"):
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(HOSTILE.format(marker=str(marker)))
    monkeypatch.chdir(folder)
    node = TestNode(tmp_path / "data")
    node.launcher = (str(Path(sys.executable).with_name("casemate")),)
    try:
        node.start()
        assert node.client.get(f"{node.url}/api/v1/health").status_code == 200
    finally:
        node.stop()
    assert not marker.exists()
