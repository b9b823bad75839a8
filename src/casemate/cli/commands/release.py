"""`casemate release`: a function that was in quarantine takes calls again."""

from __future__ import annotations

from casemate.cli.operation_command import Call, answered
from casemate.cli.options import new_app
from casemate.cli.terminal import note, print_line
from casemate.cli.text import moment
from casemate.model.deployment import Quarantine
from casemate.operations.quarantine import ReleaseFunction

app = new_app()


@answered(
    app,
    ReleaseFunction,
    examples="$ casemate release checkout --reason 'version 9 has no such dependency'",
)
def release(ended: Quarantine, call: Call) -> None:
    """Put a quarantined function back into service."""
    print_line(f"{call.name} takes calls again.")
    note(f"It took none since {moment(ended.since)}, by {ended.by}: {ended.reason}")
