"""Denied attempts, in SQL: rows in, rows out. Written with the records, in the same commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from casemate.model.denial import Denial, DenialKind
from casemate.operations.records import ListDenials
from casemate.recorder.records.faults import UNSTORABLE
from casemate.recorder.records.rows import Page, page
from casemate.recorder.records.text import clean
from casemate.sqlite import engine
from casemate.sqlite.questions import conditions, require_limit
from casemate.sqlite.transaction import savepoint

MAX_REASON = 1024
"""Characters kept of a reason and of a resource."""

_COLUMNS = (
    "at, kind, principal, action, resource, reason, project, function, version, invocation, "
    "remote_address, count"
)
_INSERT = f"INSERT INTO denial (stored_at, {_COLUMNS}) VALUES ({','.join('?' * 13)})"  # noqa: S608
_SELECT = (
    f"SELECT {_COLUMNS}, "  # noqa: S608 - names of ours
    "coalesce((SELECT name FROM node WHERE number = denial.node), ''), sequence FROM denial "
)


class ListedDenial(msgspec.Struct, frozen=True, array_like=True):
    """A denial, and its place in the list."""

    denial: Denial
    sequence: int

    @property
    def at(self) -> float:
        """When it happened."""
        return self.denial.at

    @property
    def node(self) -> str:
        """Which node it was on."""
        return self.denial.node


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


def denials(connection: engine.Connection, operation: ListDenials, at: int | None = None) -> Page:
    """Return the newest denials, newest first; `at` is where the page before ended."""
    require_limit(operation.limit)
    where, values = conditions(
        (
            ("invocation", operation.invocation),
            ("function", operation.function),
            ("project", operation.project),
            ("principal", operation.caller),
            ("remote_address", operation.address),
        )
    )
    for column, sign, bound in (
        ("at", ">=", operation.since),
        ("at", "<", operation.until),
        ("sequence", "<", operation.before),
        ("sequence", "<", at),
    ):
        if bound is not None:
            where += f"{' AND' if where else 'WHERE'} {column} {sign} ?"
            values = (*values, bound)
    rows = connection.execute(
        f"{_SELECT}{where} ORDER BY sequence DESC LIMIT ?", (*values, operation.limit)
    )
    return page(rows, _listed)


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


def _listed(row: tuple[Any, ...]) -> ListedDenial:
    values = dict(zip((*_COLUMNS.split(", "), "node"), row[:-1], strict=True))
    kind, by = DenialKind(values["kind"]), values.pop("principal")
    return ListedDenial(Denial(**{**values, "kind": kind, "by": by}), row[-1])
