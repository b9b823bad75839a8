"""The operations on messages, each checked and handed to a writer or reader."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from casemate.data import leasing, limits, queues
from casemate.data.port import LEASED, AtPlace, Place, Port
from casemate.data.registry import INBOX, QUEUE, TOPIC
from casemate.model.errors import InvalidInputError
from casemate.model.messages import Depth, Message, NewMessage, QueueInfo
from casemate.model.tracing import AMBIENT
from casemate.operations.inboxes import PurgeInbox, ShowDepths, ShowInbox
from casemate.operations.leases import (
    AcknowledgeMessages,
    ExtendLeases,
    FindNextDue,
    KeepLeased,
    KeepMessages,
    LeaseMessages,
    ReceiveMessages,
    SettleMessages,
)
from casemate.operations.messages import (
    PublishMessage,
    Purged,
    PurgeQueue,
    PurgeTopic,
    SendMessage,
    Sent,
    ShowQueue,
    ShowTopic,
)
from casemate.operations.performing import Performers

_KINDS = (QUEUE, TOPIC, INBOX)
_RECEIVED = (QUEUE, TOPIC)

performs = Performers()


class MessagePort(Port):
    """Messages of queues, topics and inboxes."""

    @performs(SendMessage)
    async def _send(self, operation: SendMessage) -> Sent:
        new = NewMessage(
            body=operation.content,
            delay=operation.delay,
            deduplication=operation.deduplication,
            key=operation.key,
            priority=operation.priority,
            labels=operation.labels,
            attributes=operation.attributes or {},
            trace=AMBIENT.get(),
        )
        (identity,) = await self._keep(Place(operation.project, QUEUE, operation.queue), (new,))
        return Sent(id=identity)

    @performs(PublishMessage)
    async def _publish(self, operation: PublishMessage) -> Sent:
        new = NewMessage(
            body=operation.content,
            deduplication=operation.deduplication,
            labels=operation.labels,
            attributes=operation.attributes or {},
            trace=AMBIENT.get(),
        )
        (identity,) = await self._keep(Place(operation.project, TOPIC, operation.topic), (new,))
        return Sent(id=identity)

    @performs(KeepMessages)
    async def _keep_messages(self, operation: KeepMessages) -> tuple[str, ...]:
        return await self._keep(operation, operation.messages)

    def _keep(
        self, place: AtPlace, messages: tuple[NewMessage, ...]
    ) -> Coroutine[Any, Any, tuple[str, ...]]:
        limits.require_whole("number of messages", len(messages), 0, limits.MAX_BATCH)
        new = [queues.require_new(message) for message in messages]
        return self._join_queue(
            place,
            _KINDS,
            lambda work, opened, queue, sends: opened.fanout.send_each(work, queue, sends),
            new,
            what="keep",
            weight=sum(len(one.body) for one in new),
        )

    @performs(KeepLeased)
    async def _keep_leased(self, operation: KeepLeased) -> tuple[Message, ...]:
        count = len(operation.messages)
        limits.require_whole("number of messages", count, 0, limits.MAX_BATCH)
        seconds = limits.require_seconds("lease", operation.lease, limits.MAX_LEASE)
        new = [queues.require_new(message) for message in operation.messages]
        if not all(message.is_plain for message in new):
            raise InvalidInputError(
                "A message with delay, key, priority or deduplication cannot be leased when it is "
                "kept.",
                next_step="Keep it, and lease it then.",
            )
        leased: tuple[Message, ...] = await self._join_queue(
            Place(operation.project, INBOX, operation.function),
            (INBOX,),
            lambda work, _, inbox, asked: queues.keep_leased_each(work, inbox, asked),
            (new, seconds),
            what="keep leased",
            weight=sum(len(one.body) for one in new),
        )
        return leased

    @performs(ReceiveMessages)
    async def _receive(self, operation: ReceiveMessages) -> tuple[Message, ...]:
        return await self._lease_from(operation, _RECEIVED)

    @performs(LeaseMessages)
    async def _lease(self, operation: LeaseMessages) -> tuple[Message, ...]:
        return await self._lease_from(operation, LEASED)

    def _lease_from(
        self, operation: ReceiveMessages | LeaseMessages, kinds: tuple[str, ...]
    ) -> Coroutine[Any, Any, tuple[Message, ...]]:
        limit = operation.limit
        limits.require_limit(limit)
        seconds = limits.require_seconds("lease", operation.lease, limits.MAX_LEASE)
        return self._join_queue(
            operation,
            kinds,
            lambda work, opened, queue, asked: leasing.lease_each(
                work, queue, opened.fanout, asked
            ),
            (limit, seconds),
            what="lease",
            weight=limits.MAX_RESULT_BYTES // 16,
            emptying=True,
        )

    @performs(SettleMessages)
    async def _settle(self, operation: SettleMessages) -> int:
        settlements = operation.settlements
        limits.require_whole("number of settlements", len(settlements), 0, limits.MAX_BATCH)
        checked = [leasing.require_settlement(settlement) for settlement in settlements]
        settled: int = await self._join_queue(
            operation,
            LEASED,
            lambda work, opened, queue, all_: leasing.settle_each(work, queue, opened.fanout, all_),
            checked,
            what="settle",
            weight=sum(len(one.result or b"") for one in checked),
            emptying=True,
        )
        return settled

    @performs(ExtendLeases)
    async def _extend(self, operation: ExtendLeases) -> int:
        leases = operation.leases
        limits.require_whole("number of leases", len(leases), 0, limits.MAX_BATCH)
        leasing.require_leases(leases)
        seconds = limits.require_seconds("lease", operation.lease, limits.MAX_LEASE)
        return await self._change_queue(
            operation,
            _KINDS,
            lambda work, _, queue: leasing.extend(work, queue, leases, seconds),
        )

    @performs(AcknowledgeMessages)
    async def _acknowledge(self, operation: AcknowledgeMessages) -> int:
        leases = operation.leases
        leasing.require_leases(leases)
        return await self._change_queue(
            operation,
            _RECEIVED,
            lambda work, _, queue: leasing.acknowledge(work, queue, leases),
        )

    @performs(FindNextDue)
    async def _next_due(self, operation: FindNextDue) -> float | None:
        return await self._read_queue(operation, LEASED, queues.next_due)

    # -- how much waits ------------------------------------------------------------------------

    @performs(ShowQueue)
    async def _show_queue(self, operation: ShowQueue) -> QueueInfo:
        return await self._show(Place(operation.project, QUEUE, operation.queue))

    @performs(ShowTopic)
    async def _show_topic(self, operation: ShowTopic) -> QueueInfo:
        return await self._show(Place(operation.project, TOPIC, operation.topic))

    @performs(ShowInbox)
    async def _show_inbox(self, operation: ShowInbox) -> QueueInfo:
        return await self._show(Place(operation.project, INBOX, operation.function))

    async def _show(self, place: Place) -> QueueInfo:
        return await self._read_queue(place, _KINDS, queues.info)

    @performs(ShowDepths)
    async def _show_depths(self, operation: ShowDepths) -> tuple[Depth, ...]:
        async with self._projects.use(operation.project) as opened:
            return await opened.read(queues.depths)

    @performs(PurgeQueue)
    async def _purge_queue(self, operation: PurgeQueue) -> Purged:
        return await self._purge(Place(operation.project, QUEUE, operation.queue))

    @performs(PurgeTopic)
    async def _purge_topic(self, operation: PurgeTopic) -> Purged:
        return await self._purge(Place(operation.project, TOPIC, operation.topic))

    @performs(PurgeInbox)
    async def _purge_inbox(self, operation: PurgeInbox) -> Purged:
        return await self._purge(Place(operation.project, INBOX, operation.function))

    async def _purge(self, place: Place) -> Purged:
        deleted = await self._change_queue(
            place,
            _KINDS,
            lambda work, opened, queue: queues.purge(work, queue, opened.fanout.routes),
        )
        return Purged(deleted=deleted)
