"""`casemate invocations`: what was called lately."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from casemate.cli.behind import note_behind
from casemate.cli.client import connect
from casemate.cli.errors import UsageError
from casemate.cli.operation_command import asked
from casemate.cli.options import JsonOption, new_app
from casemate.cli.terminal import note, print_json, print_prose, print_table
from casemate.cli.text import moment, size, version_name
from casemate.model.invocation import InvocationRecord, RunningInvocation
from casemate.operations.delivery import ShowInvocationStatus
from casemate.operations.records import Invocations, ListInvocations, ShowInvocation

app = new_app()


@asked(
    app,
    ListInvocations,
    examples="""\
$ casemate invocations hello
$ casemate invocations hello --outcome handler-error --since 1h
$ casemate invocations --caller user:ada -n 5
$ casemate invocations --id 0198c1 --json
$ casemate invocations thumbnail --status inv_1f0a
""",
)
def invocations(
    wanted: ListInvocations,
    *,
    id: Annotated[str | None, typer.Option("--id", help="Only this one.")] = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="ID",
            help="The state of this asynchronous invocation of FUNCTION, and its answer.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the latest invocations.

    Running invocations come first. A request that led to no function has none: the error of its
    answer says which path was asked for (`casemate errors show`), and `casemate denials` does if it
    was denied.
    """
    filters = (wanted.outcome, wanted.version or None, wanted.since, wanted.until, wanted.caller)
    filtered = any(value is not None for value in filters)
    if filtered and (status is not None or id is not None):
        raise UsageError(
            "An id is given and a filter too, expected one of them.",
            next_step="Leave out the filter: the id is enough.",
        )
    if status is not None:
        _print_status(wanted, id, status, json=json)
        return
    if id is not None and wanted.function is not None:
        raise UsageError(
            "Both a function and an id are given, expected one of them.",
            next_step="Leave out the function: the id is enough.",
        )
    with connect() as client:
        if id is not None:
            found = Invocations(invocations=(client.call(ShowInvocation(id=id)),))
        else:
            found = client.call(wanted)
    if json:
        print_json(found)
        return
    _print(found)
    note_behind(found.behind)


_COLUMNS = (
    *("started", "function", "outcome", "status", "run", "queued", "out", "start"),
    *("caller", "route", "id", "error"),
)
_ALWAYS_BESIDE = frozenset({"started", "function", "outcome", "run"})
"""Those that stand in the line itself; the others below it where that is too narrow."""


def _print(found: Invocations) -> None:
    several = any(record.node for record in found.invocations)
    columns = (*_COLUMNS, "node") if several else _COLUMNS
    # They are kept as they end; what is looked at is when they started.
    ended = sorted(found.invocations, key=lambda one: one.started_at, reverse=True)
    print_table(
        columns,
        [
            *((*_running_columns(one), *([""] * several)) for one in found.running),
            *((*_columns(one), *([one.node] * several)) for one in ended),
        ],
        below=tuple(name for name in columns if name not in _ALWAYS_BESIDE),
        empty="There are no invocations that fit.",
    )


def _print_status(wanted: ListInvocations, id: str | None, status: str, *, json: bool) -> None:
    project, function = wanted.project, wanted.function
    if project is None or function is None or id is not None:
        raise UsageError(
            "A status is asked for, expected the function that was invoked and nothing else.",
            next_step="Such as: casemate invocations shop/thumbnail --status ID",
        )
    with connect() as client:
        found = client.call(ShowInvocationStatus(project=project, function=function, id=status))
    if json:
        print_json(found)
        return
    tried = f", attempt {found.attempts}" if found.attempts else ""
    ended = "" if found.finished_at is None else f" at {moment(found.finished_at)}"
    why = f": {found.reason}" if found.reason else ""
    print_prose(f"{found.id}: {found.state}{ended}{tried}{why}")
    if found.error_id:
        note(f"Next: `casemate errors show {found.error_id}` tells what happened.")
    if found.result_base64 is not None:
        note(f"The answer is {found.content_type or 'of no type'}; --json prints it in base64.")
    elif found.result is not None:
        print_json(found.result)


def _running_columns(record: RunningInvocation) -> tuple[str, ...]:
    return (
        moment(record.started_at),
        f"{record.project}/{record.function}@{record.version}",
        "running",
        "",
        f"{(time.time() - record.started_at) * 1000:.0f} ms",
        *("",) * 5,
        record.id,
        "",
    )


def _columns(record: InvocationRecord) -> tuple[str, ...]:
    return (
        moment(record.started_at),
        version_name(record.project, record.function, record.version),
        record.outcome.value,
        str(record.status),
        f"{record.run_ms:.1f} ms",
        f"{record.queued_ms:.1f} ms",
        size(record.response_bytes),
        _start(record),
        record.caller,
        record.route,
        record.id,
        record.error_id or "",
    )


def _start(record: InvocationRecord) -> str:
    """Return how the instance was had; nothing for a call that was refused before it had one."""
    if not record.version:
        return ""
    return "cold" if record.cold else "warm"
