"""Changes that are decided on what is in memory, and made only if that is still what is stored.

A node alone knows what is stored: whoever changes it does so here, one after the other. Among
others, what was decided on is looked at again in the transaction of the change; if another node
has changed it meanwhile, it is read and decided again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from casemate.model.errors import ConflictError
from casemate.store.errors import StoreMovedError

if TYPE_CHECKING:
    from casemate.operations.declaration import Operation
    from casemate.store.interface import SharedStore, Store

AnswerT = TypeVar("AnswerT")
TRIES = 8
"""How often a change is decided anew."""
Renew = Callable[[], Awaitable[None]]


class Decisions(Protocol):
    """Makes changes to what is stored."""

    async def make(
        self,
        decide: Callable[[], Awaitable[Operation[AnswerT]]],
        renew: Renew,
        topics: frozenset[str],
    ) -> AnswerT:
        """Make the change that `decide` returns, which may raise instead.

        It decides on what is in memory of `topics`, which `renew` reads from the store. Whoever
        calls holds what keeps others of this node from changing that.
        """
        ...


class AloneDecisions:
    """Of a node that has its store for itself."""

    def __init__(self, store: Store) -> None:
        """Make changes there."""
        self._store = store

    async def make(
        self,
        decide: Callable[[], Awaitable[Operation[AnswerT]]],
        renew: Renew,
        topics: frozenset[str],
    ) -> AnswerT:
        """See Decisions: what is in memory is what is stored."""
        return await self._store.change(await decide())


class SharedDecisions:
    """Of a node whose store others change as well."""

    def __init__(self, store: SharedStore) -> None:
        """Make changes there. Nothing is known to be in memory yet."""
        self._store = store
        self._known: dict[frozenset[str], int] = {}
        """By topics: the revision of which memory is at least."""

    async def make(
        self,
        decide: Callable[[], Awaitable[Operation[AnswerT]]],
        renew: Renew,
        topics: frozenset[str],
    ) -> AnswerT:
        """See Decisions. Raises ConflictError if others change it all the time."""
        for _ in range(TRIES):
            found = await self._store.changes_since(self._known.get(topics, 0))
            if found.topics is None or topics not in self._known or topics & found.topics:
                await renew()
            self._known[topics] = found.revision
            operation = await decide()
            try:
                return await self._store.change_at(operation, found.revision, topics)
            except StoreMovedError:
                continue
        raise ConflictError(
            f"Other nodes have changed the same {TRIES} times, each time while this was decided.",
            next_step="Try again.",
        )
