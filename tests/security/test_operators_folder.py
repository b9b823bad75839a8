"""Where an operator stands is no place of modules: a folder of a stranger's must not run there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import casemate
from support.node import TestNode

SOURCES = Path(casemate.__file__).parent
ROOT = Path(__file__).parents[2]
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


def test_the_action_of_github_installs_by_no_module_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in what it audits, a stranger's pull request as well."""
    action = yaml.safe_load((ROOT / "integrations/github-action/action.yml").read_text())
    checkout, temporary, programs = (tmp_path / name for name in ("checkout", "temporary", "bin"))
    for folder in (checkout, temporary, programs):
        folder.mkdir()
    marker = tmp_path / "marker"
    for name in ("pip.py", "runpy.py", "sitecustomize.py"):
        (checkout / name).write_text(HOSTILE.format(marker=str(marker)))
    (programs / "python3").symlink_to(sys.executable)
    (programs / "casemate").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("RUNNER_TEMP", str(temporary))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    scripts = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    for script in scripts:
        subprocess.run(["bash", "-c", script], cwd=checkout, check=False, capture_output=True)
    assert len(scripts) == 2
    assert not marker.exists()
