"""How asynchronous invocations stand, and which idempotency keys are claimed.

While an invocation waits or runs its message tells; its end gets a row of its own, which is kept
for as long as its function says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from casemate.data import kept
from casemate.data.limits import MAX_ENDS, MAX_KEPT_RESULT, MAX_KEPT_SECONDS, storable
from casemate.data.messages import State
from casemate.data.registry import Resource
from casemate.data.terms import Terms, terms_of
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.messages import InvocationState, InvocationStatus
from casemate.sqlite.engine import Connection

_FIELDS = (
    "invocation, function, state, attempts, accepted_at, finished_at, http_status, content_type, "
    "result, reason, error_id"
)
_INSERT = (
    "INSERT INTO status (id, keep_until, invocation, function, state, attempts, "
    "accepted_at, finished_at, http_status, content_type, result, reason, error_id)"
)
_PURGED = ("purged", b"purged")
"""The one reason that a statement sets itself, of many at once."""


def end(connection: Connection, ended: Sequence[InvocationStatus], keep_until: float) -> None:
    """Keep how invocations ended; their idempotency keys, if they have some, are kept as long.

    A result over MAX_KEPT_RESULT bytes, or beyond what a project may keep of them, is not kept.
    """
    latest, terms = {status.id: status for status in ended}, terms_of(connection)
    names = msgspec.json.encode(list(latest)).decode()
    # Not replaced: what a replacement takes away is counted by no trigger.
    terms.later(
        connection,
        "DELETE FROM status WHERE invocation IN (SELECT value FROM json_each(?))",
        (names,),
    )
    room = kept.room_for_results(connection)
    rows = []
    for number, status in zip(terms.numbers("status", len(latest)), latest.values(), strict=True):
        result = status.result
        if result is not None:
            if len(result) > MAX_KEPT_RESULT or len(result) > room:
                result = None
            else:
                room -= len(result)
        rows.append((number, keep_until, *_row(terms, status, result)))
    terms.insert(connection, _INSERT, rows)
    terms.later(
        connection,
        "UPDATE claim SET keep_until = ? WHERE invocation IN (SELECT value FROM json_each(?))",
        (keep_until, names),
    )


def _row(terms: Terms, status: InvocationStatus, result: bytes | None) -> tuple[object, ...]:
    if result is not None:
        result = terms.seal(("result", status.id), result)
    return (
        status.id,
        status.function,
        status.state.value,
        status.attempts,
        status.accepted_at,
        status.finished_at,
        status.status,
        terms.seal_text(("result type", status.id), storable(status.content_type)),
        result,
        terms.seal_text(("reason", status.id), storable(status.reason)),
        storable(status.error_id),
    )


def forget_end(connection: Connection, invocation: str) -> None:
    """Forget how an invocation ended: it is tried again."""
    if invocation:
        connection.execute("DELETE FROM status WHERE invocation = ?", (invocation,))


def forget_function(connection: Connection, function: str, most: int) -> int:
    """Forget up to `most` ends of a function's invocations, and as many claims; return how many."""
    return sum(
        connection.execute(statement, (function, most)).rowcount
        for statement in (
            "DELETE FROM status WHERE id IN (SELECT id FROM status WHERE function = ? LIMIT ?)",
            "DELETE FROM claim WHERE id IN (SELECT id FROM claim WHERE function = ? LIMIT ?)",
        )
    )


def purged(connection: Connection, queue: Resource, keep: float, now: float) -> None:
    """Keep of all messages of an inbox that they will not be handled any more."""
    connection.execute(
        "DELETE FROM status WHERE invocation IN "
        "(SELECT invocation FROM message WHERE queue = ? AND invocation <> '')",
        (queue.id,),
    )
    connection.execute(
        "INSERT INTO status (keep_until, invocation, function, state, attempts, "
        "accepted_at, finished_at, content_type, reason, error_id) "
        "SELECT ?, invocation, ?, ?, max(attempts), min(sent_at), ?, '', 'purged', '' FROM message "
        "WHERE queue = ? AND invocation <> '' GROUP BY invocation",
        (now + keep, queue.name, InvocationState.FAILED.value, now, queue.id),
    )


def find(connection: Connection, invocation: str, now: float) -> InvocationStatus:
    """Return how an invocation stands. Raises NotFoundError."""
    # Once more: it may have ended between the two, which are no transaction.
    status = (
        _ended(connection, invocation, now)
        or _live(connection, invocation)
        or _ended(connection, invocation, now)
    )
    if status is None:
        raise NotFoundError(
            "There is no such invocation, or its record is no longer stored.",
            next_step="`casemate invocations` lists those that are on record.",
        )
    return status


def _ended(connection: Connection, invocation: str, now: float) -> InvocationStatus | None:
    row = connection.execute(
        f"SELECT {_FIELDS} FROM status WHERE invocation = ? AND keep_until > ?",  # noqa: S608
        (invocation, now),
    ).fetchone()
    return None if row is None else _status(terms_of(connection), row)


def _live(connection: Connection, invocation: str) -> InvocationStatus | None:
    row = connection.execute(
        "SELECT name, state, attempts, sent_at FROM message INDEXED BY message_invocation "
        "JOIN resource ON resource.id = queue "
        "WHERE invocation = ? AND invocation <> '' ORDER BY message.id LIMIT 1",
        (invocation,),
    ).fetchone()
    if row is None:
        return None
    function, state, attempts, sent_at = row
    running = state == State.LEASED
    return InvocationStatus(
        id=invocation,
        function=function,
        state=InvocationState.RUNNING if running else InvocationState.QUEUED,
        attempts=attempts,
        accepted_at=sent_at,
    )


def _status(terms: Terms, row: Any) -> InvocationStatus:
    result, reason = row[8], row[9]
    return InvocationStatus(
        id=row[0],
        function=row[1],
        state=InvocationState(row[2]),
        attempts=row[3],
        accepted_at=row[4],
        finished_at=row[5],
        status=row[6],
        content_type=terms.open_text(("result type", row[0]), row[7]),
        result=None if result is None else terms.open(("result", row[0]), result),
        reason=_PURGED[0] if reason in _PURGED else terms.open_text(("reason", row[0]), reason),
        error_id=row[10],
    )


def claim(
    connection: Connection,
    function: str,
    token: str,
    fingerprint: str,
    invocation: str,
    *,
    claimant: str,
    keep: float,
    now: float,
) -> InvocationStatus | None:
    """Claim an idempotency key; return how the first invocation that claimed it stands, if any.

    A claim whose node ended before its invocation was kept or had ended can be claimed anew.
    Raises ConflictError if it was claimed with another fingerprint.
    """
    terms = terms_of(connection)
    token, fingerprint = terms.token("claim", token), terms.token("fingerprint", fingerprint)
    row = connection.execute(
        "SELECT fingerprint, invocation, claimant, at, keep_until FROM claim "
        "WHERE function = ? AND token = ?",
        (function, token),
    ).fetchone()
    if row is not None:
        status = _claimed(connection, function, row, claimant, now)
        if status is not None:
            if row[0] != fingerprint:
                raise ConflictError(
                    "The idempotency key was used for another request.",
                    next_step="Use a new key for each request, or send the first one unchanged.",
                )
            return status
    connection.execute(
        "INSERT INTO claim (function, token, fingerprint, invocation, claimant, at, keep_until) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (function, token) DO UPDATE SET "
        "fingerprint = excluded.fingerprint, invocation = excluded.invocation, "
        "claimant = excluded.claimant, at = excluded.at, keep_until = excluded.keep_until",
        (function, token, fingerprint, invocation, claimant, now, now + keep),
    )
    return None


def _claimed(
    connection: Connection, function: str, row: Any, claimant: str, now: float
) -> InvocationStatus | None:
    """Return how the invocation of a claim stands; None if the claim is over."""
    _, invocation, claimed_by, at, keep_until = row
    status = _ended(connection, invocation, now) or _live(connection, invocation)
    if status is not None:
        return status
    if keep_until <= now:
        return None
    if claimed_by != claimant and not terms_of(connection).lives(connection, claimed_by):
        return None
    return InvocationStatus(
        id=invocation,
        function=function,
        state=InvocationState.RUNNING,
        attempts=0,
        accepted_at=at,
    )


def abandon(connection: Connection, invocation: str) -> None:
    """Forget the claim of an invocation that did not run."""
    connection.execute("DELETE FROM claim WHERE invocation = ?", (invocation,))


def move(connection: Connection, seconds: float, since: float, now: float) -> None:
    """Have ends and claims be kept so much longer that were not over at a time, by an old clock.

    `now` is what that says. One that was kept while it was days behind would be over at once when
    it is set right; what was kept before it was wrong is far from what it says, and stays.
    """
    for statement in (
        "UPDATE status SET keep_until = keep_until + ? WHERE keep_until > ? AND keep_until <= ?",
        "UPDATE claim SET keep_until = keep_until + ? WHERE keep_until > ? AND keep_until <= ?",
    ):
        connection.execute(statement, (seconds, since, now + MAX_KEPT_SECONDS))


def delete_old(connection: Connection, now: float, batch: int) -> int:
    """Delete up to `batch` ends and as many claims that are not kept any more; return how many."""
    deleted = 0
    for statement in (
        "DELETE FROM status WHERE id IN "
        "(SELECT id FROM status WHERE keep_until <= ? ORDER BY keep_until LIMIT ?)",
        # The claim of an invocation that still waits goes after its end only.
        "DELETE FROM claim WHERE id IN (SELECT id FROM claim WHERE keep_until <= ? AND NOT EXISTS "
        "(SELECT 1 FROM message WHERE message.invocation = claim.invocation "
        "AND message.invocation <> '') ORDER BY keep_until LIMIT ?)",
    ):
        deleted = max(deleted, connection.execute(statement, (now, batch)).rowcount)
    return max(deleted, _delete_most(connection, batch))


def _delete_most(connection: Connection, batch: int) -> int:
    """Delete up to `batch` ends beyond the latest MAX_ENDS, with their claims."""
    # Numbers only grow; gaps among them let a few less than the most be kept.
    rows = connection.execute(
        "DELETE FROM status WHERE id IN (SELECT id FROM status WHERE id <= "
        "(SELECT max(id) FROM status) - ? ORDER BY id LIMIT ?) RETURNING invocation",
        (MAX_ENDS, batch),
    ).fetchall()
    connection.executemany("DELETE FROM claim WHERE invocation = ?", rows)
    return len(rows)
