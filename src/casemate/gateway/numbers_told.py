"""The node's numbers, told to the monitor as often as it wants them: for those it exports to."""

from __future__ import annotations

import asyncio
import logging
import time

from casemate.background import Background
from casemate.gateway.observed import Observed
from casemate.model.errors import CasemateError
from casemate.monitor import MonitorClient

LOOK_SECONDS = 1.0
_log = logging.getLogger(__name__)


class NumbersTold:
    """Tells them. A monitor that is gone is told the newest ones when it is back."""

    def __init__(self, observed: Observed, monitor: MonitorClient, started_at: float) -> None:
        """Tell `monitor` what `observed` says."""
        self._observed = observed
        self._monitor = monitor
        self._started_at = started_at
        self._background = Background()

    def start(self) -> None:
        """Begin to tell."""
        self._background.start(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = 0.0
        while True:
            status = self._monitor.status
            every = status.numbers_every if status is not None else 0.0
            if every and loop.time() >= due:
                due = loop.time() + every
                try:
                    await self._tell()
                except CasemateError as error:
                    _log.warning("the monitor was not told the node's numbers: %s", error)
                except Exception:  # noqa: BLE001 - once without numbers is no reason for never again
                    _log.exception("the monitor was not told the node's numbers")
            await asyncio.sleep(LOOK_SECONDS)

    async def _tell(self) -> None:
        families = await self._observed.families()
        await self._monitor.tell_numbers(
            families.messages(), started_at=self._started_at, at=time.time()
        )

    async def close(self) -> None:
        """Tell no more."""
        await self._background.close()
