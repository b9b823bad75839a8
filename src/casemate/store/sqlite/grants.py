"""Approvals of grants, and what versions used of their grants, in SQL."""

from __future__ import annotations

import msgspec

from casemate.decoding import decodable
from casemate.model.denial import GrantApproval, GrantUse
from casemate.model.errors import InvalidInputError
from casemate.model.grant import Grant
from casemate.operations.grants import CountUses, ListApprovals, ListUses
from casemate.operations.performing import DirectPerformers
from casemate.sqlite import engine

_ADD_USE = """
    INSERT INTO grant_use VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (project, function, version, grant_text, action, prefix) DO UPDATE SET
        first_at = min(grant_use.first_at, excluded.first_at),
        last_at = max(grant_use.last_at, excluded.last_at),
        count = grant_use.count + excluded.count
"""
_SELECT_APPROVALS = """
    SELECT version, added, approved_by, at FROM grant_approval
    WHERE project = ? AND function = ? ORDER BY sequence DESC
"""
_SELECT_USES = """
    SELECT version, grant_text, action, prefix, first_at, last_at, count FROM grant_use
    WHERE project = ?1 AND function = ?2 AND (?3 IS NULL OR version = ?3)
    ORDER BY version DESC, grant_text, action, prefix
"""
_MOST = 2**53

performs = DirectPerformers()


def add_approval(connection: engine.Connection, approval: GrantApproval) -> None:
    """Insert an approval."""
    connection.execute(
        "INSERT INTO grant_approval (project, function, version, added, approved_by, at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (
            approval.project,
            approval.function,
            approval.version,
            msgspec.json.encode(approval.added).decode(),
            approval.by,
            approval.at,
        ),
    )


@performs(ListApprovals)
def approvals(connection: engine.Connection, operation: ListApprovals) -> tuple[GrantApproval, ...]:
    """Return the approvals of a function, newest first."""
    project, function = operation.project, operation.function
    rows = connection.execute(_SELECT_APPROVALS, (project, function))
    return tuple(
        GrantApproval(
            project=project,
            function=function,
            version=version,
            added=msgspec.json.decode(added, type=decodable(tuple[Grant, ...])),
            by=by,
            at=at,
        )
        for version, added, by, at in rows
    )


@performs(CountUses)
def add_uses(connection: engine.Connection, operation: CountUses) -> None:
    """Add counts to what is stored. Raises InvalidInputError for a count below 1."""
    for use in operation.uses:
        if type(use.count) is not int or not 1 <= use.count <= _MOST:
            raise InvalidInputError(
                f"The count of a use is {use.count!r}; expected a whole number from 1."
            )
    connection.executemany(_ADD_USE, [msgspec.structs.astuple(use) for use in operation.uses])


@performs(ListUses)
def uses(connection: engine.Connection, operation: ListUses) -> tuple[GrantUse, ...]:
    """Return what a function's versions used, newest version first."""
    project, function = operation.project, operation.function
    return tuple(
        GrantUse(
            project=project,
            function=function,
            version=number,
            grant=grant,
            action=action,
            prefix=prefix,
            first_at=first_at,
            last_at=last_at,
            count=count,
        )
        for number, grant, action, prefix, first_at, last_at, count in connection.execute(
            _SELECT_USES, (project, function, operation.version)
        )
    )
