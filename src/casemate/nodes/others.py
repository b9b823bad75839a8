"""Which nodes are there, as of some seconds ago: for who has to know it without asking."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from casemate.background import Background
from casemate.model.nodes import ClusterNode, NodeState
from casemate.nodes.among import Among

LOOK_SECONDS = 3.0
_ASK_SECONDS = 5.0
_log = logging.getLogger(__name__)

Told = Callable[[bool], Awaitable[None]]


class Others:
    """The nodes that share the state of one. On its event loop."""

    def __init__(self, among: Among, told: Told) -> None:
        """Ask `among`; `told` is told at each look whether this node is the first."""
        self._among = among
        self._told = told
        self._known: dict[str, ClusterNode] = {}
        self._asked = False
        self._background = Background()

    @property
    def name(self) -> str:
        """That of this node."""
        return self._among.membership.name

    @property
    def first(self) -> bool:
        """Whether this node does what one alone has to do; so does one that can ask nobody.

        For some seconds it may be none, or two.
        """
        there = sorted(one.id for one in self._known.values() if one.state is NodeState.UP)
        return not self._asked or there[:1] == [self._among.membership.id]

    def is_gone(self, name: str) -> bool:
        """Tell whether a node is known not to be there; nothing is known while nobody answers."""
        if not self._asked or name == self.name:
            return False
        found = self._known.get(name)
        return found is None or found.state is NodeState.GONE

    def start(self) -> None:
        """Ask from now on."""
        self._background.start(self._run())

    async def close(self) -> None:
        """Ask no more."""
        await self._background.close()

    async def look(self) -> None:
        """Ask once, and tell."""
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                found = await self._among.others() or ()
            self._known, self._asked = {one.name: one for one in found}, True
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known of them
            if self._asked:
                _log.warning("it is not known which nodes are there: %s", error or "too late")
            self._asked = False
        await self._told(self.first)

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - who is not told goes on by himself
                _log.debug("the monitor is not told which node is first: %s", error)
            await asyncio.sleep(LOOK_SECONDS)
