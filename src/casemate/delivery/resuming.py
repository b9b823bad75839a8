"""What an earlier process left: its leases end before this one takes any; so do those of a node
that is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from casemate.data.interface import ProjectData
from casemate.delivery.leased import Place
from casemate.model.errors import CasemateError
from casemate.operations.inboxes import ResumeDelivery

_log = logging.getLogger(__name__)
FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0
"""Seconds between two tries of what failed, such as for a project that cannot be opened now."""


class Resuming:
    """The projects of one gateway. All methods run on the event loop."""

    def __init__(self, data: ProjectData, due: Callable[[Place, float], None]) -> None:
        """End leases in `data`; `due` is told of each place where something waits, and when."""
        self._data = data
        self._due = due
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopped = asyncio.Event()

    async def resume_all(self, projects: Iterable[str]) -> None:
        """Resume these, one after the other, again and again those that cannot be now.

        Without a new event nobody else would look at what waits there.
        """
        left, pause = list(projects), FIRST_PAUSE
        while left:
            left = [project for project in left if not await self._done(project)]
            if not left:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _done(self, project: str) -> bool:
        if self._stopped.is_set():
            return True
        try:
            await self.resume(project)
        except CasemateError as error:
            _log.error("the events of project %s wait: %s", project, error)
            return False
        return True

    async def again(self, project: str) -> None:
        """End leases in a project once more: those of a node that is gone meanwhile."""
        task = self._tasks.get(project)
        if task is None or task.done():  # else it is being done
            self._tasks.pop(project, None)
            await self._done(project)

    async def resume(self, project: str) -> None:
        """End the leases of an earlier process in a project, unless that is done. CasemateError."""
        task = self._tasks.get(project)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            loop = asyncio.get_running_loop()
            task = self._tasks[project] = loop.create_task(self._resume(project))
        await asyncio.shield(task)

    def is_done(self, project: str) -> bool:
        """Tell whether the leases of an earlier process have been ended in a project."""
        task = self._tasks.get(project)
        return task is not None and task.done() and not (task.cancelled() or task.exception())

    async def _resume(self, project: str) -> None:
        for kind, name, at in await self._data.change(ResumeDelivery(project=project)):
            self._due((project, kind, name), at)

    def stop(self) -> None:
        """Try nothing again."""
        self._stopped.set()
