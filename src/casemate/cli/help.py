"""Help of the commands, drawn in panels.

Typer would draw it with Rich, which takes longer to load than the whole of our help to print.
"""

from __future__ import annotations

import inspect
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from casemate.cli.terminal import BOLD, CYAN, DIM, YELLOW, paint

MIN_WIDTH = 50
MAX_WIDTH = 100
_COLUMN_LIMIT = 34
"""A name longer than this has its text below it, not beside it."""

Row = tuple[str, str]


class DocumentedCommand(TyperCommand):
    """A command whose help is drawn in panels."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(render(self, ctx))


class DocumentedGroup(TyperGroup):
    """A group of commands whose help is drawn in panels."""

    def panels(self, ctx: Any) -> list[tuple[str, list[Row]]]:
        """Return the panels of commands: title, and each command with its summary."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, summary(command)))
        return [("Commands", rows)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(render(self, ctx))


def summary(command: Any) -> str:
    """Return the first sentence of a command's help."""
    text = inspect.cleandoc(command.help or "").split("\n\n")[0]
    return " ".join(text.split()).split(". ")[0].removesuffix(".")


def parameters(command: Any, ctx: Any) -> tuple[list[Row], list[Row]]:
    """Return a command's arguments and its options, each with its help."""
    arguments: list[Row] = []
    options: list[Row] = []
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        if parameter.param_type_name == "argument":
            arguments.append((_placeholder(parameter), record[1]))
        else:
            options.append(record)
    return arguments, options


def usage(command: Any, ctx: Any) -> str:
    """Return the usage line, without the word."""
    pieces = [ctx.command_path, "[OPTIONS]"]
    pieces += [
        _placeholder(parameter)
        for parameter in command.get_params(ctx)
        if parameter.param_type_name == "argument"
    ]
    if isinstance(command, TyperGroup):
        pieces.append("COMMAND [ARGS]...")
    return " ".join(pieces)


def _placeholder(argument: Any) -> str:
    """Return an argument as usage lines show it (POSIX, Utility Conventions)."""
    name = argument.metavar or argument.name.upper()
    # The command, or typer, may have written the brackets and the dots itself.
    if not argument.required and not name.startswith("["):
        name = f"[{name}]"
    return str(name) if argument.nargs == 1 or name.endswith("...") else f"{name}..."


def render(command: Any, ctx: Any) -> str:
    """Return the help of a command as text, coloured if standard output shows colours."""
    width = max(MIN_WIDTH, min(shutil.get_terminal_size().columns, MAX_WIDTH))
    parts = [f"\n {paint('Usage:', YELLOW, sys.stdout)} {usage(command, ctx)}\n"]
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        lines = textwrap.wrap(" ".join(paragraph.split()), width - 2, break_long_words=False)
        parts.append("\n".join(f" {line}" for line in lines) + "\n")
    arguments, options = parameters(command, ctx)
    panels = [("Arguments", arguments)]
    if isinstance(command, DocumentedGroup):
        panels += command.panels(ctx)
    panels.append(("Options", options))
    parts += [_panel(title, rows, width) for title, rows in panels if rows]
    if command.epilog:
        parts.append(_examples(command.epilog))
    return "\n".join(parts)


def _panel(title: str, rows: Sequence[Row], width: int) -> str:
    inner = width - 4
    column = max((len(name) for name, _ in rows if len(name) <= _COLUMN_LIMIT), default=0)
    edge = f"╭─ {title} ".ljust(width - 1, "─") + "╮"
    lines = [paint(edge, DIM, sys.stdout)]
    bar = paint("│", DIM, sys.stdout)
    for name, text in rows:
        wrapped = textwrap.wrap(" ".join(text.split()), max(inner - column - 2, 20)) or [""]
        beside = len(name) <= column
        if not beside:
            wrapped.insert(0, "")
        for number, line in enumerate(wrapped):
            left = name if number == 0 else ""
            body = f"{left.ljust(column)}  {line}" if beside or number else left
            padded = body.ljust(inner)
            if left:
                padded = paint(left, f"{BOLD};{CYAN}", sys.stdout) + padded[len(left) :]
            lines.append(f"{bar} {padded} {bar}")
    lines.append(paint("╰" + "─" * (width - 2) + "╯", DIM, sys.stdout))
    return "\n".join(lines)


def _examples(epilog: str) -> str:
    """Return the examples: in an epilog, lines that start with `$` are commands."""
    lines = [f" {paint('Examples', BOLD, sys.stdout)}"]
    for line in inspect.cleandoc(epilog).splitlines():
        if line.startswith("$ "):
            lines.append(f"   {paint(line[2:], CYAN, sys.stdout)}")
        else:
            lines.append(f"   {paint('# ' + line, DIM, sys.stdout)}" if line else "")
    return "\n".join(lines) + "\n"
