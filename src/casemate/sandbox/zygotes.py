"""All zygotes of a node as its gateway knows them, by number."""

from __future__ import annotations

import asyncio

from casemate.model.deployment import Version
from casemate.sandbox.zygote import Zygote

_REMEMBERED_SECONDS = 10.0
"""What others have still to tell of a zygote that has ended comes a little later."""


class Zygotes:
    """Those that are open or opening, and which version one ran that ended a moment ago."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Know of none yet."""
        self._loop = loop
        self._open: dict[int, Zygote] = {}
        self._ended: dict[int, Version] = {}

    def begin(self, zygote: Zygote) -> Zygote:
        """Know a zygote, and return it. Numbers are never used again."""
        self._open[zygote.number] = zygote
        return zygote

    def drop(self, number: int) -> None:
        """Forget a zygote that was never asked for."""
        del self._open[number]

    def end(self, number: int) -> None:
        """Take a zygote for ended; forget it soon."""
        self._ended[number] = self._open.pop(number).version
        self._loop.call_later(_REMEMBERED_SECONDS, self._ended.pop, number, None)

    def get(self, number: int) -> Zygote | None:
        """Return a zygote that is open or opening."""
        return self._open.get(number)

    def numbers(self) -> list[int]:
        """Return the numbers of those."""
        return list(self._open)

    def version_of(self, number: int) -> Version | None:
        """Return what a zygote runs or ran a moment ago, None if it has ended before."""
        found = self._open.get(number)
        return self._ended.get(number) if found is None else found.version

    @property
    def instances(self) -> int:
        """Number of instances alive or starting."""
        return sum(len(zygote.instances) for zygote in self._open.values())

    def __len__(self) -> int:
        """Return how many are open or opening."""
        return len(self._open)
