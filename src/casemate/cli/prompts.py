"""Questions to whoever sits at the terminal. Without one nothing is asked, and nothing assumed."""

from __future__ import annotations

import getpass
import sys

import typer

from casemate.cli.errors import UsageError
from casemate.cli.terminal import note
from casemate.cli.text import one_line

MAX_KEY_BYTES = 4096


def confirm(question: str, *, yes: bool) -> None:
    """Return if the answer is yes; end the command otherwise. `yes` says that it is."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "This needs a confirmation, and there is no terminal to ask on.",
            next_step="Run it again with --yes if you mean it.",
        )
    if not typer.confirm(one_line(question), err=True):
        note("Nothing was changed.")
        raise typer.Exit(1)


def read_secret(prompt: str) -> str:
    """Return a secret: typed unseen at a terminal, or the first line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline(MAX_KEY_BYTES)
