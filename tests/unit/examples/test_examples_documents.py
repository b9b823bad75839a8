"""Documents that cannot drift: links lead somewhere, and what they show is what there is."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from casemate.cli import template
from casemate.cli.main import ENTRIES

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted(
    path
    for folder, pattern in (
        (ROOT, "*.md"),
        (ROOT / "docs", "**/*.md"),
        (ROOT / "examples", "**/*.md"),
    )
    for path in folder.glob(pattern)
    if path.parent.name != "data"
)
TUTORIAL = (ROOT / "docs/tutorial/first-function.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [body for kind, body in FENCE.findall(text) if kind == language]


def anchors(text: str) -> set[str]:
    """Return the anchors that the headings of a document get where it is shown."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", FENCE.sub("", text))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), f"{path.relative_to(ROOT)} links to {target}"
        assert found.is_relative_to(ROOT)
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found.read_text(encoding="utf-8")), target


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*/*"):
        if path.suffix in {".md", ".json"} and path.parent.name != "adr":
            assert f"]({path.relative_to(ROOT / 'docs')})" in index


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_are_shown_exist(path: Path) -> None:
    known = {entry.name for entry in ENTRIES}
    for block in blocks(path.read_text(encoding="utf-8"), "console"):
        for used in re.findall(r"(?:^\$ |&& )casemate ([a-z]+)", block, re.MULTILINE):
            assert used in known


def test_make_targets_that_are_shown_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets == {"help", "demo", "test", "lint", "bench", "docs"}
    for path in DOCUMENTS:
        for used in re.findall(r"\$ make (\w+)", path.read_text(encoding="utf-8")):
            assert used in targets


def test_make_help_names_every_target() -> None:
    done = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert re.findall(r"^make (\w+)", done.stdout, re.MULTILINE) == [
        "demo",
        "test",
        "lint",
        "bench",
        "docs",
    ]


@pytest.mark.parametrize("path", [".ci/run", "scripts/bootstrap"])
def test_scripts_can_be_run(path: str) -> None:
    assert os.access(ROOT / path, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / path], check=True)


def handler_of(code: str) -> Any:
    """Return the handler that a block of the tutorial defines."""
    names: dict[str, Any] = {}
    exec(compile(ast.parse(code), "tutorial", "exec"), names)
    return names["handler"]


def test_the_tutorial_begins_with_what_init_writes() -> None:
    assert blocks(TUTORIAL, "python")[0] == template.HANDLER


def test_the_tutorials_route_fits_the_manifest_that_init_writes() -> None:
    (route,) = blocks(TUTORIAL, "toml")
    manifest = tomllib.loads(template.files("hello")["casemate.toml"] + route)
    assert manifest["function"]["hello"]["http"] == [{"method": "GET", "path": "/hello/{name}"}]


def test_the_tutorials_handlers_do_what_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, greets, counts, fails = map(handler_of, blocks(TUTORIAL, "python"))
    context = SimpleNamespace(log=Mock())
    event = {"path_parameters": {"name": "Ada"}}
    assert first({"name": "Ada"}, context) == {"message": "Hello, Ada!"}
    assert greets(event, context)["body"] == "Hello, Ada!\n"
    monkeypatch.setattr("os.listdir", lambda _: [])
    monkeypatch.setitem(counts.__globals__, "open", lambda _path, _mode: (tmp_path / "x").open("w"))
    assert counts(event, context) == {"status": 200, "body": {"calls": 1, "in /tmp": []}}
    with pytest.raises(RuntimeError, match="swordfish"):
        fails(event, context)
