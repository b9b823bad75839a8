"""`casemate quarantine`: a function takes no calls any more."""

from __future__ import annotations

from casemate.cli.operation_command import Call, answered
from casemate.cli.options import new_app
from casemate.cli.terminal import note, print_line
from casemate.cli.text import moment
from casemate.model.deployment import Quarantine
from casemate.operations.quarantine import QuarantineFunction

app = new_app()


@answered(
    app,
    QuarantineFunction,
    examples="""\
$ casemate quarantine checkout --reason 'GHSA-8v8w-v8xg-79rf is exploited'
$ casemate quarantine shop/checkout --reason 'MAL-2026-1234' --kill
""",
)
def quarantine(found: Quarantine, call: Call) -> None:
    """Take a function out of service.

    Callers get 503 and are not told why, whichever way they come. Stored events wait until the
    function is released; those that become older than `delivery.max_age` turn into dead letters,
    which can be tried again. Nothing of the function is or can be removed, and a deploy does not
    lift the quarantine. Running calls finish; with --kill they are ended at once.
    """
    print_line(f"{call.name} takes no calls.")
    wanted = call.operation
    if found.reason != wanted.reason:
        print_line(f"It took none since {moment(found.since)}, by {found.by}: {found.reason}")
    note(f"Afterwards: casemate release {call.name} --reason TEXT")
