"""Leases: messages handed out in order, and the end of each attempt with what follows from it.

An end is done, tried again, or given up; it and what is sent because of it are one transaction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from casemate.data import invocations, letters, messages
from casemate.data.fanout import Fanout
from casemate.data.limits import (
    MAX_RESULT_BYTES,
    MAX_TIME,
    require_seconds,
    require_whole,
    storable,
)
from casemate.data.messages import State
from casemate.data.queues import next_due, require_ids, require_new, spec_of
from casemate.data.registry import INBOX, QUEUE, TOPIC, Registry, Resource
from casemate.data.terms import now as now_of
from casemate.data.terms import terms_of
from casemate.data.work import Work
from casemate.model.errors import InvalidInputError
from casemate.model.messages import (
    Fate,
    InvocationState,
    InvocationStatus,
    Lease,
    Message,
    Settlement,
)
from casemate.sqlite.engine import Connection, Cursor

_PROMOTED_AT_ONCE = 10_000
REMOVED = "removed"
"""Why a letter died whose function was removed before it was handled."""
_RETIRED_AT_ONCE = 500
_MAX_FENCE = 2**62
_READY = (
    f"SELECT {messages.COLUMNS} FROM message INDEXED BY message_ready "  # noqa: S608 - a constant
    "WHERE queue = ? AND state = 1 AND sent_at > ? ORDER BY priority DESC, id LIMIT ?"
)
_PROMOTE = (
    "UPDATE message SET state = 1 WHERE id IN (SELECT id FROM message INDEXED BY "
    "message_pending WHERE queue = ? AND state >= 2 AND visible_at <= ? "
    "ORDER BY visible_at LIMIT ?)"
)
_MOVE = (
    "UPDATE message SET visible_at = visible_at + ? WHERE id IN (SELECT id FROM message "
    "INDEXED BY message_pending WHERE queue = ? AND state >= 2)"
)
_MOVE_HELD = (
    "UPDATE message SET visible_at = visible_at + ? WHERE id IN (SELECT id FROM message "
    "INDEXED BY message_held WHERE queue = ? AND state = 0 AND visible_at <> sent_at)"
)
_OLD = (
    "SELECT id, key, invocation, sent_at, attempts, fence FROM message "
    "WHERE queue = ? AND sent_at <= ? AND (state <> 3 OR visible_at <= ?) "
    "ORDER BY sent_at, id LIMIT ?"
)
_LISTED = "SELECT CAST(value AS INTEGER) FROM json_each(?)"
_DELETE = f"DELETE FROM message WHERE id IN ({_LISTED})"  # noqa: S608 - a constant


def lease(
    work: Work, queue: Resource, fanout: Fanout, limit: int, seconds: float
) -> tuple[Message, ...]:
    """Lease messages that are ready, up to MAX_RESULT_BYTES of them: by priority, then age."""
    return lease_each(work, queue, fanout, ((limit, seconds),))[0]


def lease_each(
    work: Work, queue: Resource, fanout: Fanout, asked: Sequence[tuple[int, float]]
) -> list[tuple[Message, ...]]:
    """Lease messages to several who ask, each for so many at most and so many seconds."""
    now, later = now_of(work.connection), terms_of(work.connection).later
    old = later(work.connection, _OLD, _since(queue, now, _RETIRED_AT_ONCE))
    later(work.connection, _PROMOTE, (queue.id, now, _PROMOTED_AT_ONCE))
    rows = _ready(work.connection, queue, asked, now)
    if found := old():
        rows.close()
        _retire(work, queue, fanout, found, now)  # and the next of their keys may be ready
        rows = _ready(work.connection, queue, asked, now)
    given = _hand_out(work, queue, asked, rows, now)
    while len(given) < len(asked):
        asked_yet = asked[len(given) :]
        rows = _ready(work.connection, queue, asked_yet, now)
        given += _hand_out(work, queue, asked_yet, rows, now)
    return given


def _ready(
    connection: Connection, queue: Resource, asked: Sequence[tuple[int, float]], now: float
) -> Cursor:
    """Return rows that are ready, for all who ask."""
    return connection.execute(
        terms_of(connection).within(_READY, "body", "priority DESC, id"),
        (queue.id, now - spec_of(queue).retention, sum(limit for limit, _ in asked)),
    )


def _hand_out(
    work: Work, queue: Resource, asked: Sequence[tuple[int, float]], rows: Cursor, now: float
) -> list[tuple[Message, ...]]:
    """Lease up to MAX_RESULT_BYTES to the first of those who ask; return what these get."""
    terms = terms_of(work.connection)
    given: list[list[Message]] = [[]]
    until: dict[float, list[int]] = {}
    size = 0
    full = False
    for row in rows:
        size += len(row[1])
        if size > MAX_RESULT_BYTES and until:
            full = True
            break
        if len(given[-1]) == asked[len(given) - 1][0]:
            given.append([])
        leased = (*row[:3], row[3] + 1, *row[4:12], row[12] + 1)
        given[-1].append(messages.message(terms, queue, leased))
        until.setdefault(now + asked[len(given) - 1][1], []).append(row[0])
    rows.close()
    for moment, numbers in until.items():
        _hold(work.connection, numbers, moment)
    # Who is left gets nothing if there was no more, and the next part if it did not fit.
    return [*map(tuple, given), *((),) * (0 if full else len(asked) - len(given))]


def _hold(connection: Connection, numbers: Sequence[int], until: float) -> None:
    terms = terms_of(connection)
    holder = terms.holder
    terms.later(
        connection,
        f"UPDATE message SET state = 3, visible_at = ?, attempts = attempts + 1, "  # noqa: S608
        f"fence = fence + 1{'' if holder is None else ', node = ?, life = ?'} "
        f"WHERE id IN ({_LISTED})",
        (until, *(holder or ()), _listed(numbers)),
    )


def move(work: Work, registry: Registry, seconds: float) -> None:
    """Have all that is leased, delayed or tried again be due so much later.

    So with what has a delay and waits for another one of its key: when it comes forward it is due
    then. Nothing is read of what is ready.
    """
    for resource in registry.values():
        if resource.kind in (QUEUE, TOPIC, INBOX):
            work.connection.execute(_MOVE_HELD, (seconds, resource.id))
            moved = work.connection.execute(_MOVE, (seconds, resource.id))
            if moved.rowcount:
                work.hint(resource.kind, resource.name)


def resume(work: Work, registry: Registry) -> tuple[tuple[str, str, float], ...]:
    """End the leases of nodes and lives that are gone; return where messages wait, until when.

    Where there is no other node, that is every lease.
    """
    connection, now = work.connection, now_of(work.connection)
    abandoned, values = terms_of(connection).abandoned()
    found = []
    for resource in registry.values():
        if resource.kind in (QUEUE, INBOX):
            ended = connection.execute(
                f"UPDATE message SET state = 1, visible_at = ? "  # noqa: S608 - constants
                f"WHERE id IN (SELECT id FROM message INDEXED BY message_pending "
                f"WHERE queue = ? AND state >= 2 AND state = 3{abandoned})",
                (now, resource.id, *values),
            )
            if ended.rowcount:
                work.hint(resource.kind, resource.name)
            due = next_due(connection, resource)
            if due is not None:
                found.append((resource.kind, resource.name, due))
    return tuple(found)


def require_leases(leases: Sequence[Lease]) -> Sequence[Lease]:
    """Return leases if they can be some. Raises InvalidInputError."""
    if isinstance(leases, str) or not all(isinstance(lease, Lease) for lease in leases):
        raise InvalidInputError(
            "A lease is not one of a message.", next_step="Pass leases that `receive` returned."
        )
    require_ids([lease.id for lease in leases])
    for lease in leases:
        require_whole("fence", lease.fence, 0, _MAX_FENCE)
    return leases


def extend(work: Work, queue: Resource, leases: Sequence[Lease], seconds: float) -> int:
    """Have leases end so many seconds from now; return how many were still held."""
    spec_of(queue)
    until, held = now_of(work.connection) + seconds, 0
    for lease in leases:
        held += work.connection.execute(
            "UPDATE message SET visible_at = ? "
            "WHERE id = ? AND queue = ? AND state = 3 AND fence = ?",
            (until, int(lease.id, 16), queue.id, lease.fence),
        ).rowcount
    return held


def acknowledge(work: Work, queue: Resource, leases: Sequence[Lease]) -> int:
    """Delete messages that nobody has leased since; return how many were there."""
    spec_of(queue)
    keys: list[str] = []
    for lease in leases:
        rows = work.connection.execute(
            "DELETE FROM message WHERE id = ? AND queue = ? AND fence = ? RETURNING key",
            (int(lease.id, 16), queue.id, lease.fence),
        ).fetchall()
        keys += [row[0] for row in rows]
    messages.removed(work, queue, keys, len(keys), now_of(work.connection))
    return len(keys)


def require_settlement(settlement: Settlement) -> Settlement:
    """Return the end of an attempt if it can be one. Raises InvalidInputError.

    Its texts are cut and cleaned rather than refused: an end that cannot be kept would bring the
    message back for ever, and a reason can hold what an event brought.
    """
    require_ids([settlement.id])
    require_whole("fence", settlement.fence, 1, _MAX_FENCE)
    require_whole("attempt", settlement.attempt, 1, 2**31)
    require_seconds("again_at", settlement.again_at, MAX_TIME)
    for _, _, new in settlement.sends:
        require_new(new)
    texts = settlement.reason, settlement.error_id, settlement.content_type
    reason, error_id, content_type = clean = tuple(map(storable, texts))
    if clean == texts:
        return settlement
    return msgspec.structs.replace(
        settlement, reason=reason, error_id=error_id, content_type=content_type
    )


def settle(work: Work, queue: Resource, fanout: Fanout, settlements: Sequence[Settlement]) -> int:
    """End attempts; return how many still had their lease.

    Raises NotFoundError or LimitError if something that is to be sent cannot be: then nothing is
    settled.
    """
    return settle_each(work, queue, fanout, (settlements,))[0]


def settle_each(
    work: Work, queue: Resource, fanout: Fanout, all_: Sequence[Sequence[Settlement]]
) -> list[int]:
    """End attempts that several had; return of each how many still had their lease.

    Raises as `settle`: then nothing may be settled.
    """
    spec_of(queue)
    now = now_of(work.connection)
    done, others = _divided(all_)
    settled = [0] * len(all_)
    for ended in _end_done(work, queue, fanout, [one for _, one in done.values()], now):
        settled[done[ended][0]] += 1
    for asker, settlement in others:
        row = work.connection.execute(
            "SELECT id, key, invocation, sent_at FROM message "
            "WHERE id = ? AND queue = ? AND state = 3 AND attempts = ? AND fence = ?",
            (int(settlement.id, 16), queue.id, settlement.attempt, settlement.fence),
        ).fetchone()
        if row is None:
            continue
        settled[asker] += 1
        _end(work, queue, fanout, settlement, row, now)
        for kind, name, new in settlement.sends:
            fanout.send(work, kind, name, (new,))
    return settled


_Asked = tuple[int, Settlement]
"""Which of those who settle asks for it."""


def _divided(all_: Sequence[Sequence[Settlement]]) -> tuple[dict[int, _Asked], list[_Asked]]:
    """Return the ends that are done and nothing more, one of each message, and all others."""
    done: dict[int, _Asked] = {}
    others = []
    for asker, settlements in enumerate(all_):
        for one in settlements:
            if one.fate is Fate.DONE and not one.sends and int(one.id, 16) not in done:
                done[int(one.id, 16)] = asker, one
            else:
                others.append((asker, one))
    return done, others


def _end_done(
    work: Work, queue: Resource, fanout: Fanout, settlements: Sequence[Settlement], now: float
) -> list[int]:
    """End attempts that need nothing but to be over; return which still had their lease.

    Most are: a few statements for all of them, since each gives the interpreter's lock away.
    """
    if not settlements:
        return []
    by_number = {int(one.id, 16): one for one in settlements}
    rows = work.connection.execute(
        "SELECT id, key, invocation, sent_at, attempts, fence FROM message "  # noqa: S608
        # Not by the queue, which may hold a million: a plus keeps its indexes out.
        f"WHERE id IN ({_LISTED}) AND +queue = ? AND state = 3",
        (_listed(by_number), queue.id),
    ).fetchall()
    keys: list[str] = []
    ended: list[InvocationStatus] = []
    numbers: list[int] = []
    for number, key, invocation, sent_at, attempts, fence in rows:
        settlement = by_number[number]
        if (attempts, fence) != (settlement.attempt, settlement.fence):
            continue
        numbers.append(number)
        keys.append(key)
        if invocation and queue.kind == INBOX:
            ended.append(_status(queue, settlement, invocation, sent_at, now))
    if numbers:
        terms_of(work.connection).later(work.connection, _DELETE, (_listed(numbers),))
        messages.removed(work, queue, keys, len(numbers), now)
    if ended:
        invocations.end(work.connection, ended, now + fanout.routes.keep_results(queue))
    return numbers


def _listed(numbers: Iterable[int]) -> str:
    return msgspec.json.encode(list(numbers)).decode()


def _status(
    queue: Resource, settlement: Settlement, invocation: str, sent_at: float, now: float
) -> InvocationStatus:
    dead = settlement.fate is Fate.DEAD
    return InvocationStatus(
        id=invocation,
        function=queue.name,
        state=InvocationState.FAILED if dead else InvocationState.SUCCEEDED,
        attempts=settlement.attempt,
        accepted_at=sent_at,
        finished_at=now,
        status=settlement.status,
        content_type=settlement.content_type,
        result=settlement.result,
        reason=settlement.reason,
        error_id=settlement.error_id,
    )


def _end(
    work: Work, queue: Resource, fanout: Fanout, settlement: Settlement, row: Any, now: float
) -> None:
    number, key, invocation, sent_at = row
    if settlement.fate is Fate.RETRY:
        due = max(settlement.again_at, now)
        state = State.READY if due <= now else State.DELAYED
        work.connection.execute(
            "UPDATE message SET state = ?, visible_at = ?, attempts = attempts - ? WHERE id = ?",
            (int(state), due, int(not settlement.counted), number),
        )
        work.hint(queue.kind, queue.name)
        return
    dead = settlement.fate is Fate.DEAD
    if dead:
        letters.bury(
            work, queue, fanout.routes, number, settlement.reason, settlement.error_id, now
        )
    else:
        work.connection.execute("DELETE FROM message WHERE id = ?", (number,))
    messages.removed(work, queue, (key,), 1, now)
    if invocation and queue.kind == INBOX:
        status = _status(queue, settlement, invocation, sent_at, now)
        invocations.end(work.connection, (status,), now + fanout.routes.keep_results(queue))


def retire(
    work: Work, queue: Resource, fanout: Fanout, now: float, batch: int = _RETIRED_AT_ONCE
) -> int:
    """Take away up to `batch` messages past the retention that nobody has; return how many.

    What a function would have got becomes a dead letter, anything else is dropped.
    """
    rows = work.connection.execute(_OLD, _since(queue, now, batch)).fetchall()
    _retire(work, queue, fanout, rows, now)
    return len(rows)


def give_up(work: Work, inbox: Resource, fanout: Fanout, now: float) -> int:
    """Make a batch of what waits for a removed function dead letters; return how many.

    What a call has in hand, too: who settles it then changes nothing.
    """
    asked = (inbox.id, math.inf, math.inf, _RETIRED_AT_ONCE)
    rows = work.connection.execute(_OLD, asked).fetchall()
    _retire(work, inbox, fanout, rows, now, REMOVED)
    return len(rows)


def _since(queue: Resource, now: float, batch: int) -> tuple[object, ...]:
    return queue.id, now - spec_of(queue).retention, now, batch


def _retire(
    work: Work,
    queue: Resource,
    fanout: Fanout,
    rows: Sequence[Any],
    now: float,
    reason: str = "retention",
) -> None:
    fate = Fate.DEAD if fanout.routes.delivers(queue) else Fate.DONE
    for *row, attempts, fence in rows:
        settlement = Settlement(
            id=messages.text_of(row[0]),
            fence=fence,
            attempt=attempts,
            fate=fate,
            reason=reason,
        )
        _end(work, queue, fanout, settlement, row, now)
