"""A sign of life, again and again: whoever gets none any more knows that nothing is told any more.

Sent only while the journal is read along and no channel fails: silence means that somebody looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from casemate.model.errors import CasemateError
from casemate.monitor.http import Request, post
from casemate.monitor.messages import plain
from casemate.monitor.outlet import ATTEMPT_SECONDS
from casemate.monitor.reaching import Reach
from casemate.monitor.settings import Deadman as DeadmanSettings

PLACE = -1


class Deadman:
    """Sends it."""

    def __init__(self, settings: DeadmanSettings, reach: Reach, well: Callable[[], bool]) -> None:
        """Send it for as long as all is `well`."""
        self._settings = settings
        self._reach = reach
        self._well = well
        self.sent = 0
        self.problem = ""

    async def run(self) -> None:
        """Send for ever."""
        while True:
            if self._well():
                await self._send()
            await asyncio.sleep(self._settings.every)

    async def _send(self) -> None:
        request = Request("POST", self._settings.url, {}, b"")
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                await post(self._reach, PLACE, self._settings, request)
        except (CasemateError, OSError, EOFError, ValueError) as error:  # TimeoutError is one
            self.problem = plain(f"{error or type(error).__name__}")
        else:
            self.sent += 1
            self.problem = ""
