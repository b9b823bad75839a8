"""`casemate sources`: servers outside that triggers read from."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import print_json, print_table
from casemate.cli.text import moment
from casemate.operations.sources import ListSources

app = new_app("See the servers outside that triggers read from.")


@command(app, examples="$ casemate sources ls\n$ casemate sources ls shop --json")
def ls(
    project: Annotated[
        str | None, typer.Argument(metavar="PROJECT", help="Only those of this project.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List sources: whether each is connected, since when, what it brought and what went wrong.

    Counts are since the node was started. What waits is what the server outside told last; not
    every server can tell.
    """
    with connect() as client:
        found = client.call(ListSources(project=project)).sources
    if json:
        print_json({"sources": found})
        return
    print_table(
        ("trigger", "kind", "server", "connected", "since", "events", "waiting", "last error"),
        [
            (
                f"{source.project}/{source.function} {source.trigger}",
                source.kind,
                source.server,
                "yes" if source.connected else "no",
                moment(source.since),
                str(source.events) + (f", {source.refused} refused" if source.refused else ""),
                "" if source.waiting is None else str(source.waiting),
                ""
                if source.error_at is None
                else f"{moment(source.error_at)} ({source.losses} losses): {source.error}",
            )
            for source in found
        ],
        below=("server", "since", "last error"),
        empty="No live function has a trigger of a server outside.",
    )
