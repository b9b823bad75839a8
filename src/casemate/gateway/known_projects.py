"""Which projects have data, as the store knows it: a database that is gone is missed.

A project's database is made when it is first needed, so a start cannot take a missing one for a
loss unless something else remembers that it was there.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable

import msgspec

from casemate.data import DataGoneError
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.store.interface import Store

_PARTS = 16
"""A value of the store is bounded; the names are spread over so many, some 15,000 in each."""


class KnownProjects:
    """The names that the store keeps. Belongs to one event loop."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store
        self._known: list[set[str]] = [set() for _ in range(_PARTS)]
        self._changing = asyncio.Lock()

    async def require(
        self, present: Iterable[str], accepted: frozenset[str] = frozenset()
    ) -> frozenset[str]:
        """Refuse to start without a database that was there; remember all that are there.

        `present` are the projects that have a database. Returns those of `accepted`
        that are gone. Raises DataGoneError.
        """
        present = set(present)
        for part in range(_PARTS):
            value = await self._store.read(ReadNodeValue(name=_name(part)))
            self._known[part] = set(msgspec.json.decode(value, type=list[str])) if value else set()
        missing = set().union(*self._known) - present
        lost = sorted(missing - accepted)
        if lost:
            raise DataGoneError(
                f"The data of {len(lost)} projects is gone: {', '.join(lost[:5])}"
                f"{', ...' if len(lost) > 5 else ''}. Nothing was changed.",
                next_step="Restore the folder data from a backup, or mount its disk. To go on "
                f"without what was lost: casemate serve --accept-loss data/{lost[0]}",
            )
        for part in range(_PARTS):
            wanted = {name for name in present if _part(name) == part}
            if wanted != self._known[part]:
                self._known[part] = wanted
                await self._write(part)
        return frozenset(missing)

    async def add(self, project: str) -> None:
        """Remember a database that has been made, before anything in it is acknowledged."""
        async with self._changing:
            part = _part(project)
            if project not in self._known[part]:
                self._known[part].add(project)
                await self._write(part)

    async def _write(self, part: int) -> None:
        value = msgspec.json.encode(sorted(self._known[part]))
        await self._store.change(KeepNodeValue(name=_name(part), value=value))


def _part(project: str) -> int:
    return hashlib.sha256(project.encode()).digest()[0] % _PARTS


def _name(part: int) -> str:
    return f"projects with data {part}"
