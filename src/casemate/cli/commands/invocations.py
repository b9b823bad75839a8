"""`casemate invocations`: what was called lately."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from casemate.cli.client import connect, path_of
from casemate.cli.errors import UsageError
from casemate.cli.names import resolve
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import print_json, print_table
from casemate.cli.text import moment, size
from casemate.model.invocation import InvocationRecord

app = new_app()


class _Listed(msgspec.Struct):
    invocations: tuple[InvocationRecord, ...]


@command(app, examples="$ casemate invocations hello\n$ casemate invocations --id 0198c1 --json")
def invocations(
    function: Annotated[
        str | None, typer.Argument(metavar="FUNCTION", help="Only those of this function.")
    ] = None,
    id: Annotated[str | None, typer.Option("--id", help="Only this one.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    json: JsonOption = False,
) -> None:
    """List the latest invocations."""
    if id is not None and function is not None:
        raise UsageError(
            "Both a function and an id are given, expected one of them.",
            next_step="Leave out the function: the id is enough.",
        )
    name = resolve(function) if function is not None else None
    with connect() as client:
        if id is not None:
            found: tuple[InvocationRecord, ...] = (
                client.get(path_of("invocations", id), InvocationRecord),
            )
        else:
            query = {
                "project": name.project if name else None,
                "function": name.function if name else None,
                "limit": limit,
            }
            found = client.get(path_of("invocations"), _Listed, query=query).invocations
    if json:
        print_json({"invocations": found})
        return
    print_table(
        (
            "started",
            "function",
            "outcome",
            "status",
            "run",
            "queued",
            "out",
            "start",
            "id",
            "error",
        ),
        [_columns(record) for record in found],
        empty="There are no invocations yet.",
    )


def _columns(record: InvocationRecord) -> tuple[str, ...]:
    return (
        moment(record.started_at),
        f"{record.project}/{record.function}@{record.version}",
        record.outcome.value,
        str(record.status),
        f"{record.run_ms:.1f} ms",
        f"{record.queued_ms:.1f} ms",
        size(record.response_bytes),
        "cold" if record.cold else "warm",
        record.id,
        record.error_id or "",
    )
