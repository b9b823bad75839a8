"""Queues, topics and inboxes: what can be sent, what is kept, how much waits.

One engine for all three. What is special about topics is in `casemate.data.fanout`; leases and
their ends are in `casemate.data.leasing`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from casemate.data import invocations, kept, messages
from casemate.data.errors import LimitError
from casemate.data.limits import (
    DEDUPLICATION_SECONDS,
    INBOX_DEDUPLICATION_SECONDS,
    MAX_DEDUPLICATION_BYTES,
    MAX_DELAY,
    MAX_MESSAGE_KEY_BYTES,
    MAX_PRIORITY,
    MAX_TIME,
    require_admitted,
    require_attributes,
    require_labels,
    require_seconds,
    require_text,
    require_whole,
)
from casemate.data.messages import text_of
from casemate.data.registry import INBOX, QUEUE, TOPIC, Resource
from casemate.data.routes import Routes
from casemate.data.terms import now as now_of
from casemate.data.terms import terms_of
from casemate.data.work import Work
from casemate.model.errors import InvalidInputError
from casemate.model.grant import QueueSpec
from casemate.model.messages import Depth, NewMessage, QueueInfo
from casemate.sqlite.engine import Connection

MAX_CALLER_NAME_BYTES = 512
_ID = re.compile(r"[0-7][0-9a-f]{15}\Z")


def spec_of(resource: Resource) -> QueueSpec:
    """Return the declaration of a queue, topic or inbox."""
    if not isinstance(resource.spec, QueueSpec):
        raise InvalidInputError(
            f"{resource.name} is a {resource.kind}, expected a queue or a topic."
        )
    return resource.spec


def require_body(body: object) -> bytes:
    """Return the body of a message if it is JSON in UTF-8. Raises InvalidInputError."""
    if type(body) is not bytes:
        raise InvalidInputError(f"The message is a {type(body).__name__}, expected bytes of JSON.")
    try:
        body.decode()
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError("The message is not JSON in UTF-8.") from error
    return body


def require_deduplication(token: object) -> None:
    """Refuse what cannot be a deduplication token."""
    if token is not None:
        require_text("deduplication", token, least=1, most=MAX_DEDUPLICATION_BYTES)


def require_new(new: NewMessage) -> NewMessage:
    """Return a message if it can be kept. Raises InvalidInputError."""
    require_body(new.body)
    require_deduplication(new.deduplication)
    # Most messages have hardly any of these, and what is not there needs no check.
    if new.delay != 0:
        require_seconds("delay", new.delay, MAX_DELAY)
    if new.key != "":
        require_text("key of the message", new.key, most=MAX_MESSAGE_KEY_BYTES)
    if new.priority != 0:
        require_whole("priority", new.priority, -MAX_PRIORITY, MAX_PRIORITY)
    if new.expires_at is not None:
        require_seconds("time of expiry", new.expires_at, MAX_TIME)
    if new.invocation != "":
        require_text("invocation", new.invocation, most=MAX_DEDUPLICATION_BYTES)
    if new.qualifier != "":
        require_text("qualifier", new.qualifier, most=MAX_DEDUPLICATION_BYTES)
    if new.caller != "":
        require_text("caller", new.caller, most=MAX_CALLER_NAME_BYTES)
    if new.labels != b"":
        require_labels(new.labels)
    if new.admitted != b"":
        require_admitted(new.admitted)
    if new.attributes:
        require_attributes(new.attributes)
    return new


def require_ids(ids: Sequence[str]) -> None:
    """Refuse what cannot be ids of messages or dead letters."""
    if isinstance(ids, str) or not all(isinstance(i, str) and _ID.match(i) for i in ids):
        raise InvalidInputError(
            "An id is not one of a message.", next_step="Pass ids that `receive` returned."
        )


def keep(work: Work, queue: Resource, new: Sequence[NewMessage]) -> tuple[str, ...]:
    """Keep messages; return their ids. Raises LimitError."""
    spec, now = spec_of(queue), now_of(work.connection)
    for one in new:
        require_size(queue, spec, one)
    if any(one.deduplication is not None for one in new):
        ids, added = _insert_once(work, queue, new, now)
    else:
        ids = messages.insert_many(work, queue, new, now)
        added = len(ids)
    held = messages.count(work, queue, added)
    if added:
        caller, anonymous = next(((n.caller, n.anonymous) for n in new), ("", False))
        kept.require_room(work.connection, queue, held, caller, anonymous)
    return tuple(map(text_of, ids))


def _insert_once(
    work: Work, queue: Resource, new: Sequence[NewMessage], now: float
) -> tuple[list[int], int]:
    """Keep messages but those that were sent not long ago; return all numbers, and how many."""
    ids: list[int] = []
    added = 0
    for one in new:
        first = first_of(work.connection, queue, one.deduplication, now)
        if first is not None:
            ids.append(first)
            continue
        number = messages.insert(work, queue, one, now)
        remember(work.connection, queue, one.deduplication, number, now)
        ids.append(number)
        added += 1
    return ids, added


def require_size(queue: Resource, spec: QueueSpec, new: NewMessage) -> None:
    """Refuse a message that is larger than its queue takes."""
    if len(new.body) > spec.max_message:
        raise LimitError(
            f"The message has {len(new.body)} bytes; the {queue.kind} {spec.name} takes "
            f"{spec.max_message}.",
            next_step="Keep large content in a bucket and send its key.",
        )


def first_of(connection: Connection, queue: Resource, token: str | None, now: float) -> int | None:
    """Return the message that was sent with a deduplication token not long ago, if any."""
    if token is None:
        return None
    seconds = INBOX_DEDUPLICATION_SECONDS if queue.kind == INBOX else DEDUPLICATION_SECONDS
    first = connection.execute(
        "SELECT message FROM deduplication WHERE queue = ? AND token = ? AND at > ?",
        (queue.id, terms_of(connection).token("deduplication", token), now - seconds),
    ).fetchone()
    return None if first is None else int(first[0])


def remember(
    connection: Connection, queue: Resource, token: str | None, number: int, now: float
) -> None:
    """Keep a deduplication token from now on."""
    if token is not None:
        connection.execute(
            "INSERT INTO deduplication (queue, token, message, at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (queue, token) DO UPDATE SET message = excluded.message, at = excluded.at",
            (queue.id, terms_of(connection).token("deduplication", token), number, now),
        )


def next_due(connection: Connection, queue: Resource) -> float | None:
    """Return when a message can be leased next; now if one can be already."""
    spec_of(queue)
    ready = connection.execute(
        "SELECT 1 FROM message INDEXED BY message_ready WHERE queue = ? AND state = 1 LIMIT 1",
        (queue.id,),
    ).fetchone()
    if ready is not None:
        return now_of(connection)
    (due,) = connection.execute(
        "SELECT min(visible_at) FROM message INDEXED BY message_pending "
        "WHERE queue = ? AND state >= 2",
        (queue.id,),
    ).fetchone()
    return None if due is None else float(due)


def info(connection: Connection, queue: Resource) -> QueueInfo:
    """Return how much waits: what is delayed or leased is counted, what is too old is not."""
    since = now_of(connection) - spec_of(queue).retention
    row = connection.execute(
        "SELECT number, dead FROM resource WHERE id = ?", (queue.id,)
    ).fetchone()
    number, dead = row or (0, 0)
    (old,) = connection.execute(
        "SELECT count(*) FROM message WHERE queue = ? AND sent_at <= ?", (queue.id, since)
    ).fetchone()
    (oldest,) = connection.execute(
        "SELECT min(sent_at) FROM message WHERE queue = ? AND sent_at > ?", (queue.id, since)
    ).fetchone()
    return QueueInfo(name=queue.name, waiting=number - old, oldest_at=oldest, dead=dead)


MAX_DEPTHS = 10_000
"""Queues, topics and inboxes of a project that are told together."""


def depths(connection: Connection) -> tuple[Depth, ...]:
    """Return how much waits in each queue, topic and inbox."""
    rows = connection.execute(
        "SELECT kind, name, number, dead, "
        "(SELECT min(sent_at) FROM message WHERE queue = resource.id) "
        "FROM resource WHERE kind IN (?, ?, ?) ORDER BY kind, name LIMIT ?",
        (QUEUE, TOPIC, INBOX, MAX_DEPTHS),
    )
    return tuple(
        Depth(kind=kind, name=name, waiting=number, oldest_at=oldest, dead=dead)
        for kind, name, number, dead, oldest in rows
    )


def purge(work: Work, queue: Resource, routes: Routes) -> int:
    """Delete every message; return how many."""
    spec_of(queue)
    connection = work.connection
    invocations.purged(connection, queue, routes.keep_results(queue), now_of(connection))
    deleted = connection.execute("DELETE FROM message WHERE queue = ?", (queue.id,)).rowcount
    messages.count_down(connection, queue.id, deleted)
    return deleted
