"""Which projects have data, as the store knows it: a database that is gone is missed.

A project's database is made when it is first needed, so a start cannot take a missing one for a
loss unless something else remembers that it was there.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Iterable

import msgspec

from casemate.data import DataGoneError
from casemate.store.errors import StoreMovedError
from casemate.store.interface import Store
from casemate.store.value import KeptValues

_TRIES = 8
_PARTS = 16
"""A value of the store is bounded; the names are spread over so many, some 15,000 in each."""


class KnownProjects:
    """The names that the store keeps. Belongs to one event loop."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._values = KeptValues(store, [_name(part) for part in range(_PARTS)])
        self._known: list[set[str]] = [set() for _ in range(_PARTS)]
        self._changing = asyncio.Lock()

    async def require(
        self,
        present: Callable[[], Iterable[str]],
        accepted: frozenset[str] = frozenset(),
        set_aside: Callable[[str], None] = lambda project: None,
    ) -> frozenset[str]:
        """Refuse to start without a database that was there; remember all that are there.

        `present` returns the projects that have a database; what is left of those of `accepted`
        that have none is given to `set_aside`. Both block. Returns those of `accepted` that are
        gone. Raises DataGoneError, DataError.
        """
        for _ in range(_TRIES - 1):
            with contextlib.suppress(StoreMovedError):  # another node has made one meanwhile
                return await self._require(present, accepted, set_aside)
        return await self._require(present, accepted, set_aside)

    async def _require(
        self,
        present_now: Callable[[], Iterable[str]],
        accepted: frozenset[str],
        set_aside: Callable[[str], None],
    ) -> frozenset[str]:
        self._known = [_names(value) for value in await self._values.read()]
        # After what is known: another node may make one at this moment, its database first.
        present = set(await asyncio.to_thread(present_now))
        missing = set().union(*self._known) - present
        lost = sorted(missing - accepted)
        if lost:
            raise DataGoneError(
                f"The data of {len(lost)} projects is gone: {', '.join(lost[:5])}"
                f"{', ...' if len(lost) > 5 else ''}. Nothing was changed.",
                next_step="Restore the folder data from a backup, or mount its disk. To go on "
                f"without what was lost: casemate serve --accept-loss data/{lost[0]}",
            )
        # Before they are forgotten, and whether or not they are known: a start that is killed in
        # between is made again with the same losses accepted.
        for project in sorted(accepted - present):
            await asyncio.to_thread(set_aside, project)
        for part in range(_PARTS):
            wanted = {name for name in present if _part(name) == part}
            if wanted != self._known[part]:
                await self._write(part, wanted)
        return frozenset(missing)

    def has(self, project: str) -> bool:
        """Tell whether a project has data, as far as this node has heard of it."""
        return project in self._known[_part(project)]

    async def add(self, project: str) -> None:
        """Remember a database that has been made, before anything in it is acknowledged."""
        async with self._changing:
            part = _part(project)
            for _ in range(_TRIES):
                if project in self._known[part]:
                    return
                try:
                    await self._write(part, {*self._known[part], project})
                except StoreMovedError:  # another node has made one meanwhile
                    self._known[part] = await self._read(part)
            if project not in self._known[part]:
                raise StoreMovedError(
                    "Other nodes make projects all the time.", next_step="Try again."
                )

    async def _read(self, part: int) -> set[str]:
        return _names(await self._values[part].read())

    async def _write(self, part: int, known: set[str]) -> None:
        await self._values[part].write(msgspec.json.encode(sorted(known)))
        self._known[part] = known


def _names(value: bytes | None) -> set[str]:
    return set(msgspec.json.decode(value, type=list[str])) if value else set()


def _part(project: str) -> int:
    return hashlib.sha256(project.encode()).digest()[0] % _PARTS


def _name(part: int) -> str:
    return f"projects with data {part}"
