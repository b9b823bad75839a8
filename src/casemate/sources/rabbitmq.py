"""RabbitMQ: messages of a queue, each acknowledged once it is kept.

What is too large is rejected without a return to the queue, so that it goes to the queue's
dead-letter exchange if there is one.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from urllib.parse import quote

import aiormq
from aiormq.abc import DeliveredMessage
from yarl import URL

from casemate.model.trigger import OutsideTrigger, RabbitmqTrigger
from casemate.sources.batches import Gathering, together
from casemate.sources.errors import SourceError
from casemate.sources.interface import Received, Session
from casemate.sources.rabbitmq_framing import FramedTransport, Hold

_LAG_SECONDS = 5.0
_HEARTBEAT_SECONDS = 20


class _Delivered(NamedTuple):
    tag: int
    size: int
    event: Received | None
    """None if it is too large."""

    @property
    def held(self) -> int:
        """Bytes that are held of it."""
        return 0 if self.event is None else self.size


class RabbitmqConnector:
    """Brings the messages of a queue."""

    def __init__(self, trigger: OutsideTrigger) -> None:
        """Take a trigger with a queue, which has to be there already."""
        if not isinstance(trigger, RabbitmqTrigger) or not trigger.queue:
            raise SourceError("The trigger names no queue.", next_step="Set queue.")
        self._trigger = trigger

    async def run(self, session: Session) -> None:
        """See `Connector.run`."""
        try:
            await self._run(session)
        except aiormq.AMQPError as error:
            text = type(error).__name__
            reason = getattr(error, "reason", None)
            if isinstance(reason, str):
                text += f": {reason[:200]}"
            raise SourceError(
                f"RabbitMQ ends the connection ({text}).",
                next_step="See whether the queue is there and the user may read it.",
            ) from None

    async def _run(self, session: Session) -> None:
        trigger, limits = self._trigger, session.limits
        url = URL.build(
            scheme="amqps" if trigger.tls else "amqp",
            user=quote(trigger.user or "casemate", safe=""),
            password=quote(session.password, safe="") or None,
            host=trigger.host,
            port=trigger.port,
            path="/" + ("" if trigger.vhost == "/" else quote(trigger.vhost, safe="")),
            query_string=f"heartbeat={_HEARTBEAT_SECONDS}&name=casemate-{session.identity}",
            encoded=True,
        )
        hold = Hold(limits.unacknowledged, limits.held_bytes)
        connection = aiormq.Connection(
            url, transport_factory=FramedTransport(session, hold, tls=trigger.tls)
        )
        try:
            async with asyncio.timeout(limits.connect_time):
                await connection.connect()
                channel = await connection.channel(publisher_confirms=False)
                # First, as it is the passive kind: it tells that there is such a queue.
                declared = await channel.queue_declare(trigger.queue, passive=True)
                await channel.basic_qos(prefetch_count=limits.unacknowledged)
                gathered: Gathering[_Delivered] = Gathering(
                    limits.unacknowledged, limits.batch_bytes
                )

                async def take(message: DeliveredMessage) -> None:
                    delivered = self._delivered(message, limits.message)
                    hold.take(delivered.held)
                    await gathered.put(delivered, delivered.held)

                await channel.basic_consume(trigger.queue, take)
            session.connected()
            session.waiting(declared.message_count)
            await together(
                self._keep(channel, gathered, session, hold),
                self._look(channel, session, hold),
                _end_of(channel),
            )
        finally:
            async with asyncio.timeout(limits.silence):
                await connection.close()

    async def _keep(
        self,
        channel: aiormq.abc.AbstractChannel,
        gathered: Gathering[_Delivered],
        session: Session,
        hold: Hold,
    ) -> None:
        while True:
            batch = await gathered.batch()
            for each in batch:
                if each.event is None:
                    session.refused(
                        f"a message has {each.size} bytes, expected {session.limits.message}"
                    )
                    await channel.basic_reject(each.tag, requeue=False)
            if events := [each.event for each in batch if each.event is not None]:
                await session.keep(events)
                for each in batch:
                    if each.event is not None:
                        await channel.basic_ack(each.tag, wait=False)
            hold.release(len(batch), sum(each.held for each in batch))

    def _delivered(self, message: DeliveredMessage, most: int) -> _Delivered:
        """Return what is held of a message: of one that is too large, its size alone."""
        size, tag = len(message.body), message.delivery_tag or 0
        return _Delivered(tag, size, None if size > most else self._event(message))

    def _event(self, message: DeliveredMessage) -> Received:
        properties = message.header.properties
        sent = properties.timestamp
        name = str(properties.message_id or "")[:1024]
        return Received(
            body=message.body,
            content_type=str(properties.content_type or "")[:1024],
            id=name,
            # Publishers choose these ids: the gateway takes the content into account, too.
            deduplication=name,
            time=sent.timestamp() if sent is not None else None,
            subject=str(message.routing_key or "")[:1024],
            detail={
                "queue": self._trigger.queue,
                "exchange": str(message.exchange or "")[:255],
                "routing_key": str(message.routing_key or "")[:255],
                "redelivered": bool(message.redelivered),
                "message_type": str(properties.message_type or "")[:255],
                "correlation_id": str(properties.correlation_id or "")[:255],
            },
        )

    async def _look(
        self, channel: aiormq.abc.AbstractChannel, session: Session, hold: Hold
    ) -> None:
        """Tell how much waits; ends with the channel if the queue is deleted."""
        while True:
            await asyncio.sleep(_LAG_SECONDS)
            if hold.is_full:  # nor would the answer be read
                continue
            async with asyncio.timeout(session.limits.silence):
                declared = await channel.queue_declare(self._trigger.queue, passive=True)
            session.waiting(declared.message_count)


async def _end_of(channel: aiormq.abc.AbstractChannel) -> None:
    """Return, or raise, when the channel or its connection has ended."""
    await asyncio.wait(
        (asyncio.ensure_future(asyncio.shield(channel.closing)),),
    )
    raise EOFError
