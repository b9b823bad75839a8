"""Changes that are decided on what is in memory, and made only if that is still what is stored.

A node alone knows what is stored: whoever changes it does so here, one after the other. Among
others, what was decided on is looked at again in the transaction of the change; if another node
has changed it meanwhile, it is read and decided again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from casemate.model.errors import ConflictError
from casemate.store.errors import StoreMovedError

if TYPE_CHECKING:
    from casemate.operations.declaration import Operation
    from casemate.store.interface import SharedStore, Store

AnswerT = TypeVar("AnswerT")
TRIES = 8
"""How often a change is decided anew."""
Renew = Callable[[], Awaitable[None]]


class InMemory(Protocol):
    """Something that is in memory of what is stored."""

    @property
    def topics(self) -> frozenset[str]:
        """Changes of which make it old."""
        ...

    @property
    def reload(self) -> Renew:
        """Reads it again."""
        ...


class _Read(NamedTuple):
    topics: frozenset[str]
    reload: Renew


class Decisions(Protocol):
    """Makes changes to what is stored."""

    def besides(self, *parts: InMemory) -> Decisions:
        """Return what makes changes that are decided on `parts` as well.

        Such as who may do what: what another node has taken from somebody holds for a change that
        comes the moment after it, and not only once this node has followed.
        """
        ...

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

    def besides(self, *_parts: InMemory) -> AloneDecisions:
        """See Decisions: what is in memory is what is stored."""
        return self

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

    def __init__(self, store: SharedStore, besides: tuple[InMemory, ...] = ()) -> None:
        """Make changes there, decided on `besides` as well. Nothing is known to be in memory."""
        self._store = store
        self._besides = besides
        self._known: dict[frozenset[str], int] = {}
        """By topics: the revision of which memory is at least."""

    def besides(self, *parts: InMemory) -> SharedDecisions:
        """See Decisions."""
        return SharedDecisions(self._store, (*self._besides, *parts))

    async def make(
        self,
        decide: Callable[[], Awaitable[Operation[AnswerT]]],
        renew: Renew,
        topics: frozenset[str],
    ) -> AnswerT:
        """See Decisions. Raises ConflictError if others change it all the time."""
        parts = (*self._besides, _Read(topics, renew))
        for _ in range(TRIES):
            revision = await self._read_again(parts)
            operation = await decide()
            try:
                decided_on = frozenset().union(*(part.topics for part in parts))
                return await self._store.change_at(operation, revision, decided_on)
            except StoreMovedError:
                continue
        raise ConflictError(
            f"Other nodes have changed the same {TRIES} times, each time while this was decided.",
            next_step="Try again.",
        )

    async def _read_again(self, parts: tuple[InMemory, ...]) -> int:
        """Read what others have changed of `parts`; return as of which revision that is known."""
        found = await self._store.changes_since(min(self._known.get(p.topics, 0) for p in parts))
        for part in parts:
            known = part.topics in self._known
            if found.topics is None or not known or part.topics & found.topics:
                await part.reload()
            self._known[part.topics] = found.revision
        return found.revision
