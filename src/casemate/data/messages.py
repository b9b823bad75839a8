"""Messages as rows: kept, moved from one state to the next, taken away.

Of the messages with one key only the oldest, the head, can be handed out; the others are held back
until it is gone. Those that are ready have an index of their own, so that a million that wait do
not slow down a lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

import msgspec

from casemate.data.errors import LimitError
from casemate.data.limits import MAX_MESSAGES
from casemate.data.registry import TOPIC, Resource
from casemate.data.terms import Terms, terms_of
from casemate.data.work import Work
from casemate.model.messages import Message, NewMessage
from casemate.sqlite.engine import Connection


class State(IntEnum):
    """Where a message is. The indexes of the table name these numbers."""

    HELD = 0
    """It waits for another one of its key."""
    READY = 1
    DELAYED = 2
    LEASED = 3


COLUMNS = (
    "id, body, sent_at, attempts, key, priority, expires_at, invocation, qualifier, labels, "
    "attributes, admitted, fence"
)
"""What `message` takes, in its order."""
_TRACE, _KEY = "", " "
"""Stand for the trace, and for a key that is not kept itself: names that no attribute has."""
_INSERT = (
    "INSERT INTO message (id, queue, state, visible_at, attempts, priority, sent_at, expires_at, "
    "key, invocation, qualifier, labels, body, caller, attributes, admitted"
)
_INSERT_WAITING, _INSERT_LEASED = f"{_INSERT})", f"{_INSERT}, fence)"
_HEAD = (
    "SELECT id FROM message INDEXED BY message_key "
    "WHERE queue = ? AND key = listed.value AND key <> '' ORDER BY id LIMIT 1"
)
"""Of a key the message that may be handed out. Not a join: a key may have a million."""
_TAKEN = f"SELECT value FROM json_each(?) AS listed WHERE ({_HEAD}) IS NOT NULL"  # noqa: S608
# What has no delay is ready, also if the clock was set back to before it was sent.
_PROMOTE = (
    "UPDATE message SET state = "  # noqa: S608
    "CASE WHEN visible_at <= ? OR visible_at = sent_at THEN 1 ELSE 2 END "
    f"WHERE state = 0 AND id IN (SELECT ({_HEAD}) FROM json_each(?) AS listed)"
)


def message(terms: Terms, queue: Resource, row: Any) -> Message:
    """Return a row of COLUMNS as it is handed out."""
    place = (queue.id, row[0])
    labels = terms.open(("message labels", *place), row[9])
    beside = terms.open(("message attributes", *place), row[10])
    attributes, trace, key = unpacked_with_key(beside)
    return Message(
        id=text_of(row[0]),
        body=terms.open(("message", *place, labels, beside), row[1]),
        sent_at=row[2],
        attempts=row[3],
        key=key or row[4],
        priority=row[5],
        expires_at=row[6],
        invocation=row[7],
        qualifier=row[8],
        labels=labels,
        attributes=attributes,
        trace=trace,
        admitted=row[11],
        fence=row[12],
    )


def packed(attributes: dict[str, str], trace: str, key: str = "") -> bytes:
    """Return attributes, trace and key as they are kept together; nothing for none."""
    if trace:
        attributes = {**attributes, _TRACE: trace}
    if key:
        attributes = {**attributes, _KEY: key}
    return msgspec.json.encode(attributes) if attributes else b""


def unpacked(kept: bytes) -> tuple[dict[str, str], str]:
    """Return attributes and trace that were kept."""
    return unpacked_with_key(kept)[:2]


def unpacked_with_key(kept: bytes) -> tuple[dict[str, str], str, str]:
    """Return attributes, trace and key that were kept."""
    if not kept:
        return {}, "", ""
    attributes = msgspec.json.decode(kept, type=dict[str, str])
    return attributes, attributes.pop(_TRACE, ""), attributes.pop(_KEY, "")


def insert(work: Work, queue: Resource, new: NewMessage, now: float) -> int:
    """Keep one message; return its number. The caller counts it (`count`)."""
    (number,) = insert_many(work, queue, (new,), now)
    return number


def insert_many(
    work: Work, queue: Resource, new: Sequence[NewMessage], now: float, until: float | None = None
) -> list[int]:
    """Keep messages in their order; return their numbers. The caller counts them (`count`).

    With `until` they are leased so long from the first, as `as_leased` tells: of plain ones.
    """
    terms = terms_of(work.connection)
    keys = [terms.token("key", one.key) for one in new]
    callers = {name: terms.token("caller", name) for name in {one.caller for one in new}}
    waiting = _taken(work.connection, queue.id, set(filter(None, keys)))
    rows = []
    for number, key, one in zip(terms.numbers("message", len(new)), keys, new, strict=True):
        state = State.HELD if key in waiting else State.DELAYED if one.delay else State.READY
        visible_at, attempts = now + one.delay if one.delay else now, 0
        if until is not None:
            state, visible_at, attempts = State.LEASED, until, 1
        standing = (int(state), visible_at, attempts)
        rows.append(_row(terms, queue, number, key, callers[one.caller], one, now, standing))
        if key:
            waiting.add(key)
    if until is None:
        return terms.insert(work.connection, _INSERT_WAITING, rows)
    return terms.insert(work.connection, _INSERT_LEASED, [(*row, 1) for row in rows])


def as_leased(identity: str, new: NewMessage, now: float) -> Message:
    """Return a message that was kept at `now`, and leased from the first."""
    return Message(
        id=identity,
        body=new.body,
        sent_at=now,
        attempts=1,
        fence=1,
        expires_at=new.expires_at,
        invocation=new.invocation,
        qualifier=new.qualifier,
        labels=new.labels,
        attributes=new.attributes,
        trace=new.trace,
        admitted=new.admitted,
    )


def _taken(connection: Connection, queue: int, keys: set[str]) -> set[str]:
    """Return those keys of which a message is there already."""
    if not keys:
        return set()
    return {row[0] for row in connection.execute(_TAKEN, (_texts(keys), queue))}


def _row(
    terms: Terms,
    queue: Resource,
    number: int | None,
    key: str,
    caller: str,
    new: NewMessage,
    now: float,
    standing: tuple[int, float, int],
) -> tuple[object, ...]:
    """Return what is kept of a message; `key` and `caller` are the tokens of its own."""
    place = (queue.id, number)
    beside = packed(new.attributes, new.trace, terms.beside(new.key))
    return (
        number,
        queue.id,
        *standing,
        new.priority,
        now,
        new.expires_at,
        key,
        new.invocation,
        new.qualifier,
        terms.seal(("message labels", *place), new.labels) if new.labels else b"",
        terms.seal(("message", *place, new.labels, beside), new.body),
        caller,
        terms.seal(("message attributes", *place), beside) if beside else b"",
        new.admitted,
    )


def count(work: Work, queue: Resource, added: int, *, leased: bool = False) -> int:
    """Count messages that were kept; return the bytes that wait with them.

    Who leases is told of those that are not `leased`. Raises LimitError if there is no room.
    """
    if not added:
        return 0
    number, held = work.connection.execute(
        "UPDATE resource SET number = number + ? WHERE id = ? RETURNING number + dead, bytes",
        (added, queue.id),
    ).fetchone()
    require_number(queue, number)
    if not leased:
        _hint(work, queue)
    return int(held)


def require_number(queue: Resource, number: int) -> None:
    """Raise LimitError if a queue would hold more messages than it may."""
    if number > MAX_MESSAGES:
        raise LimitError(
            f"The {queue.kind} {queue.name} holds {MAX_MESSAGES} messages, dead letters included, "
            "which is the most.",
            next_step="Let somebody receive them, or purge it.",
        )


def size_of(terms: Terms, new: NewMessage) -> int:
    """Return how many bytes are counted for a message once it is kept."""
    beside = packed(new.attributes, new.trace, terms.beside(new.key))
    return terms.sealed(len(new.body)) + (terms.sealed(len(beside)) if beside else 0)


def count_down(connection: Connection, queue: int, deleted: int) -> None:
    """Count messages that were taken away."""
    if deleted:
        terms_of(connection).later(
            connection, "UPDATE resource SET number = number - ? WHERE id = ?", (deleted, queue)
        )


def removed(work: Work, queue: Resource, keys: Iterable[str], number: int, now: float) -> None:
    """Count messages that were taken away, and let the next of their keys come forward."""
    count_down(work.connection, queue.id, number)
    freed = set(filter(None, keys))
    if freed and work.connection.execute(_PROMOTE, (now, queue.id, _texts(freed))).rowcount:
        _hint(work, queue)


def _hint(work: Work, queue: Resource) -> None:
    if queue.kind != TOPIC:  # nobody leases those for a function
        work.hint(queue.kind, queue.name)


def _texts(keys: set[str]) -> str:
    return msgspec.json.encode(list(keys)).decode()


def text_of(number: int) -> str:
    """Return a message's or letter's number as its id."""
    return f"{number:016x}"
