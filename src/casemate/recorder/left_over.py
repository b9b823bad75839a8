"""What a gateway that is gone had not told, in the recorder."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Iterator, Sequence

from casemate.child.frames import FrameError
from casemate.recorder import outstanding
from casemate.recorder.protocol import MAX_FACTS, SESSION_BYTES, Take

GONE_SECONDS = 0.3
"""How long a gateway whose connection has ended may take to be gone."""
_LOOK_SECONDS = 0.01


class LeftOver:
    """The memory of one gateway, and whether it is gone."""

    def __init__(self) -> None:
        """Have none until `hold`."""
        self._session = b""
        self._memory = self._life = -1

    def hold(self, session: bytes, descriptors: Sequence[int]) -> None:
        """Take over the memory and a pipe that the gateway holds open. Raises FrameError."""
        self.close()
        if len(descriptors) != 2:
            for each in descriptors:
                os.close(each)
            raise FrameError("A message came without its descriptors.")
        self._session = session
        self._memory, self._life = descriptors

    async def is_gateway_gone(self) -> bool:
        """Tell whether the gateway will tell nothing more: one that lives sends all of it again."""
        if self._life < 0:
            return False
        poll = select.poll()
        poll.register(self._life, 0)
        loop = asyncio.get_running_loop()
        until = loop.time() + GONE_SECONDS
        while True:
            if any(event & select.POLLHUP for _, event in poll.poll(0)):
                return True
            if loop.time() > until:
                return False
            await asyncio.sleep(_LOOK_SECONDS)

    def takes(self) -> Iterator[Take]:
        """Yield what is there as if it had been told: what is kept is known by its number."""
        found = sorted(outstanding.read(self._memory), key=lambda each: each.number)
        numbered = [each for each in found if each.number >= 0]
        for each in numbered:
            yield Take(0, self._session, each.number, (each.told,))
        others = [each.told for each in found if each.number < 0]
        session = os.urandom(SESSION_BYTES)
        for first in range(0, len(others), MAX_FACTS):
            yield Take(0, session, first, tuple(others[first : first + MAX_FACTS]))

    def close(self) -> None:
        """Close what was passed."""
        for each in (self._memory, self._life):
            if each >= 0:
                os.close(each)
        self._memory = self._life = -1
