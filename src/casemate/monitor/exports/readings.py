"""The numbers of a node on their way to one collector: the newest ones, whole or not at all.

They only grow, or are those of a moment: what could not be sent is told by those that come after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from casemate.monitor.errors import RefusedError
from casemate.monitor.exports.collector import Delivered
from casemate.monitor.exports.numbers import numbers
from casemate.monitor.outlet import ATTEMPT_SECONDS
from casemate.monitor.protocol import ExportState, Numbers
from casemate.monitor.retrying import Retried

MAX_WAITING_BYTES = 8 << 20
"""Of one set of numbers, encoded."""
EARLY = 0.9
"""A set that comes after so much of the time is not too early."""


class Readings(Retried):
    """It."""

    def __init__(
        self, name: str, every: float, send: Callable[[bytes], Awaitable[Delivered]], node: str
    ) -> None:
        """Send by `send` what is given, once in `every` seconds."""
        super().__init__("metrics", name)
        self._every = every
        self._send = send
        self._node = node
        self._parts: list[bytes] = []
        self._size = 0
        self._takes = False
        """Whether the set that is being told is one to send."""
        self._next = 0.0
        """By the loop's clock: no set that begins before is sent."""
        self._work = asyncio.Event()
        self.sent = self.refused = self.missed = 0

    def put(self, told: Numbers) -> None:
        """Take a part of a set."""
        now = asyncio.get_running_loop().time()
        if told.first:
            self._takes = now >= self._next
            if self._takes:
                self._next = now + EARLY * self._every
                # What waits of an older set is told by this one.
                self.missed += len(self._parts)
                self._parts, self._size = [], 0
        if not self._takes:
            return
        part = numbers(self._node, told.started_at, told.at, told.families)
        if self._size + len(part) > MAX_WAITING_BYTES:
            self.refused += 1
            self.problem = f"numbers of over {MAX_WAITING_BYTES} bytes are left out"
            return
        self._parts.append(part)
        self._size += len(part)
        self._work.set()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._parts:
                part = self._parts[0]
                pause = await self._attempt(part)
                if not pause and self._parts and self._parts[0] is part:
                    del self._parts[0]
                    self._size -= len(part)
                await asyncio.sleep(pause)

    async def _attempt(self, part: bytes) -> float:
        """Send a part; return after how long to try it again, 0: never."""
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                done = await self._send(part)
        except RefusedError as error:
            self.refused += 1
            self._answered(error.message)
            return 0.0
        except Exception as error:  # noqa: BLE001 - whatever is answered ends no other
            self._failed(error)
            return self._pause(error)
        self._worked()
        self.sent += 1
        if done.refused:
            self.refused += 1
            self._answered(f"numbers were refused: {done.why}")
        return 0.0

    @property
    def state(self) -> ExportState:
        """Return how it is; counted are requests."""
        return ExportState(
            name=self.name,
            signal="metrics",
            sent=self.sent,
            refused=self.refused,
            missed=self.missed,
            behind=len(self._parts),
            problem=self.problem,
        )
