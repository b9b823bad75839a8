"""`casemate incident hold`, `holds` and `release-hold`: what is kept whatever retention says."""

from __future__ import annotations

import typer

from casemate.cli.operation_command import Call, answered
from casemate.cli.terminal import GREEN, print_line, print_table
from casemate.cli.text import moment, size
from casemate.operations.evidence import HoldIncident, Holds, HoldView, ListHolds, ReleaseHold


def add_to(app: typer.Typer) -> None:
    """Add the commands."""

    @answered(
        app,
        HoldIncident,
        examples="$ casemate incident hold inc_9f2c51aa03b1e7d4 --days 60 --reason 'case 17'",
    )
    def hold(found: HoldView) -> None:
        """Keep what is on record of an incident's functions, whatever retention says.

        The hold covers the present invocations, errors, logs, denials and recordings since an hour
        before the incident. Run the command again to renew it; it ends by itself.
        """
        print_line(
            f"{found.incident}: {found.records} records ({size(found.bytes)}) and "
            f"{found.recordings} recordings",
            GREEN,
        )
        print_line(f"are kept until {moment(found.expires_at)}.", GREEN)

    @answered(app, ListHolds, examples="$ casemate incident holds --json")
    def holds(found: Holds) -> None:
        """List what is kept whatever retention says; what ends first comes first."""
        print_table(
            ("incident", "of", "records", "size", "recordings", "until", "by", "why"),
            [
                (
                    one.incident,
                    " ".join(one.functions),
                    str(one.records),
                    size(one.bytes),
                    str(one.recordings),
                    moment(one.expires_at),
                    one.by,
                    one.reason,
                )
                for one in found.holds
            ],
            below=("by", "why"),
            empty="No records are under hold. Archives of an incident: `casemate incident evidence "
            "ID --ls`.",
        )

    @answered(
        app,
        ReleaseHold,
        name="release-hold",
        examples="$ casemate incident release-hold inc_9f2c51aa03b1e7d4 --reason 'it is closed'",
    )
    def release_hold(call: Call) -> None:
        """End a legal hold: retention applies again to what was under it."""
        print_line(f"{call.operation.id}: nothing is on hold now.", GREEN)
