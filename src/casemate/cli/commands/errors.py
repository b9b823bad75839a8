"""`casemate errors`: what a caller did not get to see."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.client import connect, path_of
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import BOLD, RED, print_json, print_line, print_text
from casemate.cli.text import moment
from casemate.model.invocation import ErrorRecord

app = new_app("Look up the error that a caller got the id of.")


@command(app, examples="$ casemate errors show err_1f2e3d")
def show(
    error: Annotated[str, typer.Argument(metavar="ID", help="The error id in the answer.")],
    json: JsonOption = False,
) -> None:
    """Show all there is to know of an error: type, message, trace.

    Callers get only the id: what is shown here may hold data of theirs.
    """
    with connect() as client:
        found = client.get(path_of("errors", error), ErrorRecord)
    if json:
        print_json(found)
        return
    print_line(f"{found.project}/{found.function} version {found.version}: {found.outcome}", BOLD)
    print_line(f"  at          {moment(found.at)}")
    print_line(f"  invocation  {found.invocation}")
    print_line()
    told = f"{found.type}: {found.message}".rstrip()
    trace = found.trace.rstrip()
    # A trace of Python ends with this very line.
    if trace.endswith(told):
        trace = trace.removesuffix(told).rstrip()
    if trace:
        print_text(trace)
    print_line(told, RED)
