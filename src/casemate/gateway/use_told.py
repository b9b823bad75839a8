"""What is used beside invocations: bytes to and from hosts outside, and what projects keep.

It is told to the recorder, which sums it up, and to budgets. How much a project keeps is looked at
every few minutes; the recorder multiplies by the time since it was told before, so that a node that
was down, or killed, leaves nothing out and counts nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from casemate.background import Background
from casemate.budgets import Allowance
from casemate.gateway.state import NodeData, always
from casemate.model.errors import CasemateError
from casemate.model.usage import HOUR, Amounts, Passed, Stored
from casemate.sandbox.zygotes import Zygotes

LOOK_SECONDS = 600.0
_log = logging.getLogger(__name__)


class UseTold:
    """Of one gateway."""

    def __init__(
        self,
        zygotes: Zygotes,
        data: NodeData,
        record: Callable[[Passed | Stored], None],
        allowance: Allowance,
        counts: Callable[[], Awaitable[bool]] = always,
    ) -> None:
        """Find out whose it is by `zygotes`, and what is kept by `data`.

        `counts` tells whether this node is the one that tells what is kept: others keep the same.
        """
        self._zygotes = zygotes
        self._data = data
        self._record = record
        self._allowance = allowance
        self._counts = counts
        self._background = Background()

    def on_passed(self, zygote: int, came_in: int, went_out: int) -> None:
        """Count what a function's connections have carried."""
        version = self._zygotes.version_of(zygote)
        if version is None:
            _log.error("%d bytes of zygote %d belong to nobody", came_in + went_out, zygote)
            return
        project, function = version.project, version.function
        self._record(Passed(project, function, came_in, went_out))
        amounts = Amounts(egress_in=came_in, egress_out=went_out)
        self._allowance.use(project, function, amounts)

    def start(self) -> None:
        """Look from now on."""
        self._background.start(self._look())

    async def close(self) -> None:
        """Look no more."""
        await self._background.close()

    async def _look(self) -> None:
        passed = 0.0
        while True:
            try:
                counts = await self._counts()
                sizes = await asyncio.to_thread(self._data.sizes) if counts else {}
                for project, size in sizes.items():
                    self._record(Stored(project, size))
                    hours = Amounts(byte_hours=int(size * passed / HOUR))
                    self._allowance.use(project, "", hours)
            except (OSError, CasemateError) as error:
                _log.error("what projects keep cannot be examined: %s", error)
            before = asyncio.get_running_loop().time()
            await asyncio.sleep(LOOK_SECONDS)
            passed = asyncio.get_running_loop().time() - before
