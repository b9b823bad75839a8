"""`casemate restrict`: what is held back until somebody lifts it."""

from __future__ import annotations

from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import note, print_line, print_table
from casemate.cli.text import moment
from casemate.model.restriction import Restriction
from casemate.operations.restrictions import (
    LiftRestriction,
    ListRestrictions,
    Restrict,
    Restrictions,
)

app = new_app("Restrict aliases, outside hosts, callers or secrets.")


@answered(
    app,
    ListRestrictions,
    examples="$ casemate restrict ls\n$ casemate restrict ls shop --json",
)
def ls(found: Restrictions) -> None:
    """List restrictions, with who set them and why."""
    print_table(
        ("id", "kind", "what", "of", "since", "by", "why"),
        [
            (
                one.id,
                one.kind.value,
                one.what or "all",
                one.of,
                moment(one.since),
                one.by,
                one.reason,
            )
            for one in found.restrictions
        ],
        below=("by", "why"),
        empty="Nothing is held back.",
    )


@answered(
    app,
    Restrict,
    examples="""\
$ casemate restrict set alias --project shop --function report --reason 'inc_9f2c51aa03b1e7d4'
$ casemate restrict set host paste.example.com --project shop --reason 'data goes there'
$ casemate restrict set address 192.0.2.0/24 --reason 'it scans'
$ casemate restrict set secret db-password --project shop --reason 'it has leaked'
""",
)
def set(found: Restriction) -> None:
    """Restrict something of a function, of a project, or, without either, of the node.

    `alias`: no deploy, promotion, rollback or removal moves an alias of the function. `host`: no
    connection is made there, and existing ones end. `address`: no call is accepted from there; the
    control API is not restricted. `secret`: no function is given its value until it has another one
    (casemate secrets set), and functions that have it are ended.
    """
    print_line(f"{found.id}: {found.kind.value} {found.what or 'moves'} of {found.of} held back.")
    note(f"Afterwards: casemate restrict lift {found.id} --reason TEXT")


@answered(
    app,
    LiftRestriction,
    examples="$ casemate restrict lift res_9f2c51aa03b1e7d4 --reason 'a false alarm'",
)
def lift(found: Restriction) -> None:
    """Lift a restriction."""
    print_line(f"{found.kind.value} {found.what or 'moves'} of {found.of}: held back no more.")
