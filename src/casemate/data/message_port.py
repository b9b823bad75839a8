"""The port's calls about messages, each checked and handed to a writer or reader."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from casemate.data import leasing, letters, limits, queues
from casemate.data.port import Port
from casemate.data.project import OpenProject
from casemate.data.registry import INBOX, QUEUE, TOPIC, Resource
from casemate.data.work import Work
from casemate.model.messages import DeadLetter, Lease, Message, NewMessage, QueueInfo, Settlement

KINDS = (QUEUE, TOPIC, INBOX)
_LEASED = (QUEUE, INBOX)


class MessagePort(Port):
    """Messages of queues, topics and inboxes. `ProjectData` documents the calls."""

    async def send(
        self,
        project: str,
        kind: str,
        name: str,
        body: bytes,
        *,
        delay: float = 0.0,
        deduplication: str | None = None,
        key: str = "",
        priority: int = 0,
        labels: bytes = b"",
        attributes: dict[str, str] | None = None,
    ) -> str:
        """Keep a message."""
        new = NewMessage(
            body=body,
            delay=delay,
            deduplication=deduplication,
            key=key,
            priority=priority,
            labels=labels,
            attributes=attributes or {},
        )
        (identity,) = await self.send_many(project, kind, name, (new,))
        return identity

    async def send_many(
        self, project: str, kind: str, name: str, messages: Sequence[NewMessage]
    ) -> tuple[str, ...]:
        """Keep messages, all of them or none."""
        limits.require_whole("number of messages", len(messages), 0, limits.MAX_BATCH)
        new = [queues.require_new(message) for message in messages]
        return await self._change_queue(
            project,
            kind,
            name,
            KINDS,
            lambda work, opened, queue: opened.fanout.send(work, queue.kind, queue.name, new),
        )

    async def receive(
        self, project: str, kind: str, name: str, *, limit: int = 1, lease: float = 30.0
    ) -> tuple[Message, ...]:
        """Lease the oldest messages."""
        return await self._lease(project, kind, name, (QUEUE, TOPIC), limit, lease)

    async def lease(
        self, project: str, kind: str, name: str, *, limit: int, lease: float
    ) -> tuple[Message, ...]:
        """Lease messages by priority, then age."""
        return await self._lease(project, kind, name, _LEASED, limit, lease)

    async def _lease(
        self, project: str, kind: str, name: str, kinds: tuple[str, ...], limit: int, lease: float
    ) -> tuple[Message, ...]:
        limits.require_limit(limit)
        seconds = limits.require_seconds("lease", lease, limits.MAX_LEASE)
        return await self._change_queue(
            project,
            kind,
            name,
            kinds,
            lambda work, opened, queue: leasing.lease(work, queue, opened.fanout, limit, seconds),
            emptying=True,
        )

    async def settle(
        self, project: str, kind: str, name: str, settlements: Sequence[Settlement]
    ) -> int:
        """End attempts."""
        limits.require_whole("number of settlements", len(settlements), 0, limits.MAX_BATCH)
        checked = [leasing.require_settlement(settlement) for settlement in settlements]
        return await self._change_queue(
            project,
            kind,
            name,
            _LEASED,
            lambda work, opened, queue: leasing.settle(work, queue, opened.fanout, checked),
            emptying=True,
        )

    async def extend(
        self, project: str, kind: str, name: str, leases: Sequence[Lease], *, lease: float
    ) -> int:
        """Have leases end later, or earlier."""
        limits.require_whole("number of leases", len(leases), 0, limits.MAX_BATCH)
        leasing.require_leases(leases)
        seconds = limits.require_seconds("lease", lease, limits.MAX_LEASE)
        return await self._change_queue(
            project,
            kind,
            name,
            KINDS,
            lambda work, _, queue: leasing.extend(work, queue, leases, seconds),
            emptying=True,
        )

    async def acknowledge(self, project: str, kind: str, name: str, leases: Sequence[Lease]) -> int:
        """Delete messages that were handled."""
        leasing.require_leases(leases)
        return await self._change_queue(
            project,
            kind,
            name,
            (QUEUE, TOPIC),
            lambda work, _, queue: leasing.acknowledge(work, queue, leases),
            emptying=True,
        )

    async def next_due(self, project: str, kind: str, name: str) -> float | None:
        """Return when the next message can be leased."""
        return await self._read_queue(project, kind, name, _LEASED, queues.next_due)

    async def queue_info(self, project: str, kind: str, name: str) -> QueueInfo:
        """Return how much waits."""
        return await self._read_queue(project, kind, name, KINDS, queues.info)

    async def purge(self, project: str, kind: str, name: str) -> int:
        """Delete every message."""
        return await self._change_queue(
            project,
            kind,
            name,
            KINDS,
            lambda work, opened, queue: queues.purge(work, queue, opened.fanout.routes),
            emptying=True,
        )

    # Dead letters

    async def dead_letters(
        self, project: str, kind: str, name: str, *, after: str | None = None, limit: int = 100
    ) -> tuple[DeadLetter, ...]:
        """Return dead letters, oldest first."""
        limits.require_limit(limit)
        if after is not None:
            queues.require_ids([after])
        return await self._read_queue(
            project,
            kind,
            name,
            _LEASED,
            lambda connection, queue: letters.page(connection, queue, after, limit),
        )

    async def dead_letter(self, project: str, letter: str) -> tuple[DeadLetter, bytes]:
        """Return one with its body."""
        queues.require_ids([letter])
        async with self._projects.use(project) as opened:
            return await opened.read(lambda connection: letters.find(connection, letter))

    async def redrive(self, project: str, kind: str, name: str, ids: Sequence[str] | None) -> int:
        """Send dead letters again."""
        return await self._each_letter(project, kind, name, ids, redrive=True)

    async def purge_dead(
        self, project: str, kind: str, name: str, ids: Sequence[str] | None
    ) -> int:
        """Delete dead letters."""
        return await self._each_letter(project, kind, name, ids, redrive=False)

    async def _each_letter(
        self, project: str, kind: str, name: str, ids: Sequence[str] | None, *, redrive: bool
    ) -> int:
        """Handle letters in batches, so that others can write between them.

        All that are there now, if `ids` is None: what dies in the meantime is left.
        """
        if ids is not None:
            queues.require_ids(ids)
        numbers = None if ids is None else [int(text, 16) for text in ids]
        last = await self._read_queue(project, kind, name, _LEASED, letters.last)
        done = 0
        at: int | None = 0
        while at is not None:
            handled, at = await self._change_queue(
                project,
                kind,
                name,
                _LEASED,
                partial(self._handle, numbers, at, last, redrive),
                emptying=True,
            )
            done += handled
        return done

    @staticmethod
    def _handle(
        numbers: Sequence[int] | None,
        at: int,
        last: int,
        redrive: bool,
        work: Work,
        _: OpenProject,
        queue: Resource,
    ) -> tuple[int, int | None]:
        return letters.handle(work, queue, numbers, at, last, time.time(), redrive=redrive)
