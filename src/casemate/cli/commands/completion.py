"""`casemate completion`: what shells need to complete commands, options and names."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import Annotated

import typer

from casemate.cli.errors import UsageError
from casemate.cli.options import command, new_app
from casemate.cli.terminal import print_line
from casemate.model.errors import CasemateError

app = new_app()


class Shell(StrEnum):
    """The shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@command(
    app,
    examples="""\
$ casemate completion bash > ~/.local/share/bash-completion/completions/casemate
$ casemate completion zsh > ~/.zfunc/_casemate
$ casemate completion fish > ~/.config/fish/completions/casemate.fish
""",
)
def completion(
    shell: Annotated[
        Shell | None, typer.Argument(metavar="SHELL", help="`bash`, `zsh` or `fish`.")
    ] = None,
    functions: Annotated[
        bool, typer.Option("--functions", hidden=True, help="Print names of functions.")
    ] = False,
) -> None:
    """Print the completion script for bash, zsh or fish.

    The script completes commands, options, files and functions. Names of functions come from the
    node, if it answers within a second; everything else is in the script. Write it again after an
    update.
    """
    if functions:
        _print_functions()
        return
    if shell is None:
        raise UsageError(
            "Which shell is not said.", next_step="Give it: casemate completion bash, zsh or fish."
        )
    from casemate.cli.completion_scripts import script
    from casemate.cli.completion_table import table
    from casemate.cli.main import app as root

    print(script(shell.value, table(root)), end="")


def _print_functions() -> None:
    """Print what FUNCTION may be: nothing at all if the node cannot be asked quickly."""
    from casemate.cli.function_names import names

    with suppress(CasemateError, OSError, ValueError):
        for name in names():
            print_line(name)
