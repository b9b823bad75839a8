"""Tells a project's data which of its functions are subscribed to what."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from casemate.admission import Catalogue
from casemate.data.interface import ProjectData, Subscription
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError
from casemate.operations.inboxes import Subscribe

_logger = logging.getLogger(__name__)


class Subscriptions:
    """The triggers of the versions that are live, as the data of each project knows them."""

    def __init__(self, data: ProjectData, catalogue: Catalogue) -> None:
        """Subscribe in `data` what `catalogue` says is live."""
        self._data = data
        self._catalogue = catalogue
        self._told: dict[str, tuple[Subscription, ...]] = {}
        self._telling = asyncio.Lock()

    async def start(self) -> None:
        """Bring every project up to date; one whose data cannot be read does not stop the node."""
        await self._update(self._log)

    async def update(self) -> None:
        """Bring every project up to date that has triggers, or had some."""
        await self._update(None)

    @staticmethod
    def _log(project: str, error: CasemateError) -> None:
        _logger.error("the triggers of project %s are not in force: %s", project, error)

    async def _update(self, failed: Callable[[str, CasemateError], None] | None) -> None:
        wanted = self._wanted()
        for project in sorted({*wanted, *self._told}):
            subscriptions = wanted.get(project, ())
            if project in self._told or any(s.trigger is not None for s in subscriptions):
                try:
                    await self._tell(project, subscriptions)
                except CasemateError as error:
                    if failed is None:
                        raise
                    failed(project, error)

    async def ensure(self, project: str) -> None:
        """Have every function of a project an inbox."""
        if project not in self._told:
            await self._tell(project, self._wanted().get(project, ()))

    async def _tell(self, project: str, subscriptions: tuple[Subscription, ...]) -> None:
        async with self._telling:
            if self._told.get(project) != subscriptions:
                await self._data.change(Subscribe(project=project, subscriptions=subscriptions))
                self._told[project] = subscriptions

    def _wanted(self) -> dict[str, tuple[Subscription, ...]]:
        found: dict[str, list[Subscription]] = {}
        for version in self._catalogue.declaring():
            found.setdefault(version.project, []).extend(subscriptions_of(version))
        return {project: tuple(subscriptions) for project, subscriptions in found.items()}


def subscriptions_of(version: Version) -> list[Subscription]:
    """Return what a version is subscribed to: nothing, but with an inbox, without a trigger."""
    spec = version.spec
    return [
        Subscription(function=version.function, trigger=trigger, delivery=spec.delivery)
        for trigger in spec.triggers or (None,)
    ]
