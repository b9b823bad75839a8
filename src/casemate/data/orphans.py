"""What no row names, in stores that others write to, too: swept from time to time, off the loop.

A folder of files is swept when its project is first opened: nobody else writes there. A store in
the network is not asked then, as opening a project must not wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial

from casemate.data.project import OpenProject
from casemate.model.errors import CasemateError
from casemate.sqlite.engine import Connection

SWEEP_SECONDS = 6 * 3600.0
AGAIN_SECONDS = 600.0
"""After a sweep that failed."""
_NAMED = "SELECT file FROM object WHERE file BETWEEN ? AND ?"
_log = logging.getLogger(__name__)


class OrphanSweeps:
    """Sweeps projects one after the other. Belongs to one event loop."""

    def __init__(
        self,
        in_thread: Callable[[Callable[[], int]], Awaitable[int]],
        released: asyncio.Event,
    ) -> None:
        """Sweep by `in_thread`; `released` is set when a project is not held open any more."""
        self._in_thread = in_thread
        self._released = released
        self._next: dict[str, float] = {}
        self.faults: dict[str, str] = {}
        """Why projects could not be swept."""

    async def run(self, opened: Mapping[str, OpenProject], pause: float) -> None:
        """Sweep what is open and due, again and again."""
        while True:
            await asyncio.sleep(pause)
            for project in list(opened.values()):
                due = self._next.get(project.name, 0.0) <= time.monotonic()
                # What came before may have taken hours, and this one be closed by now.
                if due and opened.get(project.name) is project:
                    await self.sweep(project)

    async def sweep(self, project: OpenProject) -> None:
        """Sweep a project, which is held open meanwhile; what fails is tried again later."""
        project.users += 1
        wait = SWEEP_SECONDS
        try:
            await self._in_thread(lambda: project.files.sweep(partial(_asked, project)))
            self.faults.pop(project.name, None)
        except Exception as error:  # noqa: BLE001 - one that fails must not end all sweeps
            wait = AGAIN_SECONDS
            why = error.message if isinstance(error, CasemateError) else type(error).__name__
            if project.name not in self.faults:
                _log.warning("what is left of objects of %s stays: %s", project.name, why)
            self.faults[project.name] = f"what is left of objects cannot be deleted: {why}"
        finally:
            project.users -= 1
            self._released.set()
            self._next[project.name] = time.monotonic() + wait


def named(connection: Connection, first: str, last: str) -> Iterator[str]:
    """Give the names of the files of objects, from one to another."""
    return (row[0] for row in connection.execute(_NAMED, (first, last)))


def _asked(project: OpenProject, first: str, last: str) -> list[str]:
    return project.connections.read(lambda connection: list(named(connection, first, last)))
