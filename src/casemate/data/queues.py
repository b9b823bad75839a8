"""Messages of queues and topics: sent, leased in order, acknowledged, dropped when too old.

A message is `ready`, or it waits for `visible_at`: because it was sent with a delay, or because
somebody leased it. The ready ones have an index of their own, so that many that wait do not slow
down those who receive.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from casemate.data.database import Connection
from casemate.data.errors import LimitError
from casemate.data.interface import Message, QueueInfo
from casemate.data.limits import (
    DEDUPLICATION_SECONDS,
    MAX_DEDUPLICATION_BYTES,
    MAX_MESSAGES,
    MAX_RESULT_BYTES,
    require_text,
)
from casemate.model.errors import InvalidInputError
from casemate.model.grant import QueueSpec

if TYPE_CHECKING:
    from casemate.data.resources import Resource
    from casemate.data.writer import Work

_ID = re.compile(r"[0-7][0-9a-f]{15}\Z")
_PROMOTED_AT_ONCE = 10_000


def spec_of(resource: Resource) -> QueueSpec:
    """Return the declaration of a queue or topic."""
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


def send(work: Work, queue: Resource, body: bytes, delay: float, token: str | None) -> str:
    """Keep a message; return its id. Raises LimitError."""
    spec, connection, now = spec_of(queue), work.connection, time.time()
    if len(body) > spec.max_message:
        raise LimitError(
            f"The message has {len(body)} bytes; the {queue.kind} {spec.name} takes "
            f"{spec.max_message}.",
            next_step="Keep large content in a bucket and send its key.",
        )
    if token is not None:
        first = connection.execute(
            "SELECT message FROM deduplication WHERE queue = ? AND token = ? AND at > ?",
            (queue.id, token, now - DEDUPLICATION_SECONDS),
        ).fetchone()
        if first is not None:
            return _text(first[0])
    (number,) = connection.execute(
        "UPDATE resource SET number = number + 1 WHERE id = ? RETURNING number", (queue.id,)
    ).fetchone()
    if number > MAX_MESSAGES:
        raise LimitError(
            f"The {queue.kind} {spec.name} holds {MAX_MESSAGES} messages, which is the most.",
            next_step="Let somebody receive them, or purge it.",
        )
    identity = connection.execute(
        "INSERT INTO message (queue, sent_at, ready, visible_at, attempts, body) "
        "VALUES (?, ?, ?, ?, 0, ?)",
        (queue.id, now, int(delay == 0), now + delay, body),
    ).lastrowid
    if token is not None:
        connection.execute(
            "INSERT OR REPLACE INTO deduplication (queue, token, message, at) VALUES (?, ?, ?, ?)",
            (queue.id, token, identity, now),
        )
    return _text(int(identity or 0))


def receive(work: Work, queue: Resource, limit: int, lease: float) -> tuple[Message, ...]:
    """Lease the oldest messages that are ready, up to MAX_RESULT_BYTES of them."""
    spec, connection, now = spec_of(queue), work.connection, time.time()
    connection.execute(
        "UPDATE message SET ready = 1 WHERE id IN (SELECT id FROM message "
        "WHERE queue = ? AND ready = 0 AND visible_at <= ? ORDER BY visible_at LIMIT ?)",
        (queue.id, now, _PROMOTED_AT_ONCE),
    )
    messages: list[Message] = []
    size = 0
    rows = connection.execute(
        "SELECT id, body, sent_at, attempts FROM message INDEXED BY message_ready "
        "WHERE queue = ? AND ready = 1 AND sent_at > ? ORDER BY id LIMIT ?",
        (queue.id, now - spec.retention, limit),
    )
    for identity, body, sent_at, attempts in rows:
        size += len(body)
        if messages and size > MAX_RESULT_BYTES:
            break
        messages.append(
            Message(id=_text(identity), body=body, sent_at=sent_at, attempts=attempts + 1)
        )
    rows.close()
    connection.executemany(
        "UPDATE message SET ready = 0, visible_at = ?, attempts = attempts + 1 WHERE id = ?",
        [(now + lease, int(message.id, 16)) for message in messages],
    )
    return tuple(messages)


def acknowledge(work: Work, queue: Resource, ids: Sequence[str]) -> int:
    """Delete messages; return how many were there."""
    spec_of(queue)
    deleted = 0
    for text in ids:
        deleted += work.connection.execute(
            "DELETE FROM message WHERE id = ? AND queue = ?", (int(text, 16), queue.id)
        ).rowcount
    _count_down(work.connection, queue.id, deleted)
    return deleted


def require_ids(ids: Sequence[str]) -> None:
    """Refuse what cannot be ids of messages."""
    if isinstance(ids, str) or not all(isinstance(i, str) and _ID.match(i) for i in ids):
        raise InvalidInputError(
            "An id is not one of a message.", next_step="Pass ids that `receive` returned."
        )


def info(connection: Connection, queue: Resource) -> QueueInfo:
    """Return how much waits: what is delayed or leased is counted, what is too old is not."""
    since = time.time() - spec_of(queue).retention
    row = connection.execute("SELECT number FROM resource WHERE id = ?", (queue.id,)).fetchone()
    (old,) = connection.execute(
        "SELECT count(*) FROM message WHERE queue = ? AND sent_at <= ?", (queue.id, since)
    ).fetchone()
    (oldest,) = connection.execute(
        "SELECT min(sent_at) FROM message WHERE queue = ? AND sent_at > ?", (queue.id, since)
    ).fetchone()
    return QueueInfo(name=queue.name, waiting=(row[0] if row else 0) - old, oldest_at=oldest)


def purge(work: Work, queue: Resource) -> int:
    """Delete every message; return how many."""
    spec_of(queue)
    deleted = work.connection.execute("DELETE FROM message WHERE queue = ?", (queue.id,)).rowcount
    _count_down(work.connection, queue.id, deleted)
    return deleted


def delete_old(connection: Connection, queue: Resource, now: float, batch: int) -> int:
    """Delete up to `batch` messages past the queue's retention; return how many."""
    deleted = connection.execute(
        "DELETE FROM message WHERE id IN (SELECT id FROM message "
        "WHERE queue = ? AND sent_at <= ? ORDER BY sent_at LIMIT ?)",
        (queue.id, now - spec_of(queue).retention, batch),
    ).rowcount
    _count_down(connection, queue.id, deleted)
    return deleted


def _count_down(connection: Connection, queue: int, deleted: int) -> None:
    if deleted:
        connection.execute("UPDATE resource SET number = number - ? WHERE id = ?", (deleted, queue))


def _text(identity: int) -> str:
    return f"{identity:016x}"
