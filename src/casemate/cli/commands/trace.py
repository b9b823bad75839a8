"""`casemate trace`: what came of one call, through queues and functions."""

from __future__ import annotations

import shutil
import sys

from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import RED, print_line
from casemate.cli.text import moment
from casemate.cli.trace_tree import rows
from casemate.operations.traces import ShowTrace, Trace

app = new_app()


@answered(
    app,
    ShowTrace,
    examples="""\
$ casemate trace inv_01a21a5c499d6d1728d66ddc
$ casemate trace 4bf92f3577b34da6a3ce929d0e0e4736
$ casemate trace inv_01a21a5c499d6d1728d66ddc --json
""",
)
def trace(found: Trace) -> None:
    """Show what one call led to, through queues and functions.

    Below each invocation are its delivery, its wait in the queue or for a start, its run, and what
    it used of the platform, with a bar that shows when. What you may not see is left out.
    """
    begun = f", {moment(found.spans[0].started_at)}" if found.spans else ": nothing of it is kept"
    print_line(f"Trace {found.id}{begun}")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line, well in rows(found, width):
        print_line(line, None if well else RED)
