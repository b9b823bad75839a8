"""What can be completed: every command with its options and arguments, from the commands alone."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import typer

from casemate.cli.help import DocumentedGroup, summary


class Kind(StrEnum):
    """What a value is, and so where proposals for it come from."""

    OTHER = "other"
    FILE = "file"
    FUNCTION = "function"
    CHOICE = "choice"


class Value(NamedTuple):
    """One value of an option or argument."""

    kind: Kind
    choices: tuple[str, ...] = ()


class Option(NamedTuple):
    """An option; `value` is None for a flag."""

    names: tuple[str, ...]
    about: str
    value: Value | None


class Command(NamedTuple):
    """A command or group; `path` is empty for `casemate` itself."""

    path: str
    commands: tuple[tuple[str, str], ...]
    """Names and summaries of what a group has."""
    options: tuple[Option, ...]
    arguments: tuple[Value, ...]
    repeated: bool
    """Whether the last argument may be given again."""


def table(app: typer.Typer) -> list[Command]:
    """Return all commands, each group before what it has."""
    root = typer.main.get_command(app)
    return list(_walk(root, root.make_context("casemate", [], resilient_parsing=True), ""))


def _walk(command: Any, context: Any, path: str) -> Iterator[Command]:
    children = []
    if isinstance(command, DocumentedGroup):
        found = [(name, command.get_command(context, name)) for name in command.commands]
        children = [(name, child) for name, child in found if child and not child.hidden]
    arguments = [p for p in command.get_params(context) if p.param_type_name == "argument"]
    yield Command(
        path=path,
        commands=tuple((name, summary(child)) for name, child in children),
        options=tuple(_options(command, context)),
        arguments=tuple(map(_value, arguments)),
        repeated=bool(arguments) and arguments[-1].nargs != 1,
    )
    for name, child in children:
        below = child.make_context(name, [], parent=context, resilient_parsing=True)
        yield from _walk(child, below, f"{path} {name}".strip())


def _options(command: Any, context: Any) -> Iterator[Option]:
    for parameter in command.get_params(context):
        if parameter.param_type_name != "argument" and not getattr(parameter, "hidden", False):
            flag = getattr(parameter, "is_flag", False)
            yield Option(
                names=(*parameter.opts, *parameter.secondary_opts),
                about=" ".join((parameter.help or "").split()),
                value=None if flag else _value(parameter),
            )


def _value(parameter: Any) -> Value:
    annotation = getattr(parameter.type_descriptor, "annotation", None)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return Value(Kind.CHOICE, tuple(str(member.value) for member in annotation))
    if (parameter.metavar or "").strip("[").startswith("FUNCTION"):
        return Value(Kind.FUNCTION)
    if annotation is Path or parameter.metavar in ("FILE", "DIR"):
        return Value(Kind.FILE)
    return Value(Kind.OTHER)
