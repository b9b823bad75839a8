"""Every help page fits a terminal of 80 columns, and its examples can be copied as they stand."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from casemate.cli.help import example_lines, render
from casemate.cli.main import app

WIDTH = 80


def pages(command: Any, name: str, parent: Any = None) -> Iterator[tuple[str, Any, Any]]:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    yield context.command_path, command, context
    for below in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from pages(command.get_command(context, below), below, context)


@pytest.fixture(scope="module")
def every_page() -> list[tuple[str, Any, Any]]:
    found = list(pages(typer.main.get_command(app), "casemate"))
    assert len(found) > 200
    return found


def words(commands: str) -> list[str]:
    return shlex.split(commands.replace("\\\n", " "))


def test_no_line_is_wider_than_the_terminal(every_page, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    wide = [
        f"{path}: {line}"
        for path, command, context in every_page
        for line in render(command, context, io.StringIO()).splitlines()
        if len(line) > WIDTH
    ]
    assert wide == []


def test_a_folded_example_is_the_same_command(every_page, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    for path, command, context in every_page:
        if not command.epilog:
            continue
        whole = "\n".join(
            line.removeprefix("$ ") for line, of_command in example_lines(command.epilog)
            if of_command
        )  # fmt: skip
        shown = render(command, context, io.StringIO()).partition("\n Examples\n")[2]
        lines = [line for line in shown.splitlines() if not line.lstrip().startswith("# ")]
        assert words("\n".join(lines)) == words(whole), path
