"""Looking every few seconds at what the node has, and once more at its end, to remember it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from casemate.background import Background
from casemate.model.errors import CasemateError

_log = logging.getLogger(__name__)
LOOK_SECONDS = 5.0


class Looking:
    """Has a look taken, on the event loop. What fails is tried again the next time."""

    def __init__(self, look: Callable[[], Awaitable[None]], what: str) -> None:
        """`what` says in the log what would not be told."""
        self._look = look
        self._what = what
        self._background = Background()

    def begin(self) -> None:
        """Look from the running loop on."""
        self._background.start(self._run())

    async def close(self) -> None:
        """Look for the last time."""
        await self._background.close()
        with suppress(CasemateError):
            await self._look()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except CasemateError as error:
                _log.warning("an older copy would not be told, %s: %s", self._what, error)
