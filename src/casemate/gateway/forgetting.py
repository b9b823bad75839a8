"""What deploys declare of buckets, tables, queues and topics, done so that nothing is forgotten
before it was approved, nor for a deploy of which nothing comes.
"""

from __future__ import annotations

import logging
from typing import Any

from casemate.admission.forgetting import Forgotten, forgotten, lasting
from casemate.data.interface import ProjectData
from casemate.model.errors import CasemateError
from casemate.model.grant import Grant, GrantKind, Resources
from casemate.model.messages import QueueInfo
from casemate.operations.declaration import Operation
from casemate.operations.items import QueryItems
from casemate.operations.messages import ShowQueue, ShowTopic
from casemate.operations.objects import ListObjects
from casemate.operations.resources import EnsureResources, ShowResources

_log = logging.getLogger(__name__)


class Declaring:
    """Has the data of projects be what deploys declare."""

    def __init__(self, data: ProjectData) -> None:
        """Act on it."""
        self._data = data

    async def forgets(self, project: str, declared: Resources) -> tuple[Grant, ...]:
        """Return what would be forgotten of what there is, in the form that is approved.

        Raises UnavailableError: what cannot be found out is not let through.
        """
        if declared == Resources():
            return ()
        found = forgotten(await self._present(project), declared)
        return tuple([one.grant for one in found if await self._holds(project, one)])

    async def ensure(self, project: str, declared: Resources) -> bool:
        """Make and change what is declared, but for what would be forgotten by it.

        Returns whether that is all of it. Raises ConflictError if it is there with other keys.
        """
        kept = declared
        if declared != Resources():
            kept = lasting(await self._present(project), declared)
        await self._data.change(EnsureResources(project=project, resources=kept))
        return kept == declared

    async def let_go(self, project: str, declared: Resources) -> None:
        """Have the rest be done for a version that is kept. What fails is as before."""
        try:
            await self._data.change(EnsureResources(project=project, resources=declared))
        except CasemateError as error:
            _log.error("what %s declares of its data is not done yet: %s", project, error)

    async def _present(self, project: str) -> Resources:
        return await self._data.read(ShowResources(project=project))

    async def _holds(self, project: str, one: Forgotten) -> bool:
        """Tell whether anything is in there; what cannot be read may hold something."""
        look: Operation[Any]
        if one.kind is GrantKind.TABLE:
            look = QueryItems(project=project, table=one.name, limit=1)
        elif one.kind is GrantKind.BUCKET:
            look = ListObjects(project=project, bucket=one.name, limit=1)
        elif one.kind is GrantKind.QUEUE:
            look = ShowQueue(project=project, queue=one.name)
        else:
            look = ShowTopic(project=project, topic=one.name)
        try:
            found = await self._data.read(look)
        except CasemateError:
            return True
        if isinstance(found, QueueInfo):
            return bool(found.waiting or found.dead)
        return bool(getattr(found, "items", None) or getattr(found, "objects", None))
