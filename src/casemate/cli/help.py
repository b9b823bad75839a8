"""Help of the commands, drawn in panels.

Typer would draw it with Rich, which takes longer to load than the whole of our help to print.
"""

from __future__ import annotations

import inspect
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from casemate.cli.plain_values import take_plain_values
from casemate.cli.terminal import BOLD, BOLD_CYAN, CYAN, DIM, YELLOW, paint

MIN_WIDTH = 50
MAX_WIDTH = 100
_COLUMN_LIMIT = 34
"""A name longer than this has its text below it, not beside it."""

Row = tuple[str, str]
OTHER_WORDS = {
    "list": ("ls",),
    "status": ("show", "ls"),
    "functions": ("ls",),
    "describe": ("show",),
    "get": ("show", "get", "ls"),
    "show": ("ls",),
    "items": ("query",),
    "cat": ("get", "show"),
    "delete": ("rm", "purge"),
    "remove": ("rm", "purge"),
    "rm": ("purge",),
    "close": ("resolve",),
    "reopen": ("resolve",),
    "state": ("show",),
    "destroy": ("rm",),
    "call": ("invoke",),
    "run": ("invoke", "dev"),
    "create": ("add", "init", "set"),
    "new": ("init", "add"),
    "stats": ("metrics", "usage"),
    "dead-letters": ("dlq",),
    "topics": ("queues",),
    "topic": ("queues",),
    "publish": ("send",),
    "schedules": ("show",),
    "cron": ("show",),
    "retry": ("redrive",),
    "fire": ("trigger",),
    "canary": ("promote",),
    "help": ("--help",),
    "version": ("--version",),
    "projects": ("ls",),
    "roles": ("policy",),
    "unused": ("prune",),
    "upload": ("put",),
}
"""How other programs call what a command does: the first of these that there is, is proposed."""
_INDENT = 3
_WORDS = re.compile(r"""(?:--[a-z-]+ (?![-\\|<>]))?(?:'[^']*'|"[^"]*"|[^\s'"])+""")
"""Those of a command of an example, with their quotes; an option has its value."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./@-]{0,199}")
"""What may be the name or the id of something."""
_ID = re.compile(r"[a-z]{1,12}_[0-9a-f]{8,64}")


class DocumentedCommand(TyperCommand):
    """A command whose help is drawn in panels, and that takes plain values by itself."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, that of the help too."""
        return take_plain_values(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Read the words; the error for an option that is none tells what takes it by its place."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            name = getattr(error, "option_name", "").removeprefix("--")
            if error.message.startswith("No such option: --") and (told := self._placed(ctx, name)):
                error.possibilities = None  # type: ignore[attr-defined]
                error.message = f"No such option: --{name}. Did you mean {told}?"
            raise

    def _placed(self, ctx: Any, name: str) -> str:
        """Return the usage of the command if one of its arguments is what an option would be."""
        arguments = [each for each in self.params if each.param_type_name == "argument"]
        for each in arguments:
            metavar = _metavar(each).strip("[]")
            if name in (each.name, metavar.lower()):
                return f"'{ctx.command_path} {metavar}'"
            if name == "project" and metavar == "FUNCTION":
                return f"'{ctx.command_path} PROJECT/FUNCTION'"
        return ""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(render(self, ctx))


class DocumentedGroup(TyperGroup):
    """A group of commands whose help is drawn in panels."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, that of the help too."""
        return take_plain_values(super().get_params(ctx))

    def panels(self, ctx: Any) -> list[tuple[str, list[Row]]]:
        """Return the panels of commands: title, and each command with its summary."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, summary(command)))
        return [("Commands", rows)]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is meant; the error for none proposes what it is called here."""
        try:
            return super().resolve_command(ctx, args)
        except TyperException as error:
            word = args[0] if args else ""
            options = {name for each in self.get_params(ctx) for name in each.opts}
            known = options.union(self.commands)
            here = next((name for name in OTHER_WORDS.get(word, ()) if name in known), "")
            is_name = word not in OTHER_WORDS  # `ls close` would list what is of `close`
            is_name = is_name and not any(not each.startswith("-") for each in args[1:])
            if not here and is_name and ctx.parent and "Did you mean" not in error.message:
                here = self._shown_by(word)
            if here:
                error.message = f"No such command '{word}'. Did you mean '{here}'?"
            raise

    def _shown_by(self, word: str) -> str:
        """Return the command, with the word, that shows what the word may name; or nothing."""
        looks_like_id = _ID.fullmatch(word) is not None
        for name in ("show", "ls") if _NAME.fullmatch(word) else ():
            parameters = self.commands[name].params if name in self.commands else ()
            taken = [each for each in parameters if each.param_type_name == "argument"]
            if not taken or any(other.required for other in taken[1:]):
                continue
            if (_metavar(taken[0]) == "ID") == looks_like_id:
                return f"{name} {word}"
        return ""

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


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _placeholder(argument: Any) -> str:
    """Return an argument as usage lines show it (POSIX, Utility Conventions)."""
    name = _metavar(argument)
    # The command, or typer, may have written the brackets and the dots itself.
    if not argument.required and not name.startswith("["):
        name = f"[{name}]"
    return str(name) if argument.nargs == 1 or name.endswith("...") else f"{name}..."


def render(command: Any, ctx: Any, stream: TextIO | None = None) -> str:
    """Return the help of a command as text, coloured if `stream` (stdout) shows colours."""
    stream = stream or sys.stdout
    width = max(MIN_WIDTH, min(shutil.get_terminal_size().columns, MAX_WIDTH))
    parts = [f"\n {paint('Usage:', YELLOW, stream)} {usage(command, ctx)}\n"]
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        lines = textwrap.wrap(" ".join(paragraph.split()), width - 2, break_long_words=False)
        parts.append("\n".join(f" {line}" for line in lines) + "\n")
    arguments, options = parameters(command, ctx)
    panels = [("Arguments", arguments)]
    if isinstance(command, DocumentedGroup):
        panels += command.panels(ctx)
    panels.append(("Options", options))
    parts += [_panel(title, rows, width, stream) for title, rows in panels if rows]
    if command.epilog:
        parts.append(_examples(command.epilog, stream, width))
    return "\n".join(parts)


def _panel(title: str, rows: Sequence[Row], width: int, stream: TextIO) -> str:
    inner = width - 4
    column = max((len(name) for name, _ in rows if len(name) <= _COLUMN_LIMIT), default=0)
    edge = f"╭─ {title} ".ljust(width - 1, "─") + "╮"
    lines = [paint(edge, DIM, stream)]
    bar = paint("│", DIM, stream)
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
                padded = paint(left, BOLD_CYAN, stream) + padded[len(left) :]
            lines.append(f"{bar} {padded} {bar}")
    lines.append(paint("╰" + "─" * (width - 2) + "╯", DIM, stream))
    return "\n".join(lines)


def example_lines(epilog: str) -> Iterator[tuple[str, bool]]:
    """Go through an epilog's lines, each with whether it is of a command.

    Those that start with `$` are, and what a `\\` at the end of one goes on with.
    """
    goes_on = False
    for line in inspect.cleandoc(epilog).splitlines():
        of_command = goes_on or line.startswith("$ ")
        goes_on = of_command and line.endswith("\\")
        yield line, of_command


def _examples(epilog: str, stream: TextIO, width: int) -> str:
    lines = [f" {paint('Examples', BOLD, stream)}"]
    for line, of_command in example_lines(epilog):
        if of_command:
            for part in _folded(line.removeprefix("$ "), width - _INDENT):
                lines.append(f"{'':{_INDENT}}{paint(part, CYAN, stream)}")
        elif line:
            told = textwrap.wrap(line, width - _INDENT - 2, break_long_words=False)
            lines += [f"{'':{_INDENT}}{paint('# ' + part, DIM, stream)}" for part in told]
        else:
            lines.append("")
    return "\n".join(lines) + "\n"


def _folded(command: str, width: int) -> list[str]:
    """Return a command in lines that a shell reads as it is; what is quoted stays in one."""
    begin = len(command) - len(command.lstrip())
    lines, line = list[str](), command[:begin]
    for word in _WORDS.findall(command):
        if line.strip() and len(line) + len(word) + 3 > width:
            lines.append(f"{line}\\")
            line = " " * (begin or 4)
        line += f"{word} "
    return [*lines, line.rstrip()]
