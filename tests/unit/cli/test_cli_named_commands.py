"""Commands that messages, rules and documents tell people to run are commands that there are."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from casemate.cli.main import app

_ROOT = Path(__file__).parents[3]
_SOURCE = _ROOT / "src" / "casemate"
_DOCUMENTS = [
    *sorted((_ROOT / "docs").glob("[!a]*/*.md")),
    *(_ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")),
]
_COMMAND = re.compile(r"(?:^|[`:$] ?|&& )casemate ((?:[a-z][a-z-]*(?: |$|(?=[`'\",;)])))+)")
_NO_COMMAND = re.compile(r"casemate (?:calls `|builder key )|^\+")
"""A sentence about the platform, the head of a file, a line that CONTRIBUTING.md has one add."""
_OPTION = re.compile(r"(?<= )--[a-z][a-z-]*")


def test_every_command_that_a_message_names_is_there() -> None:
    wrong = [
        f"{path.relative_to(_ROOT)}: casemate {named}: {why}"
        for path, text in _texts()
        for named, why in _unknown(text)
    ]

    assert not wrong, "\n".join(wrong)


def test_a_command_that_is_not_there_is_found() -> None:
    assert [each for each, _ in _unknown("Next: `casemate contract propose`.")] == [
        "contract propose"
    ]
    assert [each for each, _ in _unknown("$ casemate logs --nonsense")] == ["logs --nonsense"]
    assert not list(_unknown("`casemate contract infer cart --trigger queue-1 events.jsonl`"))
    assert not list(_unknown("what Casemate has, and casemate calls `handler` once"))


def _texts() -> Iterator[tuple[Path, str]]:
    for path in sorted(_SOURCE.rglob("*.py")):
        source = path.read_text()
        if not re.search("[`:$\"'] ?casemate [a-z]", source):
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for line in node.value.splitlines():
                    yield path, line
    for path in _DOCUMENTS:
        for line in path.read_text().splitlines():
            yield path, line


@functools.cache
def _root() -> Any:
    return typer.main.get_command(app)


def _unknown(text: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of a text that there are not, with what is wrong."""
    if _NO_COMMAND.search(text):
        return
    text = re.sub(r"'[^']*'", "QUOTED", text)
    for found in _COMMAND.finditer(text):
        words = found.group(1).split()
        command = _root()
        for at, word in enumerate(words):
            below = getattr(command, "list_commands", None)
            if below is None:
                break
            context = command.make_context("casemate", [], resilient_parsing=True)
            if word not in below(context):
                yield " ".join(words[: at + 1]), "there is no such command"
                break
            command = command.get_command(context, word)
        end = re.search(r"[`|#;&<>,]| -- ", text[found.end(1) :] + "`")
        rest = " " + text[found.end(1) : found.end(1) + (end.start() if end else 0)]
        if getattr(command, "list_commands", None) is None:
            known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
            for option in _OPTION.findall(rest):
                if option not in known | {"--help"}:
                    yield f"{' '.join(words)} {option}", "there is no such option"
