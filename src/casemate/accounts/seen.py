"""When people were last seen: by their sessions, of which nothing is kept once they are over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from casemate.model.account import User
from casemate.store.interface import Store
from casemate.store.parts import Parts

WRITE_SECONDS = 3600.0
"""It is written that somebody is there once in so many seconds, not with each request."""


_PARTS = 4
"""A value of the store is bounded: room for some 40,000 people."""


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    user: str
    at: float


class PeopleSeen:
    """Remembers it, to the hour. Nothing is known before `load`."""

    def __init__(self, store: Store) -> None:
        """Keep it in `store`."""
        self._parts = Parts(store, "people seen", _Seen, lambda one: one.user, parts=_PARTS)

    async def load(self) -> None:
        """Read it. Raises StoreError."""
        await self._parts.load()

    def at(self, user: User) -> float | None:
        """Return when somebody was seen; not who had the name before. None: never."""
        found = self._parts.held.get(user.name)
        return found.at if found is not None and found.at >= user.created_at else None

    async def note(self, seen: Mapping[str, float], people: Iterable[str]) -> None:
        """Remember when people were seen, and nothing of those that are gone. Writes seldom."""
        held, present = self._parts.held, set(people)
        newer = [
            _Seen(user=name, at=at)
            for name, at in seen.items()
            if name in present and (name not in held or at >= held[name].at + WRITE_SECONDS)
        ]
        if newer:
            await self._parts.put(*newer)
        gone = held.keys() - present
        if gone:
            await self._parts.drop(gone)
