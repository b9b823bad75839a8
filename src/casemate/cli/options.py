"""What several commands have in common: how a command is declared, and its common parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from casemate.cli.help import DocumentedCommand, DocumentedGroup

HELP_NAMES = {"help_option_names": ["-h", "--help"]}

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]
FUNCTION_HELP = "PROJECT/FUNCTION, or just FUNCTION inside a project's folder."
FunctionArgument = Annotated[str, typer.Argument(metavar="FUNCTION", help=FUNCTION_HELP)]
ManifestOption = Annotated[
    Path | None,
    typer.Option(
        "--manifest",
        "-m",
        help="The project's casemate.toml. Default: the nearest one, from this folder upwards.",
    ),
]
ForOption = Annotated[
    str, typer.Option("--for", metavar="TIME", help="How long: `90s`, `10m`, `2h`, at most `7d`.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="The reason, for whoever asks later.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def new_app(help: str | None = None, *, examples: str | None = None) -> typer.Typer:
    """Return an empty Typer application: for one command, or with `help` for a group of them."""
    app = typer.Typer(
        cls=DocumentedGroup,
        help=help,
        epilog=examples,
        no_args_is_help=help is not None,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=HELP_NAMES,
    )
    if help is not None:
        app.callback()(_group)
    return app


def _group() -> None:
    """Make Typer keep a group a group, however many commands it has."""


def command(
    app: typer.Typer, *, examples: str, name: str | None = None
) -> Callable[[CommandT], CommandT]:
    """Add the decorated function to `app`. Its docstring is the help, `examples` the epilog."""
    return app.command(name, cls=DocumentedCommand, epilog=examples, context_settings=HELP_NAMES)
