"""How much waits in the queues and inboxes of all projects: asked for when somebody wants to know.

What was found holds for some seconds, and who asks meanwhile shares one look: however often it is
asked for, the projects' databases are read no more often than that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

from casemate.background import Background
from casemate.gateway.state import NodeData
from casemate.model.errors import CasemateError
from casemate.model.messages import Depth
from casemate.model.trigger import INBOX
from casemate.operations.inboxes import ShowDepths

HOLDS_SECONDS = 5.0
LOOK_SECONDS = 2.0
"""What is not known by then is told as it was before."""
MOST_PROJECTS = 200
MOST_QUEUES = 500
"""Queues and topics that are told apart, each of which is some lines of what Prometheus reads."""


class Found(NamedTuple):
    """What waits where, by project and name."""

    inboxes: Mapping[tuple[str, str], Depth] = {}
    queues: Mapping[tuple[str, str], Depth] = {}


class Depths:
    """Of one gateway."""

    def __init__(self, data: NodeData) -> None:
        """Ask `data`."""
        self._data = data
        self._found = Found()
        self._found_at = float("-inf")
        self._looking = Background()

    async def now(self) -> Found:
        """Return how much waits, as it was a few seconds ago at most. Never raises."""
        if time.monotonic() - self._found_at >= HOLDS_SECONDS:
            await asyncio.wait((self._looking.shared(self._look),), timeout=LOOK_SECONDS)
        return self._found

    async def _look(self) -> None:
        inboxes: dict[tuple[str, str], Depth] = {}
        queues: dict[tuple[str, str], Depth] = {}
        # One that nobody uses is closed; nothing is delivered of it either.
        for project in self._data.open_projects()[:MOST_PROJECTS]:
            try:
                depths = await self._data.read(ShowDepths(project=project))
            except CasemateError:
                continue  # what is wrong with it is told by the node's health
            for depth in depths:
                if depth.kind == INBOX:
                    inboxes[project, depth.name] = depth
                elif len(queues) < MOST_QUEUES:
                    queues[project, depth.name] = depth
        self._found = Found(inboxes, queues)
        self._found_at = time.monotonic()

    async def close(self) -> None:
        """Look no more."""
        await self._looking.close()
