"""The gateway's end: has a sources process as long as there are sources, and starts it anew."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from casemate.child.restart import Backoff, KeptProcess
from casemate.model.errors import CasemateError
from casemate.model.source import SourceStatus
from casemate.model.trigger import OutsideTrigger
from casemate.sources import protocol
from casemate.sources.interface import Received


class SourceKey(msgspec.Struct, frozen=True, order=True):
    """Which trigger a source is of."""

    project: str
    function: str
    trigger: str


class Receiver(Protocol):
    """What becomes of what sources bring."""

    async def keep(self, key: SourceKey, events: Sequence[Received]) -> bool:
        """Tell whether the events are durable; False if there is no room. Never raises."""
        ...

    def refused(self, key: SourceKey, reason: str, *, denied: bool, count: int) -> None:
        """Record messages that were given up, or (`denied`) an address that is not allowed."""
        ...

    def changed(self, status: SourceStatus) -> None:
        """Take note of a source that was connected, or lost its connection."""
        ...


Deliver = Callable[[str, str, int], Awaitable[object]]
"""(project, secret, descriptor): have the vault write a secret into a pipe."""


class _Entry:
    """A source as the gateway knows it."""

    def __init__(self, number: int, key: SourceKey, trigger: OutsideTrigger, status: SourceStatus):
        self.number = number
        self.key = key
        self.trigger = trigger
        self.status = status
        self.reported = (False, "")
        """What the process said last: whether it is connected, and what is wrong."""


def _identity(key: SourceKey) -> str:
    text = "\0".join((key.project, key.function, key.trigger))
    return f"{key.function[:30]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


class SourcesClient:
    """Keeps the sources that it is told. In the event loop's thread only."""

    def __init__(
        self,
        starter: socket.socket,
        loop: asyncio.AbstractEventLoop,
        *,
        deliver: Deliver,
        receiver: Receiver,
    ) -> None:
        """Ask for processes on `starter`, the gateway's end of a `SourcesStarter`."""
        self._deliver = deliver
        self._receiver = receiver
        self._entries: dict[SourceKey, _Entry] = {}
        self._numbers: dict[int, _Entry] = {}
        self._next = 0
        self._process = KeptProcess(
            "sources process",
            starter,
            loop,
            bounds=protocol.BOUNDS,
            backoff=Backoff(longest=15.0),
            started=self._begin_all,
            received=self._received,
            lost=self._lost,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    # -- which sources there are ---------------------------------------------------------------

    def replace(self, wanted: Mapping[SourceKey, OutsideTrigger]) -> None:
        """Have exactly these sources: start new ones, end others, leave those as they were."""
        for key, entry in list(self._entries.items()):
            if wanted.get(key) != entry.trigger:
                self._forget(entry)
        for key in sorted(wanted):
            if key not in self._entries:
                self._add(key, wanted[key])
        if self._closed:
            return
        if not self._entries:
            self._process.end()
        else:
            self._process.start()

    def _add(self, key: SourceKey, trigger: OutsideTrigger) -> None:
        self._next += 1
        server = f"[{trigger.host}]" if ":" in trigger.host else trigger.host
        status = SourceStatus(
            project=key.project,
            function=key.function,
            trigger=key.trigger,
            kind=str(trigger.__struct_config__.tag),
            server=f"{server}:{trigger.port}",
            connected=False,
            since=time.time(),
        )
        entry = _Entry(self._next, key, trigger, status)
        self._entries[key] = self._numbers[entry.number] = entry
        self._begin(entry)

    def _begin(self, entry: _Entry) -> None:
        start = protocol.Start(entry.number, _identity(entry.key), entry.trigger)  # type: ignore[arg-type]  # one of the five
        self._process.send(protocol.encode(start))

    def _begin_all(self) -> None:
        for entry in self._entries.values():
            self._begin(entry)

    def _forget(self, entry: _Entry) -> None:
        del self._entries[entry.key], self._numbers[entry.number]
        self._process.send(protocol.encode(protocol.Stop(entry.number)))

    @property
    def running(self) -> bool:
        """Tell whether there is a process, if there are sources at all."""
        return self._process.connection is not None or not self._entries

    @property
    def starts(self) -> int:
        """How many processes there were."""
        return self._process.starts

    def statuses(self) -> tuple[SourceStatus, ...]:
        """Return how every source is, by project, function and trigger."""
        return tuple(self._entries[key].status for key in sorted(self._entries))

    async def close(self) -> None:
        """End the process. What is being kept is kept first."""
        self._closed = True
        self._process.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _lost(self) -> None:
        for entry in self._entries.values():
            self._set(entry, connected=False, error="The sources process ended; it starts again.")

    # -- what it says --------------------------------------------------------------------------

    def _received(self, body: bytes) -> None:
        report = protocol.decode_report(body)
        entry = self._numbers.get(report.n)
        if entry is None:
            return  # it was ended meanwhile; what it brought comes again elsewhere
        match report:
            case protocol.Ask():
                self._spawn(self._give_password(entry))
            case protocol.Handed():
                self._spawn(self._keep(entry, report))
            case protocol.State():
                self._set(
                    entry,
                    connected=report.connected,
                    error=report.error,
                    waiting=report.waiting,
                )
            case protocol.Refused():
                if not report.denied:
                    refused = entry.status.refused + report.count
                    entry.status = msgspec.structs.replace(entry.status, refused=refused)
                self._receiver.refused(
                    entry.key, report.reason, denied=report.denied, count=report.count
                )

    def _set(
        self, entry: _Entry, *, connected: bool, error: str, waiting: int | None = None
    ) -> None:
        before, now = entry.status, time.time()
        entry.status = msgspec.structs.replace(
            before,
            connected=connected,
            since=before.since if connected == before.connected else now,
            waiting=waiting,
            losses=before.losses + (before.connected and not connected),
            # What was wrong last stays to be seen until something else is.
            error=error or before.error,
            error_at=now if error else before.error_at,
        )
        if (connected, error) != entry.reported:
            entry.reported = (connected, error)
            self._receiver.changed(entry.status)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, entry: _Entry, handed: protocol.Handed) -> None:
        connection = self._process.connection
        kept = await self._receiver.keep(entry.key, handed.events)
        if kept:
            entry.status = msgspec.structs.replace(
                entry.status,
                events=entry.status.events + len(handed.events),
                last_event_at=time.time(),
            )
        outcome = protocol.Outcome.KEPT if kept else protocol.Outcome.FULL
        # Another process than the one that asked has batches of its own.
        if connection is self._process.connection:
            self._process.send(protocol.encode(protocol.Kept(entry.number, handed.batch, outcome)))

    async def _give_password(self, entry: _Entry) -> None:
        """Have the vault write the password into a pipe that the process reads."""
        connection = self._process.connection
        if connection is None:
            return
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            # A password fits into the pipe: nobody has to read it while it is written.
            await self._deliver(entry.key.project, entry.trigger.password, writing)
            if connection is self._process.connection:
                connection.send(protocol.encode(protocol.Secret(entry.number)), (reading,))
        except CasemateError as error:
            problem = f"The password cannot be had: {error}"[:600]
            if connection is self._process.connection:
                connection.send(protocol.encode(protocol.Secret(entry.number, problem)))
        finally:
            os.close(reading)
            os.close(writing)
