"""Reading the journal along: from a kept position, nothing left out, over recorders."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from casemate.child.calls import Callee, Calls
from casemate.model.errors import CasemateError
from casemate.monitor.errors import MonitorError, MonitorUnavailableError
from casemate.recorder import reading_protocol as protocol
from casemate.recorder.protocol import Told
from casemate.recorder.reading_protocol import (
    Batch,
    Follow,
    GetHead,
    Head,
    Lend,
    Lent,
    RecordKind,
    Seen,
    Tell,
)

LOOKBACK = 50_000
"""Entries that are read again where it is not known what was read before."""
ANSWER_SECONDS = 30.0
RETRY_SECONDS = 1.0
LONELY_SECONDS = 30.0
MEET_SECONDS = 10.0
"""Within which a monitor that starts beside a recorder has met it."""
_RECORDER = Callee(
    name="recorder",
    bounds=protocol.ASKING,
    pending=4,
    seconds=ANSWER_SECONDS,
    errors=protocol.ERRORS,
    unavailable=MonitorUnavailableError,
    invalid=MonitorUnavailableError,
)
T = TypeVar("T")
_log = logging.getLogger("casemate.monitor")


class Position(msgspec.Struct):
    """Where in the journal one is."""

    next: int | None
    """Index of the entry that is read next; None: not known, see `LOOKBACK`."""
    last: str = ""
    """Id of the one before."""


class Following:
    """Reads along."""

    def __init__(
        self,
        position: Position,
        *,
        taken: Callable[[Sequence[Seen]], None],
        rolled_back: Callable[[int, int], None],
        unreadable: Callable[[int, int, str], None],
    ) -> None:
        """Give entries to `taken`, in order.

        `rolled_back` is told the position and the size of a journal that is not the one that was
        read; `unreadable` from where to where, and why, entries could not be read.
        """
        self.position = position
        self._taken = taken
        self._rolled_back = rolled_back
        self._unreadable = unreadable
        self._newest: socket.socket | None = None
        self._came = asyncio.Event()
        self._calls: Calls | None = None
        self._asking = asyncio.Lock()
        self.size = 0
        """Entries that the journal had when it was last heard of."""
        self.caught_up = asyncio.Event()
        """Set once all that was there at the start has been read."""
        self.current = False
        """Whether all that there is has been read, from the recorder that there is."""
        self.abreast = False
        """Whether all has been read that was there when that recorder was met."""
        self._began = time.monotonic()
        self._problem: str | None = None
        """None before the first recorder was met."""

    @property
    def problem(self) -> str:
        """Why nothing is read; empty if all is well. Both processes start at the same time."""
        if self._problem is not None:
            return self._problem
        if time.monotonic() - self._began < MEET_SECONDS:
            return ""
        return "There is no recorder to read from yet."

    def connect(self, sock: socket.socket) -> None:
        """Read from another recorder from now on."""
        if self._newest is not None:
            self._newest.close()
        self._newest = sock
        self._came.set()
        if self._calls is not None:
            self._calls.close()

    async def run(self) -> None:
        """Read for ever. Raises MonitorError where there is no recorder for too long."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(LONELY_SECONDS):
                    await self._came.wait()
            except TimeoutError:
                # One that ended the connection and lives is not introduced again: another monitor
                # is.
                raise MonitorError(
                    f"There has been no recorder to read from for {LONELY_SECONDS:g} s."
                ) from None
            self._came.clear()
            sock, self._newest = self._newest, None
            if sock is None:
                continue
            self._calls = calls = Calls(_RECORDER, sock, loop)
            try:
                while True:
                    try:
                        await self._follow(calls)
                    except CasemateError as error:
                        # Of a recorder that is there: what it cannot do now it may do later.
                        self._problem = error.message
                        if calls.lost.done():
                            break
                        _log.error("the journal cannot be read along: %s", error)
                        await asyncio.sleep(RETRY_SECONDS)
            finally:
                self.current = self.abreast = False
                calls.close()
                self._calls = None

    async def _follow(self, calls: Calls) -> None:
        await self._begin(calls)
        while True:
            at = self.position.next or 0
            batch = await self._ask(calls, at, wait=self.current)
            if batch.damage:
                self._unreadable(at, batch.next, batch.damage)
                self.position = Position(batch.next)
            elif batch.size < at:
                await self._begin(calls)
                continue
            else:
                self._take(batch)
            self.current = batch.next >= batch.size
            if self.current:
                self.abreast = True
                self._problem = ""
                self.caught_up.set()

    def _take(self, batch: Batch) -> None:
        if batch.entries:
            self._taken(batch.entries)
        last = batch.entries[-1].id if batch.entries else self.position.last
        self.position = Position(batch.next, last)

    async def _begin(self, calls: Calls) -> None:
        """See that the journal is the one that was read, or begin anew near its end."""
        self.current = False
        at = self.position.next
        if at is None:
            batch = await self._ask(calls, 0, wait=False)
            self.position = Position(max(0, batch.size - LOOKBACK))
            return
        batch = await self._ask(calls, max(0, at - 1), wait=False)
        known = self.position.last
        same = not at or (batch.entries[:1] and (not known or batch.entries[0].id == known))
        if batch.size >= at and (same or batch.damage):
            return
        self._rolled_back(at, batch.size)
        self.position = Position(max(0, batch.size - LOOKBACK))

    async def _ask(self, calls: Calls, after: int, *, wait: bool) -> Batch:
        batch = await calls.ask_for(Batch, lambda n: Follow(n, after, wait))
        self.size = batch.size
        return batch

    async def lend(self, what: RecordKind, after: int | None) -> Lent:
        """Return records, as far as this node's settings have them exported. CasemateError."""
        return await self._asked(Lent, lambda n: Lend(n, what, after))

    async def head(self) -> Head:
        """Return the newest signed head of the journal. Raises CasemateError."""
        return await self._asked(Head, GetHead)

    async def _asked(self, kind: type[T], make: Callable[[int], msgspec.Struct]) -> T:
        # One after the other: the recorder takes few questions at a time.
        async with self._asking:
            calls = self._calls
            if calls is None:
                raise MonitorUnavailableError("There is no recorder to ask yet.")
            return await calls.ask_for(kind, make)

    async def tell(self, facts: tuple[Told, ...]) -> bool:
        """Have facts kept; False where that is not known to have been done."""
        calls = self._calls
        if calls is None or not self.abreast:
            return False
        try:
            await calls.ask(lambda n: Tell(n, facts))
        except CasemateError as error:
            self._problem = error.message
            return False
        return True
