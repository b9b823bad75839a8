"""`casemate doctor`: what holds on this host."""

from __future__ import annotations

import typer

from casemate.cli.errors import ExitCode
from casemate.cli.options import JsonOption, command, new_app

app = new_app()


@command(app, examples="$ casemate doctor\n$ casemate doctor --json")
def doctor(json: JsonOption = False) -> None:
    """Probe every protection on this host and say what holds.

    Each protection is tried, not looked up. The exit code is 1 if a required one does not hold;
    what to do about it is said beside it.
    """
    from casemate.wiring import doctor as run

    if not run(json=json):
        raise typer.Exit(ExitCode.FAILURE)
