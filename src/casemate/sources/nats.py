"""NATS: messages of a JetStream stream by a durable consumer, or of a core subject.

JetStream's messages are asked for, and acknowledged once they are kept. Those of a core subject
are not kept by the server: what is published without a connection, or faster than there is room,
is never seen.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.trigger import NatsTrigger, OutsideTrigger
from casemate.sources.batches import Gathering, together
from casemate.sources.errors import SourceError
from casemate.sources.interface import Received, Session
from casemate.sources.nats_protocol import MAX_HEADERS, NatsConnection, NatsMessage, new_inbox

_PULL_SECONDS = 5.0
_GRACE_SECONDS = 2.0
_ACKNOWLEDGE_SECONDS = 30
_API = "$JS.API"
_NO_RESPONDERS, _NOT_FOUND, _TIMEOUT = 503, 404, 408
_LONELY = frozenset((_NOT_FOUND, _TIMEOUT))
"""Statuses that end a request for messages in the usual way."""
_NO_CONSUMER = 10014
_OLD_TOKENS, _NEW_TOKENS = 9, 11


class _Error(msgspec.Struct):
    err_code: int = 0
    description: str = ""


class _Config(msgspec.Struct):
    ack_policy: str = ""
    deliver_subject: str = ""


class _Answer(msgspec.Struct):
    error: _Error | None = None
    config: _Config | None = None
    num_pending: int = 0


class _Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """What JetStream says of a message in the subject for its acknowledgement."""

    stream: str
    sequence: int
    attempt: int
    time: float
    pending: int


def parse_delivered(reply: str) -> _Delivered | None:
    """Return what an acknowledgement's subject tells, None if it is none."""
    words = reply.split(".")
    if words[:2] != ["$JS", "ACK"]:
        return None
    if len(words) == _OLD_TOKENS:
        facts = words[2:]
    elif len(words) >= _NEW_TOKENS:
        facts = words[4:11]
    else:
        return None
    numbers = facts[2:]
    if not all(word.isascii() and word.isdigit() and len(word) <= 20 for word in numbers):
        return None
    attempt, sequence, _, stamp, pending = map(int, numbers)
    return _Delivered(
        stream=facts[0], sequence=sequence, attempt=attempt, time=stamp / 1e9, pending=pending
    )


class NatsConnector:
    """Brings the messages of a subject."""

    def __init__(self, trigger: OutsideTrigger) -> None:
        """Take a trigger with a subject. Raises SourceError."""
        if not isinstance(trigger, NatsTrigger) or not trigger.subject:
            raise SourceError("The trigger names no subject.", next_step="Set subject.")
        words = (trigger.subject, trigger.stream, trigger.durable)
        if any(character.isspace() for word in words for character in word):
            raise SourceError(
                "A name of the trigger holds white space.", next_step="Take it out of subject."
            )
        self._trigger = trigger

    async def run(self, session: Session) -> None:
        """See `Connector.run`."""
        trigger = self._trigger
        connection = await NatsConnection.open(
            session, tls=trigger.tls, host=trigger.host, user=trigger.user
        )
        try:
            if trigger.stream:
                consumer = _JetStream(connection, trigger, session)
                work = consumer.follow()
            else:
                work = self._follow_subject(connection, session)
            await together(connection.listen(), connection.stay(), work)
        finally:
            connection.close()

    async def _follow_subject(self, connection: NatsConnection, session: Session) -> None:
        limits = session.limits
        gathered: Gathering[NatsMessage] = Gathering(
            limits.unacknowledged, limits.batch_bytes, limits.held_bytes
        )

        async def take(message: NatsMessage) -> None:
            gathered.put_or_lose(message, message.size)

        connection.subscribe(self._trigger.subject, take)
        session.connected()
        while True:
            messages = await gathered.batch(1.0)
            events = [
                event
                for message in messages
                if (event := event_of(message, session, None)) is not None
            ]
            if events:
                await session.keep(events)
            if lost := gathered.take_lost():
                session.refused("more messages of a core subject than there is room for", lost)


def event_of(
    message: NatsMessage, session: Session, delivered: _Delivered | None
) -> Received | None:
    """Return a message as an event; None, and a record, if it is too large."""
    if message.payload is None:
        if message.head > MAX_HEADERS:
            session.refused(
                f"a message has {message.head} bytes of headers, expected {MAX_HEADERS}"
            )
            return None
        session.refused(f"a message has {message.size} bytes, expected {session.limits.message}")
        return None
    detail: dict[str, Any] = {"subject": message.subject[:1024]}
    name = message.headers.get("nats-msg-id", "")[:1024]
    unique = ""
    if delivered is not None:
        unique = f"{delivered.stream} {delivered.sequence} {delivered.time:.9f}"
        detail |= {
            "stream": delivered.stream[:255],
            "sequence": delivered.sequence,
            "attempt": delivered.attempt,
        }
        name = name or f"{delivered.stream}-{delivered.sequence}"[:1024]
    return Received(
        body=message.payload,
        content_type=message.headers.get("content-type", "")[:1024],
        id=name,
        deduplication=unique[:1024],
        time=delivered.time if delivered is not None else time.time(),
        subject=message.subject[:1024],
        detail=detail,
    )


class _JetStream:
    """A durable pull consumer."""

    def __init__(self, connection: NatsConnection, trigger: NatsTrigger, session: Session) -> None:
        self._connection = connection
        self._trigger = trigger
        self._session = session
        self._durable = trigger.durable or f"casemate-{session.identity}"
        limits = session.limits
        self._gathered: Gathering[NatsMessage] = Gathering(
            2 * limits.unacknowledged, limits.batch_bytes
        )
        self._answers: asyncio.Queue[NatsMessage] = asyncio.Queue(1)

    async def follow(self) -> None:
        self._inbox, self._pulled = new_inbox(), new_inbox()
        self._connection.subscribe(self._inbox, self._answers.put)
        self._connection.subscribe(
            self._pulled, lambda message: self._gathered.put(message, message.size)
        )
        stream = self._trigger.stream
        await self._require_consumer(stream)
        self._session.connected()
        while True:
            await self._pull(stream)

    async def _ask(self, subject: str, body: object) -> _Answer:
        self._connection.publish(f"{_API}.{subject}", msgspec.json.encode(body), self._inbox)
        async with asyncio.timeout(self._session.limits.silence):
            message = await self._answers.get()
        if message.status == _NO_RESPONDERS:
            raise SourceError(
                "The server has no JetStream, or none for this user.",
                next_step="Enable it, or leave out stream.",
            )
        try:
            return msgspec.json.decode(message.payload or b"", type=decodable(_Answer))
        except DECODING_ERRORS:
            raise SourceError("JetStream's answer is none.") from None

    @staticmethod
    def _refused(error: _Error) -> SourceError:
        return SourceError(
            f"JetStream answers: {error.description[:200]} ({error.err_code}).",
            next_step="See the trigger's subject, stream and durable, and the user's rights.",
        )

    async def _require_consumer(self, stream: str) -> None:
        """Have a consumer: the one there is, or a new one of everything in the stream."""
        answer = await self._ask(f"CONSUMER.INFO.{stream}.{self._durable}", {})
        if answer.error is not None and answer.error.err_code == _NO_CONSUMER:
            config = {
                "durable_name": self._durable,
                "filter_subject": self._trigger.subject,
                "deliver_policy": "all",
                "ack_policy": "explicit",
                "ack_wait": _ACKNOWLEDGE_SECONDS * 1_000_000_000,
                "max_ack_pending": 2 * self._session.limits.unacknowledged,
                "max_deliver": -1,
            }
            answer = await self._ask(
                f"CONSUMER.DURABLE.CREATE.{stream}.{self._durable}",
                {"stream_name": stream, "config": config},
            )
        if answer.error is not None:
            raise self._refused(answer.error)
        found = answer.config
        if found is None or found.ack_policy != "explicit" or found.deliver_subject:
            raise SourceError(
                f"The consumer {self._durable} is not one to pull from with explicit "
                "acknowledgement.",
                next_step="Name another durable, or delete it.",
            )
        self._session.waiting(answer.num_pending)

    async def _pull(self, stream: str) -> None:
        """Ask for messages once, and bring those that come."""
        left = self._session.limits.unacknowledged // 2 or 1
        request = {"batch": left, "expires": int(_PULL_SECONDS * 1e9)}
        self._connection.publish(
            f"{_API}.CONSUMER.MSG.NEXT.{stream}.{self._durable}",
            msgspec.json.encode(request),
            self._pulled,
        )
        while left > 0:
            messages = await self._gathered.batch(_PULL_SECONDS + _GRACE_SECONDS)
            if not messages:
                return
            for message in messages:
                if message.status:
                    self._require_usual(message.status)
                    left = 0
            left -= await self._keep([m for m in messages if not m.status])

    @staticmethod
    def _require_usual(status: int) -> None:
        if status not in _LONELY:
            raise SourceError(
                f"JetStream ends the request with status {status}.",
                next_step="See whether the stream and its consumer are still there.",
            )

    async def _keep(self, messages: list[NatsMessage]) -> int:
        events: list[Received] = []
        kept: list[str] = []
        for message in messages:
            delivered = parse_delivered(message.reply)
            event = event_of(message, self._session, delivered)
            if event is None:
                # Or it would come again for ever; it stays in the stream.
                self._connection.publish(message.reply, b"+TERM")
                continue
            if delivered is not None:
                self._session.waiting(delivered.pending)
            events.append(event)
            kept.append(message.reply)
        if events:
            await self._session.keep(events)
            for reply in kept:
                if reply:
                    self._connection.publish(reply, b"+ACK")
        await self._connection.drain()
        return len(messages)
