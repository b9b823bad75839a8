"""Dead letters: messages that were given up, kept with the reason until somebody decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from casemate.data import invocations, messages
from casemate.data.limits import storable
from casemate.data.messages import text_of
from casemate.data.registry import INBOX, Resource
from casemate.data.routes import Routes
from casemate.data.terms import Terms, terms_of
from casemate.data.work import Work
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import NotFoundError
from casemate.model.messages import REDRIVEN, REDRIVEN_HERE, DeadLetter, LetterCount, NewMessage
from casemate.sqlite.engine import Connection

_BATCH = 500
_QUEUE_MESSAGE = "casemate.queue.message"
_FIELDS = (
    "letter.id, trigger, event_type, reason, error_id, attempts, sent_at, died_at, length(body), "
    "invocation"
)
_INSERT = (
    "INSERT INTO letter (id, queue, died_at, trigger, event_type, reason, error_id, attempts, "
    "priority, sent_at, expires_at, key, invocation, qualifier, labels, attributes, body)"
)


_MAX_READ = 4 << 20
"""Bytes of events that are read for what they are about: a page may be of a thousand."""


class _Subject(msgspec.Struct):
    """What an event is about."""

    subject: str = ""


class _Head(msgspec.Struct):
    """What a letter shows of an event."""

    type: str = ""
    trigger: str = ""


def bury(
    work: Work,
    queue: Resource,
    routes: Routes,
    number: int,
    reason: str,
    error_id: str,
    now: float,
) -> None:
    """Make a message a dead letter, and its invocation one that failed.

    The caller counts it as taken away (`messages.removed`).
    """
    connection = work.connection
    *row, labels, attributes, body = connection.execute(
        "DELETE FROM message WHERE id = ? RETURNING attempts, priority, sent_at, expires_at, key, "
        "invocation, qualifier, labels, attributes, body",
        (number,),
    ).fetchone()
    terms = terms_of(connection)
    was = (queue.id, number)
    labels = terms.open(("message labels", *was), labels)
    attributes = terms.open(("message attributes", *was), attributes)
    body = terms.open(("message", *was, labels, attributes), body)
    head = _head(queue, routes, body)
    (letter,) = terms.numbers("letter", 1)
    place = (queue.id, letter)
    terms.insert(
        connection,
        _INSERT,
        [
            (
                letter,
                queue.id,
                now,
                terms.seal_text(("letter trigger", *place), storable(head.trigger)),
                terms.seal_text(("letter type", *place), storable(head.type)),
                terms.seal_text(("letter reason", *place), reason),
                error_id,
                *row,
                terms.seal(("letter labels", *place), labels),
                terms.seal(("letter attributes", *place), attributes),
                terms.seal(("letter", *place, labels, attributes), body),
            )
        ],
    )
    connection.execute("UPDATE resource SET dead = dead + 1 WHERE id = ?", (queue.id,))


def _head(queue: Resource, routes: Routes, body: bytes) -> _Head:
    if queue.kind != INBOX:
        return _Head(type=_QUEUE_MESSAGE, trigger=routes.consumer(queue))
    try:
        return msgspec.json.decode(body, type=decodable(_Head))
    except DECODING_ERRORS:
        return _Head()


def page(
    connection: Connection, queue: Resource, after: str | None, limit: int
) -> tuple[DeadLetter, ...]:
    """Return letters of a queue or inbox in the order in which they died."""
    rows = connection.execute(
        f"SELECT {_FIELDS} FROM letter INDEXED BY letter_queue "  # noqa: S608 - a constant
        "WHERE queue = ? AND id > ? ORDER BY id LIMIT ?",
        (queue.id, -1 if after is None else int(after, 16), limit),
    )
    terms = terms_of(connection)
    return tuple(_letter(terms, row, queue.id, queue.kind, queue.name) for row in rows)


MAX_COUNTS = 10_000
"""Queues and inboxes of a project whose letters are counted together."""


def counts(connection: Connection) -> tuple[LetterCount, ...]:
    """Return how many letters each queue and inbox has, of those that have any."""
    rows = connection.execute(
        "SELECT kind, name, dead, (SELECT min(died_at) FROM letter WHERE queue = resource.id) "
        "FROM resource WHERE dead > 0 ORDER BY kind, name LIMIT ?",
        (MAX_COUNTS,),
    )
    return tuple(
        LetterCount(kind=kind, name=name, letters=dead, oldest_at=oldest or 0.0)
        for kind, name, dead, oldest in rows
    )


def find(connection: Connection, letter: str) -> tuple[DeadLetter, bytes]:
    """Return a letter with its body. Raises NotFoundError."""
    row = connection.execute(
        f"SELECT {_FIELDS}, queue, kind, name, labels, attributes, body FROM letter "  # noqa: S608 - a constant
        "JOIN resource ON resource.id = queue WHERE letter.id = ?",
        (int(letter, 16),),
    ).fetchone()
    if row is None:
        raise NotFoundError(
            "There is no such dead letter.",
            next_step="`casemate dlq ls` lists those that there are.",
        )
    *fields, queue, kind, name, labels, attributes, body = row
    terms = terms_of(connection)
    return (
        _letter(terms, fields, queue, kind, name),
        _body(terms, (queue, row[0]), labels, attributes, body),
    )


def subjects(connection: Connection, numbers: Sequence[int]) -> dict[str, str]:
    """Return what the events of letters are about, by id: of as many as may be read at once."""
    terms, found, left = terms_of(connection), dict[str, str](), _MAX_READ
    for number in numbers:
        row = connection.execute(
            "SELECT queue, length(body), labels, attributes, CASE WHEN length(body) <= ? "
            "THEN body END FROM letter WHERE id = ?",
            (left, number),
        ).fetchone()
        if row is None:
            continue
        queue, size, labels, attributes, body = row
        left -= size
        if left < 0:
            break
        opened = _body(terms, (queue, number), labels, attributes, body)
        try:
            told = msgspec.json.decode(opened, type=decodable(_Subject)).subject
        except DECODING_ERRORS:
            continue
        if told:
            found[text_of(number)] = told
    return found


def _body(
    terms: Terms, place: tuple[int, int], labels: bytes, attributes: bytes, body: bytes
) -> bytes:
    """Return the body of the letter at a place, its queue and its number, in clear."""
    labels = terms.open(("letter labels", *place), labels)
    attributes = terms.open(("letter attributes", *place), attributes)
    return terms.open(("letter", *place, labels, attributes), body)


def _letter(terms: Terms, row: Any, queue: int, kind: str, name: str) -> DeadLetter:
    number, trigger, event_type, reason, error_id, attempts, sent_at, died_at, size, call = row
    place = (queue, number)
    return DeadLetter(
        id=text_of(number),
        kind=kind,
        name=name,
        trigger=terms.open_text(("letter trigger", *place), trigger),
        event_type=terms.open_text(("letter type", *place), event_type),
        reason=terms.open_text(("letter reason", *place), reason),
        error_id=error_id,
        attempts=attempts,
        sent_at=sent_at,
        died_at=died_at,
        size=terms.length(size),
        invocation=call,
    )


def last(connection: Connection, queue: Resource) -> int:
    """Return the number of the letter that died last, 0 if there is none."""
    (number,) = connection.execute(
        "SELECT max(id) FROM letter INDEXED BY letter_queue WHERE queue = ?", (queue.id,)
    ).fetchone()
    return int(number or 0)


def redrive(
    work: Work,
    queue: Resource,
    numbers: Sequence[int] | None,
    at: int,
    most: int,
    now: float,
    *,
    by: str,
    to: Resource | None,
) -> tuple[int, int | None]:
    """Send a batch of letters again, of `numbers` or of all up to number `most`.

    `by` is who has that done; they are sent `to` another inbox where one is given. `at` is where in
    `numbers` to begin. Returns how many it was and where the next batch begins, None at the end.
    """
    batch, following = _batch(work.connection, queue, numbers, at, most)
    return _redrive(work, queue, batch, now, by, to), following


def purge(
    work: Work, queue: Resource, numbers: Sequence[int] | None, at: int, most: int
) -> tuple[int, int | None]:
    """Delete a batch of letters; see `redrive`."""
    batch, following = _batch(work.connection, queue, numbers, at, most)
    return _purge(work, queue, batch), following


def _batch(
    connection: Connection, queue: Resource, numbers: Sequence[int] | None, at: int, most: int
) -> tuple[Sequence[int], int | None]:
    if numbers is None:
        batch: Sequence[int] = _up_to(connection, queue, most, _BATCH)
        more = len(batch) == _BATCH
    else:
        batch = numbers[at : at + _BATCH]
        more = at + _BATCH < len(numbers)
    return batch, at + _BATCH if more else None


def _up_to(connection: Connection, queue: Resource, most: int, limit: int) -> list[int]:
    """Return the oldest letters whose number is at most `most`."""
    rows = connection.execute(
        "SELECT id FROM letter INDEXED BY letter_queue WHERE queue = ? AND id <= ? "
        "ORDER BY id LIMIT ?",
        (queue.id, most, limit),
    )
    return [row[0] for row in rows]


def _redrive(
    work: Work, queue: Resource, numbers: Sequence[int], now: float, by: str, to: Resource | None
) -> int:
    """Send letters again, as new messages with as much time as they had; return how many.

    Of another inbox nobody waits for an end, and no version of it was asked for.
    """
    connection, sent = work.connection, 0
    terms = terms_of(connection)
    for number in numbers:
        row = connection.execute(
            "DELETE FROM letter WHERE id = ? AND queue = ? RETURNING body, key, priority, "
            "expires_at - sent_at, invocation, qualifier, labels, attributes",
            (number, queue.id),
        ).fetchone()
        if row is None:
            continue
        body, key, priority, lifetime, invocation, qualifier, labels, kept = row
        place = (queue.id, number)
        labels = terms.open(("letter labels", *place), labels)
        kept = terms.open(("letter attributes", *place), kept)
        body = terms.open(("letter", *place, labels, kept), body)
        attributes, trace, hidden = messages.unpacked_with_key(kept)
        if queue.kind == INBOX:
            attributes[REDRIVEN] = by
            attributes.pop(REDRIVEN_HERE, None)
            if to is not None:
                attributes[REDRIVEN_HERE] = "1"
        new = NewMessage(
            body=body,
            key=hidden or key,
            priority=priority,
            expires_at=None if lifetime is None else now + lifetime,
            invocation=invocation if to is None else "",
            qualifier=qualifier if to is None else "",
            labels=labels,
            attributes=attributes,
            trace=trace,
        )
        messages.insert(work, to or queue, new, now)
        if to is None:
            invocations.forget_end(connection, invocation)
        sent += 1
    _count_down(connection, queue, sent)
    messages.count(work, to or queue, sent)
    return sent


def _purge(work: Work, queue: Resource, numbers: Sequence[int]) -> int:
    """Delete letters; return how many."""
    connection = work.connection
    deleted = 0
    for number in numbers:
        deleted += connection.execute(
            "DELETE FROM letter WHERE id = ? AND queue = ?", (number, queue.id)
        ).rowcount
    _count_down(connection, queue, deleted)
    return deleted


def delete_old(connection: Connection, queue: Resource, since: float, batch: int) -> int:
    """Delete up to `batch` letters that died before `since`; return how many."""
    deleted = connection.execute(
        "DELETE FROM letter WHERE id IN (SELECT id FROM letter INDEXED BY letter_died "
        "WHERE queue = ? AND died_at <= ? ORDER BY died_at LIMIT ?)",
        (queue.id, since, batch),
    ).rowcount
    _count_down(connection, queue, deleted)
    return deleted


def _count_down(connection: Connection, queue: Resource, number: int) -> None:
    if number:
        connection.execute("UPDATE resource SET dead = dead - ? WHERE id = ?", (number, queue.id))
