"""What storms say to the product can be said: nobody runs them for days, and they start with it.

Command lines, paths of the API, manifests, settings and imports are read, not run.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from casemate.api.app import document
from casemate.cli.main import app
from casemate.manifest import load
from casemate.manifest.problem import ManifestError
from casemate.monitor.settings import read_settings
from support.egress import TestAuthority

TESTS = Path(__file__).parents[1]
SAID = {"quiet": "22:00-07:00", "more": "", "name": "team"}
"""What stands for something in settings; all else is a number."""
_BASE = "/api/v1"
_HOLE = "{}"
_NOT_HERE = re.compile(r'found no such file|which does not exist|found "\{')
"""Mistakes of a manifest without its folder, or with something yet to be put in."""


def is_storm(path: Path) -> bool:
    return "mark.storm" in path.read_text() and path != Path(__file__)


STORMS = sorted(
    path
    for folder in ("acceptance", "integration", "security", "unit")
    for path in (TESTS / folder).rglob("test_*.py")
    if is_storm(path)
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def texts(path: Path) -> Iterator[str]:
    """Yield the texts that stand in a module, with a hole for what is put in."""
    for node in ast.walk(tree(path)):
        if (text := text_of(node)) is not None:
            yield text


def text_of(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or _HOLE for part in node.values)
    return None


def words_of(arguments: list[ast.expr]) -> Iterator[str]:
    for one in arguments:
        value = one.value if isinstance(one, ast.Starred) else one
        if isinstance(value, ast.Tuple | ast.List):
            yield from words_of(value.elts)
        else:
            yield text_of(value) or _HOLE


def command_lines(path: Path) -> Iterator[list[str]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "casemate":
            yield list(words_of(node.args[1:]))


def wrong(words: list[str]) -> str:
    """Return why `casemate` would not take a command line; what is put in is not looked at."""
    command, rest = typer.main.get_command(app), list(words)
    while getattr(command, "list_commands", None) is not None:
        if not rest or rest[0] == _HOLE:
            return ""
        context = command.make_context("casemate", [], resilient_parsing=True)
        below = command.get_command(context, rest.pop(0))
        if below is None:
            return f"there is no such command: {words}"
        command = below
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    strange = [word for word in rest if word.startswith("--") and word not in {*known, "--help"}]
    return f"it has no {strange}: {words}" if strange else ""


@cache
def paths() -> list[list[str]]:
    return [path.removeprefix(_BASE).split("/") for path in document()["paths"]]


def is_there(path: str) -> bool:
    """Tell whether a path is one, or the beginning of one: the rest may be put behind it."""
    parts = path.partition("?")[0].rstrip("/").split("/")
    return any(
        len(parts) <= len(known)
        and all(
            _HOLE in a or b.startswith("{") or a == b for a, b in zip(parts, known, strict=False)
        )
        for known in paths()
    )


def asked(path: Path) -> Iterator[str]:
    """Yield the paths of the API that a module names."""
    for text in texts(path):
        if _BASE + "/" in text and "\n" not in text and " " not in text:
            yield text.partition(_BASE)[2]
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") != "get":
            continue
        text = text_of(node.args[0]) if node.args else None
        # A client of its own is given whole addresses.
        if text is not None and text.startswith("/") and getattr(node.func.value, "id", ""):
            yield text


@pytest.mark.parametrize("path", STORMS, ids=lambda path: path.stem)
def test_commands_and_paths_exist(path: Path) -> None:
    assert [why for words in command_lines(path) if (why := wrong(words))] == []
    assert [one for one in asked(path) if not is_there(one)] == []


@pytest.mark.parametrize("path", STORMS, ids=lambda path: path.stem)
def test_manifests_can_be_read(path: Path, tmp_path: Path) -> None:
    for node in tree(path).body:
        text = text_of(node.value) if isinstance(node, ast.Assign) else None
        if text is None or "[project]" not in text or not is_toml(text):
            continue
        (tmp_path / "casemate.toml").write_text(text)
        assert [one for one in mistakes(tmp_path) if not _NOT_HERE.search(one)] == []


def mistakes(folder: Path) -> list[str]:
    try:
        load(folder / "casemate.toml")
    except ManifestError as error:
        return [line for line in str(error).splitlines() if "casemate.toml:" in line]
    return []


def is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False  # something is put in
    return True


@pytest.mark.parametrize("path", STORMS, ids=lambda path: path.stem)
def test_settings_of_alerts_can_be_read(path: Path, tmp_path: Path) -> None:
    for text in texts(path):
        if not text.startswith(("\n[alerts.", "\n[deadman]")):
            continue
        if "authority.pem" in text:
            (tmp_path / "authority.pem").write_bytes(TestAuthority().path.read_bytes())
        said = re.sub(r"\{(\w+)[^}]*\}", lambda found: SAID.get(found[1], "1"), text)
        (tmp_path / "node.toml").write_text(said)
        read_settings(tmp_path / "node.toml")


@pytest.mark.parametrize("path", STORMS, ids=lambda path: path.stem)
def test_what_programs_of_other_processes_import_is_there(path: Path) -> None:
    named = {one for text in texts(path) if "casemate." in text for one in imported(text)}
    assert [one for one in sorted(named) if not can_be_imported(*one)] == []


def imported(text: str) -> Iterator[tuple[str, str]]:
    """Yield what the text of a program imports of the product, and of what tests share."""
    try:
        program = ast.parse(text)
    except SyntaxError:
        return
    for node in ast.walk(program):
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        # A function's own package of that name is another one.
        if module.startswith(("casemate.", "support.")):
            yield from ((module, one.name) for one in node.names)


def can_be_imported(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name) or bool(
            importlib.util.find_spec(f"{module}.{name}")
        )
    except ImportError:
        return False


def test_what_is_not_there_is_found() -> None:
    assert len(STORMS) > 100
    assert can_be_imported("casemate.cli", "serving") and can_be_imported(
        "support.node", "TestNode"
    )
    assert not can_be_imported("casemate.cli", "x") and not can_be_imported("casemate.x", "y")
    assert sum(1 for path in STORMS for text in texts(path) for _ in imported(text)) > 15
    assert wrong(["tune", "x", "--nonsense"]) and wrong(["nothing"])
    assert not wrong(["tune", _HOLE, "--json"])
    assert is_there("/functions/x/y") and is_there("/functions/x?y=z") and is_there("/{}/x/y")
    assert not is_there("/functionz/x/y") and not is_there("/functions/x/y/z/a/b/c/d")
    assert sum(1 for path in STORMS for _ in asked(path)) > 200
    assert sum(1 for path in STORMS for _ in command_lines(path)) > 100


def test_a_tree_of_calls_is_read() -> None:
    said: Any = ast.parse('casemate(node, "tune", *("--json", name), f"{a}b")').body[0]
    assert list(words_of(said.value.args[1:])) == ["tune", "--json", _HOLE, "{}b"]
