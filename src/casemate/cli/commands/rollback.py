"""`casemate rollback`: back to what was live."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.commands.ls import shares
from casemate.cli.names import resolve
from casemate.cli.options import FunctionArgument, JsonOption, command, new_app
from casemate.cli.terminal import print_json, print_line
from casemate.operations.functions import Rollback

app = new_app()


@command(app, examples="$ casemate rollback hello\n$ casemate rollback hello --to 3")
def rollback(
    function: FunctionArgument,
    to: Annotated[
        int | None,
        typer.Option("--to", min=1, metavar="VERSION", help="Go back to this version instead."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Go back to the version that was live for all callers before.

    Not to a share between versions, and not to one that was itself taken back. Nothing is built or
    uploaded: the pointer moves, with the next call.
    """
    name = resolve(function)
    with connect() as client:
        changed = client.call(Rollback(project=name.project, function=name.function, to=to))
    if json:
        print_json(changed)
    else:
        print_line(f"{name}: live is version {shares(changed)} again.")
