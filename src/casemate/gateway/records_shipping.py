"""Carries recorders' batches to where all nodes reach them, and those of others to the recorder.

Both are the recorder's: it makes them, proves what it gets, and knows how far it is. Here is only
the way, and what may be told of it: up to when records of other nodes are here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from casemate.background import Background
from casemate.model.errors import CasemateError
from casemate.model.nodes import OtherJournal, RecordsBehind
from casemate.recorder import protocol
from casemate.recorder.client import RecorderClient
from casemate.store.shipped_records import KEPT_SECONDS, Batch, ShippedRecords, Stream

TURN_SECONDS = 1.0
FORGET_SECONDS = 60.0
DOUBT_SECONDS = 86_400.0
"""For which it is told what was wrong with what another node stored; the journal has it longer."""
BEHIND_SECONDS = 45.0
"""A node whose records are older than that is told of: it says every 15 s that there are none."""
_AT_ONCE = 4
"""Batches that are fetched at once, of some megabytes each at the most."""
_OF_A_TURN = 64
_log = logging.getLogger(__name__)


class RecordsShipping:
    """Of one gateway that shares its state with others."""

    def __init__(
        self, recorder: RecorderClient, rows: ShippedRecords, name: Callable[[], str]
    ) -> None:
        """Carry between `recorder` and `rows`; `name` is the node's, as people know it."""
        self._recorder = recorder
        self._rows = rows
        self._name = name
        self._stored: tuple[bytes, int] | None = None
        self._anew = False
        self._places: tuple[protocol.Place, ...] = ()
        self._forgotten_at = float("-inf")
        self._background = Background()
        self._fault = ""

    def start(self) -> None:
        """Carry from now on."""
        self._background.start(self._run())

    async def close(self) -> None:
        """Carry no more; what is not stored is the next time."""
        await self._background.close()

    def problems(self) -> str:
        """Return why records do not come or go, and which are in doubt; empty: none are."""
        since = time.time() - DOUBT_SECONDS
        doubted = [
            f"{one.name}: {one.problem}."
            for one in self._places
            if one.problem and one.problem_at > since
        ]
        return " ".join(filter(None, (self._fault, *doubted)))

    def behind(self) -> tuple[RecordsBehind, ...]:
        """Return the nodes whose newest records are not here, those whom nobody awaits left out."""
        now = time.time()
        return tuple(
            RecordsBehind(node=one.name, until=one.until)
            for one in self._places
            if not one.own and BEHIND_SECONDS < now - one.until < KEPT_SECONDS
        )

    def journals(self) -> tuple[OtherJournal, ...]:
        """Return what is known of the journals of other nodes."""
        return tuple(
            OtherJournal(
                node=one.name,
                entries=one.entries,
                until=one.until,
                problem=one.problem,
                problem_at=one.problem_at,
            )
            for one in self._places
            if not one.own
        )

    async def _run(self) -> None:
        while True:
            try:
                await self.turn()
                if self._fault:
                    _log.info("records of other nodes come and go again")
                self._fault = ""
            except (CasemateError, TimeoutError) as error:
                if not self._fault:
                    _log.error("records do not come or go: %s", error)
                self._fault = f"Records do not come from other nodes, or go to them: {error}"
            await asyncio.sleep(TURN_SECONDS)

    async def turn(self) -> None:
        """Store what is new here, and fetch what is new elsewhere. Raises CasemateError."""
        for _ in range(_OF_A_TURN):
            if not await self._ship():
                break
        for _ in range(_OF_A_TURN):
            if not await self._fetch():
                break
        now = time.monotonic()
        if now - self._forgotten_at >= FORGET_SECONDS:
            self._forgotten_at = now
            await self._rows.forget()

    async def _ship(self) -> bool:
        """Store a batch; return whether another is to follow at once.

        What came meanwhile waits for the next turn: many small batches cost more than one.
        """
        name, stored, anew = self._name(), self._stored, self._anew
        found = await self._recorder.ask(
            protocol.Shipment | None,  # type: ignore[arg-type]
            lambda n: protocol.Ship(n, name, stored, anew),
        )
        self._stored, self._anew = None, False
        if found is None:
            return False
        kept = await self._rows.keep(Batch(found.node, found.stream, found.number, found.content))
        if kept:
            self._stored = found.stream, found.number
        # Else this node was put back to before it stored what is there.
        self._anew = not kept
        return found.more or not kept

    async def _fetch(self) -> bool:
        """Have the recorder read some of what it has not read; False: there was nothing."""
        self._places = await self._recorder.ask(tuple[protocol.Place, ...], protocol.GetPlaces)
        places = {one.node: one for one in self._places}
        more = False
        for stream in await self._rows.streams():
            place = places.get(stream.node)
            if place is not None and (place.own or stream.stream < place.stream):
                continue
            same = place is not None and place.stream == stream.stream
            read = place.number if place is not None and same else 0
            if stream.last > read:
                more = await self._receive(stream, read) or more
        return more

    async def _receive(self, stream: Stream, read: int) -> bool:
        went_on = False
        for batch in await self._rows.after(stream, read, _AT_ONCE):
            place = await self._recorder.ask(
                protocol.Place,
                lambda n, batch=batch: protocol.Receive(n, *batch),  # type: ignore[misc]
            )
            went_on = went_on or place.number > read
        return went_on
