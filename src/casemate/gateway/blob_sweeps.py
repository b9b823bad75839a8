"""Deleting what no row names in the bundles' part of a shared store, by one node for all.

A bundle's blob is written before its row: a node that ends in between leaves one behind. Those of
large objects are swept by the data (`casemate.data.orphans`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from casemate.background import Background
from casemate.model.errors import CasemateError

FIRST_SECONDS = 900.0
"""After the start, when a node has other things to do."""
EVERY_SECONDS = 6 * 3600.0
_log = logging.getLogger(__name__)


class BlobSweeps:
    """Of one gateway."""

    def __init__(
        self,
        sweep: Callable[[], Awaitable[int]],
        is_first: Callable[[], Awaitable[bool]],
        *,
        first: float = FIRST_SECONDS,
        every: float = EVERY_SECONDS,
    ) -> None:
        """Call `sweep`, which returns how many it has deleted, where this node `is_first`."""
        self._sweep = sweep
        self._is_first = is_first
        self._first = first
        self._every = every
        self._background = Background()
        self._fault = ""

    def start(self) -> None:
        """Sweep from now on."""
        self._background.start(self._run())

    async def close(self) -> None:
        """Sweep no more; what stays is swept by others."""
        await self._background.close()

    def problems(self) -> str:
        """Return why the last sweep failed; empty: it did not."""
        return self._fault

    async def _run(self) -> None:
        await asyncio.sleep(self._first)
        while True:
            try:
                if await self._is_first():
                    deleted = await self._sweep()
                    _log.info("%d sealed bundles that no row named were deleted", deleted)
                self._fault = ""
            except (CasemateError, OSError, TimeoutError) as error:
                self._fault = f"What no row names cannot be swept: {error}"
                _log.error("%s", self._fault)
            await asyncio.sleep(self._every)
