"""`casemate denials`: what was tried and not allowed."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.names import resolve
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import print_json, print_table
from casemate.cli.text import moment
from casemate.operations.records import ListDenials

app = new_app()


@command(
    app,
    examples="$ casemate denials\n$ casemate denials hello --limit 5\n$ casemate denials --json",
)
def denials(
    function: Annotated[
        str | None, typer.Argument(metavar="FUNCTION", help="Only those of this function.")
    ] = None,
    invocation: Annotated[
        str | None, typer.Option("--invocation", help="Only those of this invocation.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    json: JsonOption = False,
) -> None:
    """List what was tried and not allowed, the newest first.

    By people, tokens and callers without one; by functions: capabilities, connections, and system
    calls; by events: calls that the sink guard stopped, or let through by an exception; and deploys
    that would have granted more without an approval.
    """
    name = resolve(function) if function is not None else None
    wanted = ListDenials(
        project=name.project if name else None,
        function=name.function if name else None,
        invocation=invocation,
        limit=limit,
    )
    with connect() as client:
        found = client.call(wanted).denials
    if json:
        print_json({"denials": found})
        return
    print_table(
        ("at", "kind", "who", "action", "on", "times", "invocation", "why"),
        [
            (
                moment(denial.at),
                denial.kind.value,
                denial.principal,
                denial.action,
                denial.resource,
                str(denial.count),
                denial.invocation,
                denial.reason,  # last: as long as a sentence
            )
            for denial in found
        ],
        below=("who", "on", "invocation", "why"),
        empty="Nothing was denied yet.",
    )
