"""Questions to a process that is kept: many at once, each answered once, by the one that is there.

Unlike `Calls` it outlives the process: what was asked of one that has ended fails, and the next one
is asked like the one before.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from casemate.child.calls import Errors, Reply, encode, require_taken, result_of
from casemate.child.restart import KeptProcess
from casemate.model.errors import CasemateError, InvalidInputError

T = TypeVar("T")


class Respondent(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked, and within which bounds."""

    name: str
    """As in "The recorder has ended."."""
    most: int
    """Questions that it is asked at once."""
    most_waiting: int
    """Questions that may be under way: those, and others until it has answered some of them."""
    errors: Errors
    unavailable: type[CasemateError]
    """Raised for a process that is gone, has too much to do, or does not answer in time."""
    takes: Callable[[bytes], object]
    """What it decodes requests by: for one that is none it ends, for everybody."""
    if_gone: str = "Try again in a moment."
    """What to do then."""
    if_late: str = "Try again in a moment."

    def gone(self) -> CasemateError:
        """Return the error for a process that is not there, or is asked too much."""
        return self.unavailable(
            f"The {self.name} is not there, or has too many questions to answer.",
            next_step=self.if_gone,
        )


class Questions:
    """The questions that wait for their answers. In the event loop's thread only."""

    def __init__(self, respondent: Respondent, loop: asyncio.AbstractEventLoop) -> None:
        """Ask nothing yet."""
        self._respondent = respondent
        self._loop = loop
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._turn = asyncio.Semaphore(respondent.most)
        self._under_way = 0

    def number(self) -> int:
        """Return the number of the next message: no other that waits has the same."""
        return next(self._numbers) & 0xFFFFFFFF

    async def ask(
        self,
        process: KeptProcess,
        kind: type[T],
        make: Callable[[int], msgspec.Struct],
        *,
        seconds: float,
        descriptors: Sequence[int] = (),
    ) -> T:
        """Send the request that `make` makes of a number; return its answer, which is a `kind`.

        Copies of the descriptors go along. Raises what the process answers with,
        `Respondent.unavailable`, and InvalidInputError for what the process would not take.
        """
        respondent = self._respondent
        if self._under_way >= respondent.most_waiting:
            raise respondent.gone()
        self._under_way += 1
        try:
            async with asyncio.timeout(seconds), self._turn:
                answer = await self._answer(process, make, descriptors)
        except TimeoutError:
            raise respondent.unavailable(
                f"The {respondent.name} did not answer within {seconds:g} s.",
                next_step=respondent.if_late,
            ) from None
        finally:
            self._under_way -= 1
        return result_of(answer, kind, respondent.name, respondent.unavailable)

    async def _answer(
        self,
        process: KeptProcess,
        make: Callable[[int], msgspec.Struct],
        descriptors: Sequence[int],
    ) -> msgspec.Raw:
        if process.connection is None:
            raise self._respondent.gone()
        number = self.number()
        data = encode(make(number))
        require_taken(self._respondent.takes, data, self._respondent.name, InvalidInputError)
        future: asyncio.Future[msgspec.Raw] = self._loop.create_future()
        self._waiting[number] = future
        try:
            process.send(data, descriptors)
            return await future
        except OSError as error:
            raise self._respondent.gone() from error
        finally:
            self._waiting.pop(number, None)

    def answered(self, reply: Reply) -> bool:
        """Take a reply; False if it is of no question that waits."""
        future = self._waiting.pop(reply.n, None)
        if future is None:
            return False
        if not future.done():
            if reply.failure is None:
                future.set_result(reply.result)
            else:
                future.set_exception(self._respondent.errors.error(reply.failure))
        return True

    def lost(self) -> None:
        """Fail what waits: the process has ended."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(
                    self._respondent.unavailable(
                        f"The {self._respondent.name} has ended.",
                        next_step=self._respondent.if_gone,
                    )
                )
