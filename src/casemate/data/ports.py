"""All operations on a project's data, over open projects, whatever engine keeps these."""

from __future__ import annotations

from collections.abc import Callable

from casemate.data import (
    delivery_port,
    item_port,
    letter_port,
    message_port,
    object_port,
    resource_port,
)
from casemate.operations.performing import Performed

PERFORMED = Performed(
    resource_port.performs,
    object_port.performs,
    item_port.performs,
    message_port.performs,
    letter_port.performs,
    delivery_port.performs,
)


class Ports(
    resource_port.ResourcePort,
    object_port.ObjectPort,
    item_port.ItemPort,
    message_port.MessagePort,
    letter_port.LetterPort,
    delivery_port.DeliveryPort,
):
    """What every adapter of `casemate.data.interface.ProjectData` has, which documents the calls.

    PERFORMED finds what performs an operation on it.
    """

    def watch(self, ready: Callable[[str, str, str], None]) -> None:
        """Have `ready` called on the running loop when a message can be leased."""
        self._projects.watch(ready)

    def open_projects(self) -> list[str]:
        """Return the names of the projects that are open now."""
        return list(self._projects.opened)

    async def probe(self, project: str) -> None:
        """Read something of a project that is open. Raises what every reader would meet.

        That does not count as a use: one that nobody else uses is closed all the same.
        """
        opened = self._projects.opened.get(project)
        if opened is None:
            return
        opened.users += 1
        try:
            await opened.read(lambda c: c.execute("SELECT count(*) FROM resource").fetchone())
        finally:
            opened.users -= 1
            if not opened.users:
                self._projects.released.set()

    async def close(self) -> None:
        """Write what is queued, and let go of what the projects are kept in."""
        await self._uploads.close()
        await self._projects.close()
