"""Each command that a message puts a name into can be run as it is printed."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from casemate.cli.main import app
from casemate.model.deployment import DeployedFunction

_SOURCE = Path(__file__).parents[3] / "src" / "casemate"
_PUT_IN = "PUT-IN"
_COMMAND = re.compile(r"(?<![\w./-])casemate ([a-z][a-z-]*(?=[ `;,.)]|$)[^`\n]*)")
_FROM_FILE = re.compile(r" \d?< .*")
_END = re.compile(
    r"[;)]|[,.](?= |$)|: |\|| (?:and|first|gives|has|in|lists|or|says|shows|stops|takes|tells|to"
    r"|which|with what|writes)\b"
)
"""Where a command ends that stands in a sentence without marks around it."""
_BY_PEOPLE = {
    **{"ADDRESS": "x", "FUNCTION": "cart", "OWNER": "ada", "ROLE": "developer", "SOURCE": "env:K"},
    **{"TEXT": "because", "TRIGGER": "queue-1", "VERSION": "3", "/...": "/pay", "...": "x"},
}
"""What is written in place of what stands for it."""
_OF_NO_FUNCTION = {
    **{"budget": "shop", "routes": "shop"},
    **{"alert": "a-rule", "can": "user:ada", "decoys": "shop", "detect": "a-rule"},
    **{"drill": "a1", "errors": "err_1", "findings": "a1", "incident": "inc_1", "journal": "1"},
    **{"keys": "a1", "login": "https://node.example", "nodes": "ada", "oidc": "ada"},
    **{"playbook": "ada", "recordings": "shop", "restrict": "a1", "serve": "a-loss"},
    **{"tokens": "ada", "trace": "a1", "users": "ada", "workloads": "ada"},
}
"""What is put in first, where that is no function."""
_FIRST = {"ID", "NAME", "PROJECT/NAME", "PROJECT/FUNCTION"}
_SECOND = {"decoys": "secret"}
_VALUES = {"--function": "shop/cart", "-i": "inv_1"}
"""What is put in behind an option."""
_OPTIONS = {
    "given": "--role developer",
    **dict.fromkeys(("trusted", "naming_option(base.ca)"), f" --ca-fingerprint {'0' * 64}"),
}
"""Expressions that are several words."""
_CAPITALS = re.compile(r"(?<![\w-])[A-Z]{2,}(?![\w-])")
_MAY_BE_SAID = re.compile("--yes|is there already|expected one of node:read")
_NOT_RUN = {
    "audit",
    "deploy",
    "dev",
    "doctor",
    "drill",
    "import",
    "login",
    "restore",
    "serve",
    "upgrade",
}
"""They start something, read folders, or ask whoever sits there."""


@cache
def advised() -> list[tuple[str, list[str]]]:
    """Return the commands of texts with something to put in, each with where it stands."""
    return list(_advised())


def _advised() -> Iterator[tuple[str, list[str]]]:
    for path in sorted(_SOURCE.rglob("*.py")):
        source = path.read_text()
        if "casemate " not in source:
            continue
        for node, text in _texts(ast.parse(source)):
            for command in _commands(text):
                if _PUT_IN in command or _CAPITALS.search(command):
                    yield f"{path.relative_to(_SOURCE)}:{node.lineno}", _filled(command)


def _texts(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    within = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node, "".join(map(_text, node.values))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in within
            # What has several lines is a help, an example or a page.
            and "\n" not in node.value
        ):
            yield node, node.value


def _text(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    value = part.value if isinstance(part, ast.FormattedValue) else part
    return _OPTIONS.get(ast.unparse(value), _PUT_IN)


def _commands(text: str) -> Iterator[str]:
    for found in _COMMAND.finditer(text):
        marked = text[: found.start()].count("`") % 2 == 1
        rest = found.group(1)
        end = None if marked else _END.search(rest)
        yield _FROM_FILE.sub("", rest[: end.start()] if end else rest).strip()


def _filled(text: str) -> list[str]:
    text = re.sub(rf"(?:{_PUT_IN})+", _PUT_IN, text)
    try:
        words = shlex.split(text)
    except ValueError:  # a quotation around a sentence of which it is the end
        words = text.split()
    listed = words[:2] == ["errors", "ls"]
    first = "shop/cart" if listed else _OF_NO_FUNCTION.get(words[0], "shop/cart")
    filled: list[str] = []
    for word in words:
        word = _BY_PEOPLE.get(word, word)
        if word == _PUT_IN or word in _FIRST:
            word, first = _VALUES.get(filled[-1]) or first, _SECOND.get(words[0], "3")
        elif _PUT_IN in word:
            first = _SECOND.get(words[0], "3")
        word = word.replace(f"{_PUT_IN}/{_PUT_IN}", "shop/cart").replace(_PUT_IN, "cart")
        filled.append(_CAPITALS.sub("x", word))
    return filled


@cache
def _root() -> Any:
    return typer.main.get_command(app)


def _wrong(words: list[str]) -> str:
    """Return why a command line is none that `casemate` takes, empty if it is one."""
    command, rest = _root(), list(words)
    while getattr(command, "list_commands", None) is not None:
        context = command.make_context("casemate", [], resilient_parsing=True)
        below = command.get_command(context, rest.pop(0)) if rest else None
        if below is None:
            return "there is no such command"
        command = below
    try:
        command.make_context("casemate", rest)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def test_every_command_with_a_name_in_it_is_one() -> None:
    found = advised()
    assert len(found) > 80, "messages are read"
    wrong = {f"{where}: casemate {' '.join(words)}": _wrong(words) for where, words in found}
    assert not {what: why for what, why in wrong.items() if why}


def test_and_is_taken_by_a_node_as_it_is_printed(
    cli: Callable[..., Any], node: object, home: Path
) -> None:
    """What a command refuses of how it was called is exit code 2, before any node is asked."""
    (home / "casemate.toml").write_text('[project]\nname = "shop"\n')  # where it may be run
    wrong = []
    for where, words in advised():
        if words[0] in _NOT_RUN:
            continue
        done = cli(*words)
        if done.code == 2 and not _MAY_BE_SAID.search(done.err):
            wrong.append(f"{where}: casemate {' '.join(words)}: {done.err}")
    assert not wrong, "\n".join(wrong)


def test_what_cannot_be_run_is_found() -> None:
    assert _wrong(["usage", "--nonsense"])
    assert _wrong(["quarantine"])
    assert _wrong(["nothing", "of", "that", "kind"])
    assert not _wrong(["usage", "--project", "pix"])
    [text] = _commands(f"Release it: casemate release {_PUT_IN} --reason TEXT; then go on.")
    assert _filled(text) == ["release", "shop/cart", "--reason", "because"]


@pytest.mark.parametrize("command", ["usage", "denials", "invocations", "logs"])
def test_who_names_a_project_in_place_of_a_function_is_told_what_works(
    cli: Callable[..., Any], node: Any, home: Path, command: str
) -> None:
    """`usage pix` led to PROJECT/pix, which there is as little."""
    node.control.deployed["pix", "resize"] = DeployedFunction(
        project="pix", name="resize", versions=(), aliases=()
    )

    def advised_by(*words: str) -> set[str]:
        told = cli(*words)
        assert told.code != 0
        return set(re.findall(r"`casemate ([^`]+)`", " ".join(told.err.split())))

    assert advised_by(command, "pix") == {f"{command} PROJECT/pix", f"{command} --project pix"}
    assert advised_by(command, "--project", "pix/resize") == {
        f"{command} pix/resize",
        f"{command} --project pix",
    }
    for words in ((command, "pix/resize"), (command, "--project", "pix")):
        parsed = cli(*words)
        assert parsed.code == 0, parsed.err
    (home / "casemate.toml").write_text('[project]\nname = "shop"\n')
    assert "There is no function shop/pix; pix is a project." in cli(command, "pix").err
    assert "`--project pix`" in cli(command, "pix").err
