"""All of a node that is about there being others, built in one go: alone, or among them."""

from __future__ import annotations

from collections.abc import Sequence

from casemate.model.nodes import ClusterNode, NodeState
from casemate.nodes.following import MAX_STALE, Following, Part
from casemate.nodes.identity import IdentityFile
from casemate.nodes.membership import Membership, Self
from casemate.nodes.standing import Standing
from casemate.store.deciding import AloneDecisions, Decisions, SharedDecisions
from casemate.store.interface import SharedStore, Store


class Among:
    """One per gateway: its place among the nodes of its store."""

    def __init__(
        self,
        store: Store,
        identity: IdentityFile,
        own: Self,
        *,
        shared: SharedStore | None = None,
    ) -> None:
        """Be one of the nodes of `store`; `shared` is the same where there can be others."""
        self.shared = shared
        self.standing = Standing(None if shared is None else MAX_STALE)
        self.decisions: Decisions = (
            AloneDecisions(store) if shared is None else SharedDecisions(shared)
        )
        self.membership = Membership(store, identity, own, self.standing, alone=shared is None)
        self.following: Following | None = None

    async def begin(self, *, seen: int = 0, accept_loss: bool = False) -> None:
        """Take the node's place, with `accept_loss` also in a store that is an older copy.

        `seen`: see `Membership.begin`. Raises ConflictError if another has it, IdentityError,
        StoreError.
        """
        await self.membership.begin(seen=seen, accept_loss=accept_loss)

    async def follow(self, parts: Sequence[Part]) -> None:
        """Have `parts` read again from then on, before they are first read. Raises StoreError."""
        if self.shared is not None:
            self.following = Following(self.shared, parts, self.standing)
            await self.following.begin()

    def start(self) -> None:
        """Say that the node is there, and follow what others change: all has been read."""
        self.membership.start()
        if self.following is not None:
            self.following.start()

    async def close(self) -> None:
        """Follow nothing more, and say that the node ends."""
        if self.following is not None:
            await self.following.close()
        await self.membership.close()

    async def is_first(self) -> bool:
        """Tell whether what one node alone has to do is this one's: the first of those that are up.

        While nodes come and go it may be two or none for some seconds. Raises StoreError.
        """
        if self.shared is None:
            return True
        found = await self.membership.list()
        there = sorted(node.id for node in found.nodes if node.state is NodeState.UP)
        return there[:1] == [self.membership.id]

    @property
    def name(self) -> str:
        """The node's name; empty where it is alone."""
        return "" if self.shared is None else self.membership.name

    def age(self) -> float | None:
        """Return for how many seconds changes of others may not be known; None: there are none."""
        return None if self.shared is None else self.standing.age

    def count(self) -> int | None:
        """Return how many nodes take calls, by the last beat; None: there are no others ever."""
        return None if self.shared is None else self.membership.nodes

    async def others(self) -> tuple[ClusterNode, ...] | None:
        """Return the nodes of a store that can have several. Raises StoreError."""
        return None if self.shared is None else (await self.membership.list()).nodes

    def problems(self) -> str:
        """Return why the node takes no calls, or what it could not read; empty: all is well."""
        read = "" if self.following is None else self.following.problems()
        return " ".join(filter(None, (self.standing.refusal(), read)))
