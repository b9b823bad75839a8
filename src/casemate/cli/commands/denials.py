"""`casemate denials`: what was tried and not allowed."""

from __future__ import annotations

from casemate.cli.behind import note_behind
from casemate.cli.operation_command import Call, answered
from casemate.cli.options import new_app
from casemate.cli.terminal import note, print_table
from casemate.cli.text import moment
from casemate.operations.records import Denials, ListDenials

app = new_app()


@answered(
    app,
    ListDenials,
    examples="$ casemate denials\n$ casemate denials hello --limit 5\n"
    "$ casemate denials --caller token:4f1d0a --since 2h\n$ casemate denials --json",
)
def denials(found: Denials, call: Call) -> None:
    """List what was tried and not allowed, the newest first.

    The list covers what people, tokens and callers without a token tried; capabilities, connections
    and system calls of functions; calls that the sink guard stopped because of an event, or let
    through by an exception; and deploys that would have granted more without an approval.

    `path:` is what was asked for where it is no function's. Parts of it that may be a secret stand
    there as `*`.
    """
    several = any(denial.node for denial in found.denials)
    print_table(
        (
            *("at", "kind", "who", "times", "action", "on", "invocation"),
            *(("node",) if several else ()),
            "why",
        ),
        [
            (
                moment(denial.at),
                denial.kind.value,
                denial.principal,
                str(denial.count),
                denial.action,
                denial.resource,
                denial.invocation,
                *([denial.node] * several),
                denial.reason,  # last: as long as a sentence
            )
            for denial in found.denials
        ],
        below=("who", "on", "invocation", *(("node",) if several else ()), "why"),
        empty="Nothing has been denied yet.",
    )
    if found.before is not None:
        note(f"There are more: --before {found.before}")
    note_behind(found.behind)
