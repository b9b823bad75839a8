"""Ends of attempts on their way into the database: many in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from casemate.data.errors import LimitError
from casemate.data.interface import ProjectData, Settlement
from casemate.delivery.leased import Place
from casemate.model.errors import CasemateError, InvalidInputError, NotFoundError
from casemate.operations.leases import SettleMessages

_log = logging.getLogger(__name__)
MOST_AT_ONCE = 500
MOST_WAITING = 256
"""Ends of one place that may wait before who makes more has to wait as well."""
_GATHER_SECONDS = 0.02
"""Pause after a transaction for more ends to come: a commit costs more than dozens of them. The
first after a while does not wait."""
_ALONG_SECONDS = 0.1
"""The same while events are kept in the place: their transactions take the ends along."""
_PAUSES = (0.1, 0.5, 2.0, 5.0)
"""Seconds between tries while the disk is full. A lease that ends meanwhile is a duplicate."""


class Settler:
    """One transaction at a time for each place; what comes in meanwhile shares the next one."""

    def __init__(self, data: ProjectData, lost: Callable[[Place], None]) -> None:
        """Settle in `data`; `lost` is told of places where ends were not kept."""
        self._data = data
        self._lost = lost
        self._waiting: dict[Place, list[Settlement]] = {}
        self._tasks: dict[Place, asyncio.Task[None]] = {}
        self._written: dict[Place, asyncio.Future[None]] = {}
        """Who waits for room is told by these."""
        self._along: set[Place] = set()
        """Places where something was kept since ends were written there."""
        self._gathering: dict[Place, asyncio.Future[None]] = {}
        self._soon: set[Place] = set()
        """Places where a message waits for what is to be written."""
        self._idlers: Counter[Place] = Counter()
        """How many wait until nothing of a place is to be written."""
        self._stopping = False

    def add(self, place: Place, settlements: Sequence[Settlement], *, soon: bool = False) -> None:
        """Have attempts ended; `soon` if another message waits for it. Returns at once."""
        waiting = self._waiting.setdefault(place, [])
        waiting.extend(settlements)
        if place not in self._tasks:
            self._tasks[place] = asyncio.get_running_loop().create_task(self._run(place))
        elif soon or len(waiting) > MOST_WAITING // 2:
            self._hurry(place)

    def along(self, place: Place) -> None:
        """Have ends that wait for company written with what is about to be kept in their place.

        To be called just before: then both are one transaction.
        """
        if place not in self._tasks:
            return
        self._along.add(place)
        gathering = self._gathering.get(place)
        if gathering is not None and self._waiting.get(place):
            _wake(gathering)

    def _hurry(self, place: Place) -> None:
        self._soon.add(place)
        gathering = self._gathering.get(place)
        if gathering is not None:
            _wake(gathering)

    async def _gather(self, place: Place) -> None:
        """Wait for more ends of a place, unless somebody waits for those that there are."""
        seconds = _ALONG_SECONDS if place in self._along else _GATHER_SECONDS
        self._along.discard(place)
        if self._stopping or place in self._soon or place in self._idlers:
            return
        loop = asyncio.get_running_loop()
        gathering = self._gathering[place] = loop.create_future()
        timer = loop.call_later(seconds, _wake, gathering)
        try:
            await gathering
        finally:
            timer.cancel()
            del self._gathering[place]

    def has_room(self, place: Place) -> bool:
        """Tell whether not too many ends of a place wait to be written."""
        waiting = self._waiting.get(place)
        return waiting is None or len(waiting) <= MOST_WAITING

    async def room(self, place: Place) -> None:
        """Return once there is room for ends of a place."""
        while not self.has_room(place) and place in self._tasks:
            await self._next_write(place)

    async def _next_write(self, place: Place) -> None:
        written = self._written.get(place)
        if written is None:
            written = self._written[place] = asyncio.get_running_loop().create_future()
        await asyncio.shield(written)

    def _tell_written(self, place: Place) -> None:
        written = self._written.pop(place, None)
        if written is not None and not written.done():
            written.set_result(None)

    async def idle(self, place: Place) -> None:
        """Return once no end of a place waits to be written."""
        self._idlers[place] += 1
        try:
            while place in self._tasks:
                self._hurry(place)
                await asyncio.wait((self._tasks[place],))
        finally:
            self._idlers[place] -= 1
            if not self._idlers[place]:
                del self._idlers[place]

    async def close(self) -> None:
        """Write what waits. What cannot be written is tried again once its lease is over."""
        self._stopping = True
        for place in tuple(self._tasks):
            self._hurry(place)
        while self._tasks:
            await asyncio.wait(tuple(self._tasks.values()))

    async def _run(self, place: Place) -> None:
        try:
            # Of what was kept since the last write the ends are still to come.
            while (waiting := self._waiting.pop(place, [])) or place in self._along:
                self._soon.discard(place)
                for start in range(0, len(waiting), MOST_AT_ONCE):
                    await self._write(place, waiting[start : start + MOST_AT_ONCE])
                    self._tell_written(place)
                await self._gather(place)
        except Exception:  # noqa: BLE001 - logged; the leases end by themselves
            _log.exception("ends of attempts in %s were not kept", "/".join(place))
            self._lost(place)
        finally:
            del self._tasks[place]
            self._soon.discard(place)
            self._along.discard(place)
            self._tell_written(place)
            if place in self._waiting and not self._stopping:
                self.add(place, ())  # what came while those failed

    async def _write(self, place: Place, settlements: list[Settlement]) -> None:
        tries = 0
        while True:
            try:
                project, kind, name = place
                await self._data.change(
                    SettleMessages(
                        project=project, kind=kind, name=name, settlements=tuple(settlements)
                    )
                )
            except (LimitError, NotFoundError, InvalidInputError) as error:
                await self._write_each(place, settlements, error)
            except CasemateError as error:
                if self._stopping or not error.retryable:
                    raise
                _log.error("ends of attempts in %s wait: %s", "/".join(place), error)
                await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
                tries += 1
                continue
            return

    async def _write_each(
        self, place: Place, settlements: list[Settlement], error: CasemateError
    ) -> None:
        """Settle one by one: a destination that cannot take an end must not undo the others."""
        if len(settlements) > 1:
            for one in settlements:
                await self._write(place, [one])
            return
        (one,) = settlements
        if not one.sends:
            raise error
        names = ", ".join(f"{kind} {name}" for kind, name, _ in one.sends)
        _log.error("the end of %s in %s is not told to %s: %s", one.id, place, names, error)
        await self._write(place, [msgspec.structs.replace(one, sends=())])


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
