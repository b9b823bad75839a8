"""Which records a command lists: the options that `invocations` and `errors ls` share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from casemate.cli.names import resolve
from casemate.cli.times import moment_of
from casemate.model.invocation import Outcome

OutcomeOption = Annotated[
    Outcome | None,
    typer.Option(
        "--outcome",
        metavar="OUTCOME",
        help="Only those that ended so: `ok`, `handler-error`, `timeout`, `denied`, ...",
    ),
]
VersionOption = Annotated[
    int | None, typer.Option("--version", min=1, help="Only those of this version.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")]


def chosen(
    function: str | None,
    outcome: Outcome | None,
    version: int | None,
    since: str | None,
    until: str | None,
    limit: int,
) -> dict[str, Any]:
    """Return the fields of the operation that lists these records. Raises UsageError."""
    name = resolve(function) if function is not None else None
    return {
        "project": name.project if name else None,
        "function": name.function if name else None,
        "outcome": outcome,
        "version": version or 0,
        "since": moment_of(since, "--since"),
        "until": moment_of(until, "--until"),
        "limit": limit,
    }
