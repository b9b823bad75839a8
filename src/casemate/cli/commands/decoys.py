"""`casemate decoys`: what nothing honest touches, where it is, and what is off."""

from __future__ import annotations

from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import print_line, print_table
from casemate.cli.text import moment
from casemate.model.decoy import DecoyState
from casemate.operations.decoys import (
    DecoyList,
    DisableDecoy,
    EnableDecoy,
    ListDecoys,
    RotateDecoys,
)

app = new_app("See, replace and turn off the decoys that reveal an intruder.")


def _print(found: DecoyList) -> None:
    print_table(
        ("project", "kind", "where", "generation", "state", "why"),
        [
            (
                each.project,
                each.kind.value,
                each.place,
                str(each.generation),
                "on" if each.on else f"off by {each.by} since {moment(each.at or 0.0)}",
                each.reason,
            )
            for each in found.decoys
        ],
        below=("state", "why"),
        empty="There are no projects yet, and so no decoys.",
    )


@answered(app, ListDecoys, examples="$ casemate decoys ls\n$ casemate decoys ls shop --json")
def ls(found: DecoyList) -> None:
    """Show the decoys of all projects, or of one. Your access is recorded.

    With a token it is found (`decoys-listed-by-token`, high) and opens an incident: whoever has
    stolen one looks for them so. Log in as a person first: `casemate login`.
    """
    _print(found)


@answered(app, RotateDecoys, examples="$ casemate decoys rotate shop")
def rotate(found: DecoyList) -> None:
    """Replace the decoys of a project. The old ones still reveal whoever touches them."""
    _print(found)


@answered(
    app,
    DisableDecoy,
    examples='$ casemate decoys disable shop host --reason "a scanner resolves every name"',
)
def disable(state: DecoyState) -> None:
    """Turn one decoy off. The reason is kept, shown and recorded as an accepted risk."""
    print_line(f"The decoy {state.kind.value} of {state.project} is off.")


@answered(app, EnableDecoy, examples="$ casemate decoys enable shop host")
def enable(state: DecoyState) -> None:
    """Turn one decoy on again."""
    print_line(f"The decoy {state.kind.value} of {state.project} is on.")
