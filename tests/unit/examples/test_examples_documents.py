"""Documents that cannot drift: links lead somewhere, and what they show is what there is."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import typer
from typer.exceptions import Exit, TyperException

from casemate.cli import template
from casemate.cli.help import DocumentedGroup
from casemate.cli.main import ENTRIES, app
from casemate.cli.stubs import stub_text
from casemate.manifest import load
from casemate.model.errors import CasemateError

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


def test_a_decision_that_another_one_changes_says_so() -> None:
    decisions = {
        path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("docs/adr/0*.md")
    }
    for name, text in decisions.items():
        head = text.partition("\n## ")[0]
        changed = re.findall(r"^- (?:Amends|Supersedes)\b.*$", head, re.MULTILINE)
        for other in re.findall(r"\]\((0[^)]+)\)", "\n".join(changed)):
            assert name in decisions[other].partition("\n## ")[0], f"{other} does not name {name}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_are_shown_exist(path: Path) -> None:
    known = {entry.name for entry in ENTRIES}
    for block in blocks(path.read_text(encoding="utf-8"), "console"):
        for used in re.findall(r"(?:^\$ |&& )casemate ([a-z]+)", block, re.MULTILINE):
            assert used in known


def command_lines(text: str) -> list[list[str]]:
    """Return the words behind `casemate` of each command line that a document shows."""
    found = []
    for block in (*blocks(text, "console"), *blocks(text, "text"), *blocks(text, "")):
        whole = re.sub(r"\\\n\s*", "", block)
        for line in re.findall(r"^\s*(?:\$ |(?:# )?(?=casemate ))(.*)$", whole, re.MULTILINE):
            if line.count("'") % 2:
                continue  # no command line, but a drawing that begins with the word
            # A shell's operators are words of their own, and end what is a command's.
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = list(lexer)
            for at, word in enumerate(words):
                begins = at == 0 or set(words[at - 1]) <= set("&|;(") or "=" in words[at - 1]
                if word == "casemate" and begins:
                    ends = (n for n, one in enumerate(words[at:], at) if set(one) <= set("&|;()<>"))
                    found.append(words[at + 1 : next(ends, len(words))])
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_command_lines_that_are_shown_can_be_read(path: Path) -> None:
    """Options, their values and how many words a command takes; nothing is run."""
    root = typer.main.get_command(app)
    for words in command_lines(path.read_text(encoding="utf-8")):
        command, left, context = root, list(words), None
        while isinstance(command, DocumentedGroup) and left and left[0][:1] != "-":
            name = left.pop(0)
            context = command.context_class(command, parent=context, info_name=name)
            command = command.get_command(context, name)
            assert command is not None, words
        try:
            command.make_context("casemate", left, parent=context)
        except TyperException as error:
            assert "does not exist" in str(error), (words, error.format_message())
        except (CasemateError, Exit):
            pass  # it was read; what it names is not here, or all it does is print


def test_make_targets_that_are_shown_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCUMENTS:
        for used in re.findall(r"\$ make ([\w-]+)", path.read_text(encoding="utf-8")):
            assert used in targets


def test_make_help_names_every_target() -> None:
    done = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert re.findall(r"^make (\S+)", done.stdout, re.MULTILINE) == [
        "demo",
        "demo-cluster",
        "image",
        "test",
        "storm",
        "test-cluster",
        "storm-cluster",
        "lint",
        "bench",
        "bench-parts",
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


def signatures() -> dict[str, dict[str, str]]:
    """Return, by class of the stub, how its public methods are called: `get(key, *, x=None)`."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(stub_text()).body:
        if isinstance(node, ast.ClassDef):
            methods = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            found[node.name] = {
                method.name: called(method) for method in methods if method.name[0] != "_"
            }
    return found


def called(method: ast.FunctionDef) -> str:
    """Return a call with the names and defaults of a method's parameters."""
    arguments = method.args
    del arguments.args[0]
    for one in (*arguments.args, *arguments.kwonlyargs, arguments.kwarg):
        if one is not None:
            one.annotation = None
    return f"{method.name}({ast.unparse(arguments)})".replace("'", '"')


CONTEXT_PAGE = (ROOT / "docs/reference/context.md").read_text(encoding="utf-8")


def test_the_page_of_the_context_names_all_that_a_handler_can_import() -> None:
    for name in signatures():
        if name != "Log":
            assert f"`{name}`" in CONTEXT_PAGE or f"`{name}." in CONTEXT_PAGE, name


def test_the_page_of_the_context_shows_every_call_with_its_defaults() -> None:
    shown = signatures()
    for name in ("Bucket", "Table", "Context"):
        for method, call in shown[name].items():
            assert f"`{call}`" in CONTEXT_PAGE or f"`{method}`" in CONTEXT_PAGE, call
    for name in ("Queue", "Topic"):
        for call in shown[name].values():
            assert f"`{name}.{call}`" in CONTEXT_PAGE


@pytest.mark.parametrize("page", ["reference/context.md", "howto/write-a-function.md"])
def test_handlers_that_are_shown_are_python(page: str) -> None:
    for block in blocks((ROOT / "docs" / page).read_text(encoding="utf-8"), "python"):
        compile(block, page, "exec")


GRANTS_TUTORIAL = (ROOT / "docs/tutorial/grants.md").read_text(encoding="utf-8")


def test_the_manifests_of_the_tutorial_of_grants_are_valid(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/app.py").write_text(blocks(GRANTS_TUTORIAL, "python")[0])
    granted = []
    for block in blocks(GRANTS_TUTORIAL, "toml"):
        (tmp_path / "casemate.toml").write_text(block)
        granted.append([g.text for g in load(tmp_path / "casemate.toml").functions[0].grants])
    assert granted == [[], ["bucket letters", "secret seal-key"]]


def test_the_handler_of_the_tutorial_of_grants_seals_below_the_granted_prefix() -> None:
    for handler in map(handler_of, blocks(GRANTS_TUTORIAL, "python")):
        bucket = Mock()
        context = SimpleNamespace(secret=lambda _: "key", bucket=Mock(return_value=bucket))
        sealed = handler({"name": "ada", "text": "Dear Charles"}, context)["seal"]
        assert len(sealed) == 64
        bucket.put.assert_called_once_with(
            "sealed/ada.txt", "Dear Charles", metadata={"seal": sealed}
        )
