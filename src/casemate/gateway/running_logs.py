"""Records what invocations write while they run, so that it is seen before they end.

One look at all of them every half second: what runs shorter costs nothing, and an invocation has no
timer or task of its own for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from casemate.background import Background
from casemate.model.path import Admitted
from casemate.sandbox.instance import Instance
from casemate.seal import Seal

LOOK_SECONDS = 0.5
"""A line is with the store this long after it was written, at most, and half of that on average."""
_log = logging.getLogger(__name__)


class Serving(Protocol):
    """Who knows what runs."""

    def serving(self) -> tuple[tuple[Instance, Admitted], ...]:
        """Return the instances that serve an invocation, and which."""
        ...


class RunningLogs:
    """Looks at what runs; `start` and `close` frame it."""

    def __init__(self, dispatcher: Serving, seal: Seal) -> None:
        """Have `seal` record what the instances of `dispatcher` write."""
        self._dispatcher = dispatcher
        self._seal = seal
        self._background = Background()

    def start(self) -> None:
        """Begin to look, from the running loop on."""
        self._background.start(self._run())

    async def close(self) -> None:
        """Look no more."""
        await self._background.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Record the whole lines of all that has run for a while."""
        young = time.time() - LOOK_SECONDS
        for instance, admitted in self._dispatcher.serving():
            output = instance.output
            if (
                output is None
                or not output.entries
                or instance.serving != admitted.request.id
                or admitted.request.raw.received_at > young
            ):
                continue
            try:
                self._seal.write(admitted, output)
            except Exception:  # noqa: BLE001 - the lines of the others are recorded all the same
                _log.exception("lines of %s could not be recorded", admitted.request.id)
