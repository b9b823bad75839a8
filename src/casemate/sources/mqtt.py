"""MQTT 5.0: messages of topics by a session that the broker keeps.

With QoS 1 and 2 the broker keeps what it has no acknowledgement (PUBACK, PUBREC) for, also while
this source is away, for a week. What is larger than the limit it does not send (Maximum Packet
Size).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable

from casemate.model.trigger import MqttTrigger, OutsideTrigger
from casemate.sources import mqtt_packets as packets
from casemate.sources.batches import Gathering, together
from casemate.sources.errors import SourceError, SourceProtocolError
from casemate.sources.interface import Received, Session
from casemate.sources.turns import Turns

_KEEP_ALIVE_SECONDS = 30
_SESSION_SECONDS = 7 * 86_400
_SUBSCRIPTION = 1
_FAILURE = 0x80
_REMEMBERED = 1000
_LOOK_SECONDS = 0.25
_REASONS = {
    0x84: "it does not speak MQTT 5.0",
    0x85: "the client id is not valid",
    0x86: "user or password is wrong",
    0x87: "not authorized",
    0x88: "it is unavailable",
    0x89: "it is busy",
    0x8A: "banned",
    0x8B: "it shuts down",
    0x8D: "keep alive ran out",
    0x8E: "another client took over the session",
    0x8F: "the topic filter is not valid",
    0x93: "too many messages without acknowledgement",
    0x95: "a packet was too large",
    0x97: "quota exceeded",
    0x9E: "it has no shared subscriptions",
}


def _refusal(what: str, reason: int) -> SourceError:
    said = _REASONS.get(reason, "see MQTT 5.0, section 2.4")
    return SourceError(
        f"The broker {what}: reason 0x{reason:02x}, {said}.",
        next_step="See the trigger's settings and the broker's log.",
    )


class MqttConnector:
    """Brings the messages of a topic filter."""

    def __init__(self, trigger: OutsideTrigger) -> None:
        """Take a trigger with a topic filter. Raises SourceError."""
        if not isinstance(trigger, MqttTrigger) or not trigger.topic:
            raise SourceError("The trigger names no topic.", next_step="Set topic.")
        self._trigger = trigger
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        """Of the last messages that were kept, what they were: their acknowledgement may not have
        reached the broker, which then sends them again."""

    async def run(self, session: Session) -> None:
        """See `Connector.run`."""
        trigger, limits = self._trigger, session.limits
        most = limits.message + packets.HEAD
        reader, writer = await session.connect(tls=trigger.tls)
        gathered: Gathering[packets.Publish] = Gathering(
            # Room for every unacknowledged message and as many without acknowledgement.
            2 * limits.unacknowledged,
            limits.batch_bytes,
        )
        link = _Link(reader, writer, most, session.connected)
        try:
            async with asyncio.timeout(limits.connect_time):
                await self._log_in(link, session, most)
            # Those of a kept session come before the answer to SUBSCRIBE, and are kept meanwhile.
            await together(
                link.listen(gathered),
                link.stay(limits.connect_time),
                self._keep(link, gathered, session),
            )
        finally:
            writer.write(packets.GOODBYE)
            writer.close()

    async def _log_in(self, link: _Link, session: Session, most: int) -> None:
        trigger = self._trigger
        # The topic is part of it: a session holds subscriptions, and must not keep an old one.
        topic = hashlib.sha256(trigger.topic.encode()).hexdigest()[:8]
        link.send(
            packets.connect(
                client=trigger.client or f"casemate-{session.identity}-{topic}",
                user=trigger.user,
                password=session.password,
                keep_alive=_KEEP_ALIVE_SECONDS,
                session_expiry=_SESSION_SECONDS,
                receive_maximum=session.limits.unacknowledged,
                maximum_packet=most,
            )
        )
        fields = await link.answer()
        present, reason = fields.number(1), fields.number(1)
        if reason >= _FAILURE:
            raise _refusal("refuses the connection", reason)
        keep_alive = (fields.properties() or {}).get(packets.SERVER_KEEP_ALIVE)
        link.keep_alive = keep_alive if isinstance(keep_alive, int) else _KEEP_ALIVE_SECONDS
        if not present & 1:
            self._kept.clear()
        link.send(packets.subscribe(_SUBSCRIPTION, trigger.topic, trigger.qos))

    async def _keep(
        self, link: _Link, gathered: Gathering[packets.Publish], session: Session
    ) -> None:
        while True:
            fresh = []
            messages = await gathered.batch()
            for message in messages:
                if message.has_too_many:
                    session.refused(
                        f"a message has more than {packets.MAX_PROPERTIES} bytes of properties"
                    )
                elif len(message.payload) > session.limits.message:
                    size = len(message.payload)
                    session.refused(
                        f"a message has {size} bytes, expected {session.limits.message}"
                    )
                elif not self._was_kept(message):
                    fresh.append(message)
            if fresh:
                await session.keep([self._event(message) for message in fresh])
                for message in fresh:
                    self._remember(message)
            for message in messages:
                link.send(packets.acknowledge(message))
            await link.drain()

    def _was_kept(self, message: packets.Publish) -> bool:
        if not message.qos:
            return False
        if message.again and self._kept.get(message.packet) == _digest(message):
            return True
        self._kept.pop(message.packet, None)
        return False

    def _remember(self, message: packets.Publish) -> None:
        if message.qos:
            self._kept[message.packet] = _digest(message)
            self._kept.move_to_end(message.packet)
            while len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)

    def _event(self, message: packets.Publish) -> Received:
        return Received(
            body=message.payload,
            content_type=str(message.properties.get(packets.CONTENT_TYPE, ""))[:1024],
            subject=message.topic[:1024],
            detail={
                "topic": message.topic[:1024],
                "qos": message.qos,
                "retained": message.retained,
                "redelivered": message.again,
            },
        )


class _Link:
    """A connection to a broker."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        most: int,
        subscribed: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._most = most
        self._subscribed = subscribed
        self._is_subscribed = False
        self.keep_alive = 0
        self._heard_at = 0.0
        self._stalled = False
        self._turns = Turns()

    def send(self, packet: bytes) -> None:
        self._writer.write(packet)

    async def drain(self) -> None:
        await self._writer.drain()

    async def _read(self) -> tuple[int, int, bytes]:
        while True:
            await self._turns.give()
            kind, flags, body = await packets.read_packet(self._reader, self._most)
            self._heard_at = asyncio.get_running_loop().time()
            if kind == packets.DISCONNECT:
                raise _refusal("ends the connection", body[0] if body else 0)
            if kind != packets.PUBREL:
                return kind, flags, body
            # What it releases was kept before its PUBREC was sent.
            self.send(packets.complete(body))
            await self.drain()

    async def answer(self) -> packets.Fields:
        """Return what answers CONNECT: a broker sends nothing before it."""
        kind, _, body = await self._read()
        if kind != packets.CONNACK:
            raise SourceProtocolError(f"The broker sent packet {kind}, expected {packets.CONNACK}.")
        return packets.Fields(body)

    async def listen(self, gathered: Gathering[packets.Publish]) -> None:
        while True:
            kind, flags, body = await self._read()
            if kind == packets.PUBLISH:
                message = packets.parse_publish(flags, body)
                # Without room nothing is read: the broker keeps what it has (QoS 1) or drops it.
                self._stalled = True
                await gathered.put(message, len(message.payload))
                self._stalled = False
            elif kind == packets.SUBACK and not self._is_subscribed:
                self._take_subscription(packets.Fields(body))
            elif kind != packets.PINGRESP:
                raise SourceProtocolError(f"The broker sent packet {kind} without being asked.")

    def _take_subscription(self, fields: packets.Fields) -> None:
        fields.number(2)
        fields.properties()
        reason = fields.number(1)
        if reason >= _FAILURE:
            raise _refusal("refuses the subscription", reason)
        self._is_subscribed = True
        self._subscribed()

    async def stay(self, answer_time: float) -> None:
        """See that the broker answers SUBSCRIBE; then that it is there, and say so of this client.

        Time in which nothing is read for want of room does not count.
        """
        waited = 0.0
        while not self._is_subscribed:
            await asyncio.sleep(_LOOK_SECONDS)
            waited += 0 if self._stalled else _LOOK_SECONDS
            if waited > answer_time:
                raise TimeoutError
        while True:
            if not self.keep_alive:
                await asyncio.sleep(_KEEP_ALIVE_SECONDS)
                continue
            await asyncio.sleep(self.keep_alive / 2)
            silent = asyncio.get_running_loop().time() - self._heard_at
            if silent > 2 * self.keep_alive and not self._stalled:
                raise TimeoutError
            self.send(packets.PING)


def _digest(message: packets.Publish) -> bytes:
    return hashlib.sha256(message.topic.encode() + b"\0" + message.payload).digest()
