"""What calls have used of the CPU and of memory, as the control groups of their instances tell it.

A group counts all that ever ran in it: children, threads, what was killed, what went on after the
answer. What it counted from one reading to the next is that of the calls that ended meanwhile, so
that nothing is lost or counted twice. A reading comes when an instance was made ready again, when
it has ended with all that it started, or, of one that is reused as it is, when it is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

ASK_SECONDS = 0.05
"""How long a reused instance goes on before a reading is asked for: one for all its calls then."""
Ask = Callable[[Sequence[int]], None]
"""Asks for readings of instances by their numbers."""
GIVE_UP_SECONDS = 5.0
"""After so long without a reading a call is taken to have used all of its time."""
_LEAST_SECONDS = 1e-6


class Metered:
    """What one call has used; not known before its end, and mostly a moment after it."""

    __slots__ = ("_then", "cpu_us", "known", "memory", "seconds", "since")

    def __init__(self, seconds: float, since: float) -> None:
        """It ran for `seconds`, and has ended at `since`."""
        self.seconds = seconds
        self.since = since
        self.known = False
        self.cpu_us = 0
        self.memory = 0
        """The most bytes that its instance ever held; 0 before that is told, at its end."""
        self._then: tuple[Callable[[Metered], None], ...] = ()

    def then(self, call: Callable[[Metered], None]) -> None:
        """Have `call` called once it is known, at once if it is."""
        if self.known:
            call(self)
        else:
            self._then = (*self._then, call)

    def know(self, cpu_us: int | None, memory: int) -> None:
        """Say what it was; None: nobody knows, so as much as it could have been on one core."""
        if self.known:
            return
        self.known, self.memory = True, memory
        self.cpu_us = int(self.seconds * 1e6) if cpu_us is None else cpu_us
        waiting, self._then = self._then, ()
        for call in waiting:
            call(self)


class Meters:
    """All calls of a gateway whose use is not known yet. On the event loop only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for none."""
        self._loop = loop
        self._waiting: dict[Metered, Meter] = {}
        self._due: dict[Meter, None] = {}
        """Of which a reading is to be asked for."""
        self._asking: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many are not known."""
        return len(self._waiting)

    def wait(self, metered: Metered, meter: Meter) -> None:
        """Wait for a reading of a call."""
        self._waiting[metered] = meter
        if self._timer is None:
            self._timer = self._loop.call_later(GIVE_UP_SECONDS, self._give_up)

    def ask_soon(self, meter: Meter) -> None:
        """Ask for a reading, together with those of others."""
        self._due[meter] = None
        if self._asking is None:
            self._asking = self._loop.call_later(ASK_SECONDS, self._ask)

    def _ask(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        due, self._due = self._due, {}
        asked: dict[Ask, list[int]] = {}
        for meter in due:
            if meter.ask is not None and meter.waits:
                ask, number = meter.ask
                asked.setdefault(ask, []).append(number)
        for ask, numbers in asked.items():
            ask(numbers)

    def read(self, meter: Meter, cpu_us: int | None, memory: int = 0, *, last: bool) -> None:
        """Take a reading: what an instance has used since it was forked."""
        for metered in meter.read(cpu_us, memory, last=last):
            self._waiting.pop(metered, None)

    def _give_up(self) -> None:
        self._timer = None
        now = self._loop.time()
        for metered, meter in list(self._waiting.items()):
            if now - metered.since < GIVE_UP_SECONDS:
                break
            del self._waiting[metered]
            meter.give_up(metered)
        if self._waiting:
            self._timer = self._loop.call_later(GIVE_UP_SECONDS / 5, self._give_up)

    async def settled(self, seconds: float = 1.0) -> None:
        """Wait until that of all calls that have ended before is known, so long at the most."""
        ended = set(self._waiting)
        if not ended:
            return
        done = self._loop.create_future()

        def known(metered: Metered) -> None:
            ended.discard(metered)
            if not ended and not done.done():
                done.set_result(None)

        for metered in tuple(ended):
            metered.then(known)
        self._ask()
        await asyncio.wait((done,), timeout=seconds)

    def close(self) -> None:
        """Have all be known that there is to know: nothing more is told."""
        for timer in (self._timer, self._asking):
            if timer is not None:
                timer.cancel()
        self._timer = self._asking = None
        self._due.clear()
        waiting, self._waiting = self._waiting, {}
        for metered, meter in waiting.items():
            meter.give_up(metered)


class Meter:
    """That of one instance."""

    __slots__ = ("_calls", "_left", "_loop", "_memory", "_meters", "_over", "_used", "ask")

    def __init__(self, loop: asyncio.AbstractEventLoop, meters: Meters) -> None:
        """Count from its fork on; it is one of `meters`."""
        self._loop = loop
        self._meters = meters
        self._used: int = 0
        self._calls: list[Metered] = []
        """Calls that have ended since the last reading."""
        self._over = False
        self._left: int | None = None
        """What was used after the last call that is known, when it was over."""
        self._memory = 0
        self.ask: tuple[Ask, int] | None = None
        """What asks for readings, and its number there, if none comes by itself."""

    def ended(self, seconds: float) -> Metered:
        """Return what a call has used that ran for so long and has ended just now."""
        metered = Metered(seconds, self._loop.time())
        if self._over:
            left, self._left = self._left, 0
            metered.know(left, self._memory)
            return metered
        self._calls.append(metered)
        self._meters.wait(metered, self)
        if self.ask is not None:
            self._meters.ask_soon(self)
        return metered

    @property
    def waits(self) -> bool:
        """Whether there are calls of which a reading would tell."""
        return bool(self._calls) and not self._over

    def read(self, cpu_us: int | None, memory: int, *, last: bool) -> list[Metered]:
        """Take a reading, and return the calls of which it tells."""
        if self._over:
            return []
        more = None if cpu_us is None else max(0, cpu_us - self._used)
        self._memory = memory
        if last:
            self._over = True
            self._left = more if not self._calls else 0
        calls, self._calls = self._calls, []
        for metered, part in zip(calls, _shared_out(more, calls), strict=True):
            metered.know(part, memory)
            self._used += metered.cpu_us  # also what was guessed: it is not counted once more
        return calls

    def give_up(self, metered: Metered) -> None:
        """Wait no longer for a reading of a call."""
        if metered in self._calls:
            self._calls.remove(metered)
        metered.know(None, 0)
        self._used += metered.cpu_us  # which the next reading is not to count again


def _shared_out(total: int | None, calls: list[Metered]) -> list[int | None]:
    """Return what each of some calls used of a whole, by how long they ran: no more, no less."""
    if total is None:
        return [None] * len(calls)
    if len(calls) == 1:
        return [total]
    weights = [max(call.seconds, _LEAST_SECONDS) for call in calls]
    whole, given, parts = sum(weights), 0, []
    for number, weight in enumerate(weights):
        last = number == len(weights) - 1
        part = total - given if last else int(total * weight / whole)
        given += part
        parts.append(part)
    return list(parts)
