"""Events on their way into an inbox: what came at the same moment is kept in one change.

A change of its own for each would cost the event loop more than the call itself. Nothing waits for
company: what has come by the time the loop has gone through what it has read is kept at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from casemate.data.errors import LimitError
from casemate.data.interface import Message, NewMessage, ProjectData
from casemate.delivery.leased import Known
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.trigger import INBOX
from casemate.operations.leases import KeepLeased, KeepMessages

MOST_AT_ONCE = 128
"""Events of one change."""
MOST_BYTES = 1 << 20
"""Bytes after which no further event goes into a change."""


_MOST_TAKEN_BYTES = 4 << 10
"""Of an event that is leased as it is kept: a lane of them is no larger than a lease of others."""


class Taker(Protocol):
    """Who runs events, and may take some as they are kept: they need not be leased then."""

    def coming(self, project: str, function: str) -> None:
        """Be told that events are about to be kept in an inbox: what is written there at once is
        in the same transaction, and before them."""
        ...

    def room(self, project: str, function: str, count: int) -> float:
        """Return for how many seconds to lease so many events; 0: they are to wait.

        After more than 0 it is told by `take` what became of them.
        """
        ...

    def take(
        self,
        project: str,
        function: str,
        known: Sequence[Known | None],
        leased: Sequence[Message],
        until: float,
    ) -> None:
        """Take events that are leased `until` then (loop time): those for which there was room,
        or none. `known` tells of each for which there was room what need not be read again."""
        ...


class _Nobody:
    """Takes nothing."""

    def coming(self, project: str, function: str) -> None:
        """Do nothing."""

    def room(self, project: str, function: str, count: int) -> float:
        """Return that all are to wait."""
        return 0.0

    def take(
        self,
        project: str,
        function: str,
        known: Sequence[Known | None],
        leased: Sequence[Message],
        until: float,
    ) -> None:
        """Take none."""


class _Place(NamedTuple):
    """What events of one change have in common: what bounds them is asked once for all."""

    project: str
    function: str
    caller: str
    anonymous: bool


class _Arrived(NamedTuple):
    """What one caller sent, all of which is kept or none, and who waits for that."""

    messages: tuple[NewMessage, ...]
    known: tuple[Known | None, ...]
    kept: asyncio.Future[None]


class Incoming:
    """Keeps events. One per gateway; all methods run on the event loop."""

    def __init__(self, data: ProjectData, ensure_inbox: Callable[[str], Awaitable[None]]) -> None:
        """Keep in `data`; `ensure_inbox` makes the inboxes of a project."""
        self._data = data
        self._ensure_inbox = ensure_inbox
        self.taker: Taker = _Nobody()
        self._waiting: dict[_Place, list[_Arrived]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(
        self,
        project: str,
        function: str,
        messages: tuple[NewMessage, ...],
        known: tuple[Known, ...] = (),
    ) -> asyncio.Future[None]:
        """Return what is done once the messages, which are of one caller, are durable.

        `known` are the events that they are made of, where that is known.

        It fails as `KeepMessages` does; what others have sent at the same time changes nothing.
        """
        loop = asyncio.get_running_loop()
        first = messages[0]
        place = _Place(project, function, first.caller, first.anonymous)
        waiting = self._waiting.get(place)
        if waiting is None:
            waiting = self._waiting[place] = []
            loop.call_soon(self._begin, place)
        kept: asyncio.Future[None] = loop.create_future()
        waiting.append(_Arrived(messages, known or (None,) * len(messages), kept))
        return kept

    def _begin(self, place: _Place) -> None:
        self.taker.coming(place.project, place.function)
        for part in _parts(self._waiting.pop(place)):
            task = asyncio.get_running_loop().create_task(self._write(place, part))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _write(self, place: _Place, arrived: Sequence[_Arrived]) -> None:
        try:
            await self._change(place, arrived)
        except (LimitError, InvalidInputError) as error:
            if len(arrived) == 1:
                _fail(arrived, error)
                return
            # Nothing was kept. What one of them asks too much of must not fail the others.
            await asyncio.gather(*(self._write(place, (one,)) for one in arrived))
        except asyncio.CancelledError:
            for one in arrived:
                one.kept.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and answers for it
            _fail(arrived, error)
        else:
            for one in arrived:
                if not one.kept.done():
                    one.kept.set_result(None)

    async def _change(self, place: _Place, arrived: Sequence[_Arrived]) -> None:
        try:
            await self._keep(place, arrived)
        except NotFoundError:
            await self._ensure_inbox(place.project)
            await self._keep(place, arrived)

    async def _keep(self, place: _Place, arrived: Sequence[_Arrived]) -> None:
        """Keep events, and hand over those that have room where they run.

        Should this be cancelled, which only the end of the gateway does, the next one ends leases
        that nobody has.
        """
        project, function = place.project, place.function
        messages = tuple([message for one in arrived for message in one.messages])
        small = all(one.is_plain and len(one.body) <= _MOST_TAKEN_BYTES for one in messages)
        seconds = self.taker.room(project, function, len(messages)) if small else 0.0
        if not seconds:
            await self._data.change(
                KeepMessages(project=project, kind=INBOX, name=function, messages=messages)
            )
            return
        until = asyncio.get_running_loop().time() + seconds
        keep = KeepLeased(project=project, function=function, messages=messages, lease=seconds)
        leased: Sequence[Message] = ()
        try:
            leased = await self._data.change(keep)
        finally:
            known = [each for one in arrived for each in one.known]
            self.taker.take(project, function, known, leased, until)


def _parts(arrived: Sequence[_Arrived]) -> Iterator[list[_Arrived]]:
    """Give what arrived in parts that are one change each."""
    part: list[_Arrived] = []
    count = size = 0
    for one in arrived:
        if part and (count + len(one.messages) > MOST_AT_ONCE or size > MOST_BYTES):
            yield part
            part, count, size = [], 0, 0
        part.append(one)
        count += len(one.messages)
        size += sum(len(message.body) for message in one.messages)
    yield part


def _fail(arrived: Sequence[_Arrived], error: Exception) -> None:
    for one in arrived:
        if not one.kept.done():
            one.kept.set_exception(error)
