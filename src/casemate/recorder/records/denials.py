"""Denied attempts, in SQL: rows in, rows out. Written with the records, in the same commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from casemate.model.denial import Denial, DenialKind
from casemate.operations.performing import DirectPerformers
from casemate.operations.records import Denials, ListDenials
from casemate.sqlite import engine
from casemate.sqlite.transaction import savepoint
from casemate.store.sqlite.faults import UNSTORABLE
from casemate.store.sqlite.questions import conditions, require_limit
from casemate.store.sqlite.text import clean

MAX_REASON = 1024
"""Characters kept of a reason and of a resource."""

_COLUMNS = (
    "at, kind, principal, action, resource, reason, project, function, version, invocation, "
    "remote_address, count"
)
_INSERT = f"INSERT INTO denial (stored_at, {_COLUMNS}) VALUES ({','.join('?' * 13)})"  # noqa: S608
_SELECT = f"SELECT {_COLUMNS} FROM denial "  # noqa: S608

performs = DirectPerformers()


def insert_denials(connection: engine.Connection, entries: Sequence[Denial], now: float) -> int:
    """Insert denials, each wholly or not at all; return how many were not.

    `now` is the Unix time to keep as `stored_at`. Raises the engine's error if the medium fails.
    """
    try:
        with savepoint(connection):
            connection.executemany(_INSERT, [_row(denial, now) for denial in entries])
    except UNSTORABLE:
        if len(entries) == 1:
            return 1
        return sum(insert_denials(connection, (entry,), now) for entry in entries)
    return 0


@performs(ListDenials)
def denials(connection: engine.Connection, operation: ListDenials) -> Denials:
    """Return the newest denials, newest first."""
    require_limit(operation.limit)
    where, values = conditions(
        (
            ("invocation", operation.invocation),
            ("function", operation.function),
            ("project", operation.project),
        )
    )
    rows = connection.execute(
        f"{_SELECT}{where} ORDER BY sequence DESC LIMIT ?", (*values, operation.limit)
    )
    return Denials(denials=tuple(map(_denial, rows)))


def _row(denial: Denial, now: float) -> tuple[str | int | float, ...]:
    return (
        now,
        denial.at,
        denial.kind.value,
        clean(denial.by),
        clean(denial.action),
        clean(denial.resource, MAX_REASON),
        clean(denial.reason, MAX_REASON),
        clean(denial.project),
        clean(denial.function),
        denial.version,
        clean(denial.invocation),
        clean(denial.remote_address),
        denial.count,
    )


def _denial(row: tuple[Any, ...]) -> Denial:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    kind, by = DenialKind(values["kind"]), values.pop("principal")
    return Denial(**{**values, "kind": kind, "by": by})
