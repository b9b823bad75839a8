"""Queues, topics and inboxes: what can be sent, what is kept, how much waits.

One engine for all three. What is special about topics is in `casemate.data.fanout`; leases and
their ends are in `casemate.data.leasing`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from casemate.data import invocations, kept, messages
from casemate.data.errors import ForgottenError, LimitError, TooLargeError
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
from casemate.decoding import DECODING_ERRORS
from casemate.model.errors import InvalidInputError
from casemate.model.grant import QueueSpec
from casemate.model.messages import Depth, Message, NewMessage, QueueInfo
from casemate.sqlite.engine import Connection
from casemate.sqlite.transaction import savepoint

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
    except DECODING_ERRORS as error:
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


FORGOTTEN: Final = ""
"""Stands, among deduplication tokens, for those that are forgotten: no message has such a one."""


def require_ids(ids: Sequence[str]) -> None:
    """Refuse what cannot be ids of messages or dead letters."""
    if not isinstance(ids, str):
        for one in ids:
            if not isinstance(one, str) or _ID.match(one) is None:
                break
        else:
            return
    raise InvalidInputError(
        "An id is not one of a message.", next_step="Pass ids that `receive` returned."
    )


def keep(work: Work, queue: Resource, new: Sequence[NewMessage]) -> tuple[str, ...]:
    """Keep messages; return their ids. Raises LimitError."""
    (ids,) = keep_each(work, queue, (new,))
    if isinstance(ids, Exception):
        raise ids
    return ids


def keep_leased_each(
    work: Work, inbox: Resource, asked: Sequence[tuple[Sequence[NewMessage], float]]
) -> list[tuple[Message, ...] | LimitError]:
    """Keep what several send, each leased for so many seconds, and return that, or why not.

    Nothing is leased where others are ready, which go first, or where other nodes lease.
    """
    sends = [new for new, _ in asked]
    if terms_of(work.connection).holder is not None or _is_any_ready(work.connection, inbox):
        kept_ = keep_each(work, inbox, sends)
        return [ids if isinstance(ids, LimitError) else () for ids in kept_]
    now = now_of(work.connection)
    until = now + max(seconds for _, seconds in asked)
    return [
        ids
        if isinstance(ids, LimitError)
        else tuple(messages.as_leased(*one, now) for one in zip(ids, new, strict=True))
        for ids, new in zip(keep_each(work, inbox, sends, now, until), sends, strict=True)
    ]


def keep_each(
    work: Work,
    queue: Resource,
    sends: Sequence[Sequence[NewMessage]],
    now: float | None = None,
    until: float | None = None,
) -> list[tuple[str, ...] | LimitError]:
    """Keep what several send, leased `until` then; return the ids of each, or why it is refused."""
    if now is None:
        now = now_of(work.connection)
    spec = spec_of(queue)
    refused = {n: why for n, new in enumerate(sends) if (why := _too_large(queue, spec, new))}
    refused |= _forgotten(work.connection, queue, sends, now)
    fit = [new for n, new in enumerate(sends) if n not in refused]
    try:
        with savepoint(work.connection):
            numbers = iter(_insert(work, queue, fit, now, until))
    except LimitError:
        # Who has no room is found by one more question, however many they are.
        refused |= _without_room(work, queue, sends, refused)
        fit = [new for n, new in enumerate(sends) if n not in refused]
        numbers = iter(_insert(work, queue, fit, now, until))
    return [
        refused.get(n) or tuple(text_of(next(numbers)) for _ in new) for n, new in enumerate(sends)
    ]


def _without_room(
    work: Work,
    queue: Resource,
    sends: Sequence[Sequence[NewMessage]],
    refused: Collection[int],
) -> dict[int, LimitError]:
    """Return who is refused, if they come in this order, beside those that are already."""
    connection, now = work.connection, now_of(work.connection)
    terms = terms_of(connection)
    room = kept.Room(connection, queue, {one.caller for new in sends for one in new})
    known = set(_first_of(connection, queue, _tokens(sends), now))
    found: dict[int, LimitError] = {}
    for number, new in enumerate(sends):
        fresh = [one for one in new if one.deduplication not in known]
        if number in refused or not fresh:
            continue
        size = sum(messages.size_of(terms, one) for one in fresh)
        try:
            room.take(fresh[0].caller, any(one.anonymous for one in fresh), len(fresh), size)
        except LimitError as error:
            found[number] = error
        else:
            known |= _tokens((fresh,))
    return found


def _tokens(sends: Sequence[Sequence[NewMessage]]) -> set[str]:
    return {one.deduplication for new in sends for one in new if one.deduplication is not None}


def _forgotten(
    connection: Connection, queue: Resource, sends: Sequence[Sequence[NewMessage]], now: float
) -> dict[int, LimitError]:
    """Return which may repeat what was kept, and is forgotten: the clock may have been set since.

    Set forward it has tokens forgotten that are needed once it is set back.
    """
    after = {
        n: min(signed)
        for n, new in enumerate(sends)
        if (signed := [one.made_after for one in new if one.made_after is not None])
    }
    if not after:
        return {}
    seconds = INBOX_DEDUPLICATION_SECONDS if queue.kind == INBOX else DEDUPLICATION_SECONDS
    row = connection.execute(
        "SELECT at FROM deduplication WHERE queue = ? AND token = ?", (queue.id, FORGOTTEN)
    ).fetchone()
    until = max(now - seconds, float("-inf") if row is None else float(row[0]))
    return {n: ForgottenError() for n, least in after.items() if least <= until}


def forget(connection: Connection, until: float, most: int) -> int:
    """Forget a batch of the tokens that were kept until then; return how many there were.

    Of each queue is kept when the newest of them was: see `_forgotten`.
    """
    rows = connection.execute(
        "SELECT queue, max(at) FROM (SELECT queue, at FROM deduplication "
        "WHERE at <= ? AND token <> ? ORDER BY at LIMIT ?) AS old GROUP BY queue",
        (until, FORGOTTEN, most),
    ).fetchall()
    if not rows:
        return 0
    connection.executemany(
        "INSERT INTO deduplication (queue, token, message, at) VALUES (?, ?, 0, ?) "
        "ON CONFLICT (queue, token) DO UPDATE SET at = excluded.at "
        "WHERE deduplication.at < excluded.at",
        [(queue, FORGOTTEN, at) for queue, at in rows],
    )
    deleted: int = connection.execute(
        "DELETE FROM deduplication WHERE (queue, token) IN "
        "(SELECT queue, token FROM deduplication "
        "WHERE at <= ? AND token <> ? ORDER BY at LIMIT ?)",
        (max(at for _, at in rows), FORGOTTEN, most),
    ).rowcount
    return deleted


def _too_large(queue: Resource, spec: QueueSpec, new: Sequence[NewMessage]) -> LimitError | None:
    try:
        for one in new:
            require_size(queue, spec, one)
    except LimitError as error:
        return error
    return None


def _insert(
    work: Work,
    queue: Resource,
    sends: Sequence[Sequence[NewMessage]],
    now: float,
    until: float | None,
) -> list[int]:
    """Keep messages but those that were sent not long ago; return the numbers of all."""
    connection = work.connection
    first = _first_of(connection, queue, _tokens(sends), now)
    seen = set(first)
    fresh: list[NewMessage] = []
    for one in (one for new in sends for one in new):
        if one.deduplication not in seen:
            fresh.append(one)
        if one.deduplication is not None:
            seen.add(one.deduplication)
    numbers = messages.insert_many(work, queue, fresh, now, until)
    kept_now = list(zip(fresh, numbers, strict=True))
    once = {one.deduplication: at for one, at in kept_now if one.deduplication is not None}
    _remember(connection, queue, once, now)
    if numbers:
        callers = {(one.caller, one.anonymous) for one in fresh}
        shares = kept.shares(connection, queue, [name for name, _ in callers])
        held = messages.count(work, queue, len(numbers), leased=until is not None)
        kept.require_room(connection, queue, held, callers, shares())
    first |= once
    others = iter([at for one, at in kept_now if one.deduplication is None])
    return [
        next(others) if one.deduplication is None else first[one.deduplication]
        for new in sends
        for one in new
    ]


def require_size(queue: Resource, spec: QueueSpec, new: NewMessage) -> None:
    """Refuse a message that is larger than its queue takes."""
    if len(new.body) > spec.max_message:
        raise TooLargeError(
            f"The message has {len(new.body)} bytes; the {queue.kind} {spec.name} takes "
            f"{spec.max_message}.",
            next_step="Keep large content in a bucket and send its key.",
        )


def first_of(connection: Connection, queue: Resource, token: str | None, now: float) -> int | None:
    """Return the message that was sent with a deduplication token not long ago, if any."""
    return None if token is None else _first_of(connection, queue, {token}, now).get(token)


def _first_of(
    connection: Connection, queue: Resource, tokens: Collection[str], now: float
) -> dict[str, int]:
    """Return the messages that were sent with deduplication tokens not long ago."""
    if not tokens:
        return {}
    terms = terms_of(connection)
    stored = {terms.token("deduplication", token): token for token in tokens}
    seconds = INBOX_DEDUPLICATION_SECONDS if queue.kind == INBOX else DEDUPLICATION_SECONDS
    rows = connection.execute(
        "SELECT token, message FROM deduplication "
        "WHERE queue = ? AND token IN (SELECT value FROM json_each(?)) AND at > ?",
        (queue.id, msgspec.json.encode(list(stored)).decode(), now - seconds),
    )
    return {stored[row[0]]: int(row[1]) for row in rows}


def remember(
    connection: Connection, queue: Resource, token: str | None, number: int, now: float
) -> None:
    """Keep a deduplication token from now on."""
    if token is not None:
        _remember(connection, queue, {token: number}, now)


def _remember(
    connection: Connection, queue: Resource, numbers: Mapping[str, int], now: float
) -> None:
    terms = terms_of(connection)
    connection.executemany(
        "INSERT INTO deduplication (queue, token, message, at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (queue, token) DO UPDATE SET message = excluded.message, at = excluded.at",
        [
            (queue.id, terms.token("deduplication", token), number, now)
            for token, number in numbers.items()
        ],
    )


def next_due(connection: Connection, queue: Resource) -> float | None:
    """Return when a message can be leased next; now if one can be already."""
    spec_of(queue)
    if _is_any_ready(connection, queue):
        return now_of(connection)
    (due,) = connection.execute(
        "SELECT min(visible_at) FROM message INDEXED BY message_pending "
        "WHERE queue = ? AND state >= 2",
        (queue.id,),
    ).fetchone()
    return None if due is None else float(due)


def _is_any_ready(connection: Connection, queue: Resource) -> bool:
    """Tell whether a message can be leased at once."""
    ready = connection.execute(
        "SELECT 1 FROM message INDEXED BY message_ready WHERE queue = ? AND state = 1 LIMIT 1",
        (queue.id,),
    ).fetchone()
    return ready is not None


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
