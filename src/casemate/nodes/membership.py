"""Being one of the nodes of a store: begun at the start, said every few seconds, and ended."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from casemate.background import Background
from casemate.model.errors import CasemateError, ConflictError
from casemate.model.nodes import MAX_CLOCK_OFF, Beat, ClusterNode, NodeState
from casemate.nodes.identity import IdentityFile
from casemate.nodes.standing import Standing
from casemate.operations.nodes import (
    BeginNode,
    DrainNode,
    EndNode,
    KeepNode,
    ListNodes,
    Nodes,
    RemoveNode,
)
from casemate.store.interface import Store

BEAT_SECONDS = 3.0
_BEAT_WAITS = 5.0
_log = logging.getLogger(__name__)
_HOST_CHARACTERS = 40
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9-]+")


@dataclass(frozen=True, kw_only=True)
class Self:
    """What a node says of itself."""

    host: str
    address: str
    version: str


class Membership:
    """One per gateway, on its event loop."""

    def __init__(
        self,
        store: Store,
        identity: IdentityFile,
        own: Self,
        standing: Standing,
        *,
        alone: bool,
    ) -> None:
        """Be `own` in `store`; `alone`: no other node can be in it.

        `standing` is told to drain, and that another one has taken the node's place.
        """
        self._store = store
        self._identity = identity
        self._own = own
        self._standing = standing
        self._alone = alone
        self._id = ""
        self.incarnation = 0
        """Of this start, 0 before `begin`."""
        self.nodes = 1
        """How many take calls, by the last beat."""
        self.on_nodes: Callable[[int], None] = lambda nodes: None
        """Told that with each beat."""
        self._background = Background()

    @property
    def id(self) -> str:
        """The node's id, empty before `begin`."""
        return self._id

    @property
    def name(self) -> str:
        """As people know the node."""
        return name_of(self._own.host, self._id)

    async def begin(self, *, seen: int = 0, accept_loss: bool = False) -> None:
        """Be a node from now on, under a new incarnation; `accept_loss`: also of an older store.

        `seen` is the newest incarnation that is known elsewhere than in the node's own file. Raises
        ConflictError if another is there with this folder's id or this name, IdentityError,
        StoreError.
        """
        self._id, had = await asyncio.to_thread(self._identity.read)
        own = self._own
        beat = await self._store.change(
            BeginNode(
                id=self._id,
                name=self.name,
                address=own.address,
                version=own.version,
                had=max(had, seen),
                clock=time.time(),
                alone=self._alone,
                accept_loss=accept_loss,
            )
        )
        self._take(beat)
        await asyncio.to_thread(self._identity.write, self._id, beat.incarnation)

    def start(self) -> None:
        """Say that it is there, from the running loop on."""
        if not self._alone:  # nobody would ask
            self._background.start(self._run())

    async def close(self) -> None:
        """Say that it ends."""
        await self._background.close()
        if self.incarnation:
            ends = EndNode(id=self._id, incarnation=self.incarnation)
            try:
                async with asyncio.timeout(_BEAT_WAITS):
                    await self._store.change(ends)
            except (CasemateError, TimeoutError) as error:
                _log.warning("that this node ends could not be said: %s", error)

    async def beat(self) -> None:
        """Say once that it is there. Raises StoreError; what is in another's place is told."""
        own = self._own
        said = KeepNode(
            id=self._id, incarnation=self.incarnation, address=own.address, version=own.version
        )
        try:
            self._take(await self._store.change(said))
        except ConflictError as error:
            _log.error("%s", error)
            self._standing.lose(error.message)

    def _take(self, beat: Beat) -> None:
        self.incarnation = beat.incarnation
        self.nodes = beat.nodes
        self.on_nodes(beat.nodes)
        if beat.draining != self._standing.draining and not self._alone:
            _log.info("this node is %s", "drained" if beat.draining else "drained no more")
            self._standing.drain(beat.draining)
        off = 0.0 if self._alone else time.time() - beat.at
        self._standing.doubt_clock(off if abs(off) > MAX_CLOCK_OFF else 0.0)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                # Not wait_for, which can lose the end of this task (`close`) in Python 3.11.
                async with asyncio.timeout(_BEAT_WAITS):
                    await self.beat()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is to be said again
                _log.warning(
                    "that this node is there could not be said: %s", error or "it takes too long"
                )

    # -- what owners ask for ---------------------------------------------------------------------

    async def list(self) -> Nodes:
        """Return the nodes that share the store. Raises StoreError."""
        if self._alone and self.incarnation:
            await self.beat()
        return await self._store.read(ListNodes())

    async def others(self) -> tuple[str, ...]:
        """Return the names of the other nodes that are there. Raises StoreError."""
        if self._alone:
            return ()
        found = (await self._store.read(ListNodes())).nodes
        return tuple(n.name for n in found if n.id != self._id and n.state is not NodeState.GONE)

    async def drain(self, operation: DrainNode) -> ClusterNode:
        """Have a node take no new calls, or take them again. Raises NotFoundError, ConflictError
        for a node alone.
        """
        self._require_others("drained")
        found = await self._store.change(operation)
        if found.id == self._id:
            await self.beat()
        return found

    async def remove(self, operation: RemoveNode) -> None:
        """Forget a node that is gone. Raises NotFoundError, ConflictError for one that is there."""
        self._require_others("removed")
        await self._store.change(operation)

    def _require_others(self, what: str) -> None:
        if self._alone:
            raise ConflictError(
                f"This node has its store for itself, so none is {what}.",
                next_step="To end it, stop it; it takes no new calls then and lets those end that "
                "run.",
            )


def name_of(host: str, id: str) -> str:
    """Return the name of a node: that of its host, and what tells it from others there."""
    label = _NOT_IN_NAMES.sub("-", host.partition(".")[0])[:_HOST_CHARACTERS].strip("-")
    return f"{label or 'node'}-{id[:6]}"
