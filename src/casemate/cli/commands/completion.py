"""`casemate completion`: what shells need to complete commands, options and names."""

from __future__ import annotations

import re
from contextlib import suppress
from enum import StrEnum
from typing import Annotated

import typer

from casemate.cli.errors import UsageError
from casemate.cli.options import command, new_app
from casemate.cli.terminal import print_line
from casemate.model.errors import CasemateError
from casemate.model.function import NAME_PATTERN

app = new_app()

CONNECT_SECONDS = 0.5
ANSWER_SECONDS = 1.0
MAX_NAMES = 5000
_NAME = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")


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
    """Print the script by which a shell completes commands, options, files and functions.

    Names of functions come from the node, if it answers within a second; all else stands in the
    script. Write it anew after an update.
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
    with suppress(CasemateError, OSError, ValueError):
        for name in _names():
            print_line(name)


def _names() -> list[str]:
    import httpx2
    import msgspec

    from casemate.cli.client import connect, path_of

    class _Function(msgspec.Struct):
        project: str
        name: str

    class _Functions(msgspec.Struct):
        functions: tuple[_Function, ...]

    timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    with connect() as client:
        answer = client.ask("GET", path_of("functions"), timeout=timeout)
        found = client.decode(answer, _Functions).functions[:MAX_NAMES]
    here = _project_here()
    # What a shell is handed has to be a name, whatever the node says.
    names = [f for f in found if _NAME.match(f.project) and _NAME.match(f.name)]
    return [f.name for f in names if f.project == here] + [f"{f.project}/{f.name}" for f in names]


def _project_here() -> str | None:
    from casemate.cli.names import resolve

    with suppress(CasemateError):
        return resolve("any").project
    return None
