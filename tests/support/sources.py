"""A real sources process, confined as on a node, with a gateway's end that keeps in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from casemate.model.errors import NotFoundError
from casemate.model.processes import SOURCES_UID
from casemate.model.trigger import OutsideTrigger
from casemate.sources import Received, SourceKey, SourcesClient, SourceStatus
from casemate.sources.config import SourceLimits
from casemate.sources.start import SourcesStarter

LOCAL: dict[str, Any] = {
    "host": "127.0.0.1",
    "tls": False,
    "private": True,
    "exception": "a server of the test",
}
"""What a trigger of a server on loopback says."""


class Inbox:
    """Implements `Receiver`: keeps what comes unless it is told that there is no room."""

    def __init__(self) -> None:
        self.kept: list[Received] = []
        self.seen: set[bytes] = set()
        """Bodies that were offered, kept or not."""
        self.offered = 0
        self.full = False
        self.slow = 0.0
        self.refusals: list[tuple[str, bool, int]] = []
        self.changes: list[SourceStatus] = []

    async def keep(self, key: SourceKey, events: Sequence[Received]) -> bool:
        self.offered += len(events)
        self.seen |= {event.body for event in events}
        if self.slow:
            await asyncio.sleep(self.slow)
        if self.full:
            return False
        self.kept += events
        return True

    def refused(self, key: SourceKey, reason: str, *, denied: bool, count: int) -> None:
        self.refusals.append((reason, denied, count))

    def changed(self, status: SourceStatus) -> None:
        self.changes.append(status)

    @property
    def bodies(self) -> list[Any]:
        """What was kept, as JSON where it is JSON."""
        found = []
        for received in self.kept:
            try:
                found.append(json.loads(received.body))
            except ValueError:
                found.append(received.body)
        return found


class Harness:
    """Sources under test."""

    def __init__(self, inbox: Inbox, client: SourcesClient, starter: SourcesStarter) -> None:
        self.inbox = inbox
        self.client = client
        self.starter = starter

    def follow(self, *triggers: OutsideTrigger) -> None:
        self.client.replace({SourceKey("p", "f", t.name): t for t in triggers})

    @property
    def status(self) -> SourceStatus:
        return self.client.statuses()[0]

    async def until(self, condition: Callable[[], object], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {self.client.statuses()}")
            await asyncio.sleep(0.02)

    async def connected(self) -> None:
        await self.until(lambda: all(s.connected for s in self.client.statuses()))


@contextlib.asynccontextmanager
async def sources(
    passwords: dict[str, str] | None = None, limits: SourceLimits | None = None
) -> AsyncIterator[Harness]:
    """Yield a harness; `passwords` are what the vault has."""
    loop = asyncio.get_running_loop()
    starter = SourcesStarter(
        SOURCES_UID if os.geteuid() == 0 else None,
        limits=limits or SourceLimits(first_pause=0.05, longest_pause=0.5, full_longest=0.5),
    )

    def serve() -> None:
        if not starter.serve():
            loop.remove_reader(starter.fileno())

    loop.add_reader(starter.fileno(), serve)

    async def deliver(project: str, secret: str, descriptor: int) -> None:
        if secret not in (passwords or {}):
            raise NotFoundError(f"There is no secret {secret}.")
        os.write(descriptor, (passwords or {})[secret].encode())

    inbox = Inbox()
    end = starter.gateway_end.dup()
    starter.gateway_end.close()
    client = SourcesClient(end, loop, deliver=deliver, receiver=inbox)
    try:
        yield Harness(inbox, client, starter)
    finally:
        await client.close()
        with contextlib.suppress(ValueError):
            loop.remove_reader(starter.fileno())
        starter.close()
