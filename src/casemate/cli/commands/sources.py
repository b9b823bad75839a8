"""`casemate sources`: servers outside that triggers read from."""

from __future__ import annotations

from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import print_table
from casemate.cli.text import moment
from casemate.operations.sources import ListSources, Sources

app = new_app("See the outside servers that triggers read from.")


@answered(app, ListSources, examples="$ casemate sources ls\n$ casemate sources ls shop --json")
def ls(found: Sources) -> None:
    """List sources: whether each is connected, since when, what it delivered and what went wrong.

    Counts are since the node was started. The number that waits is what the outside server reported
    last; not every server can.
    """
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
                else f"{moment(source.error_at)} (connections lost: {source.losses}): "
                f"{source.error}",
            )
            for source in found.sources
        ],
        below=("server", "since", "last error"),
        empty="No live function has a trigger of a server outside.",
    )
