"""Which functions are being removed: what waits for one is given up, also after a kill.

A function is gone at once, and what waits for it afterwards, from another database. Killed between
the two, the next start goes on: else its events would wait for ever, and be in no list.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from casemate.model.errors import CasemateError
from casemate.store.interface import Store
from casemate.store.parts import Parts

_log = logging.getLogger(__name__)


class _Removal(msgspec.Struct, frozen=True, kw_only=True):
    """That a function is removed, and what waits for it perhaps not yet given up."""

    project: str
    function: str


def _key(one: _Removal) -> str:
    return f"{one.project}/{one.function}"


class Removals:
    """Remembers them. Whoever calls sees to it that changes come one after the other."""

    def __init__(self, store: Store, give_up: Callable[[str, str], Awaitable[None]]) -> None:
        """Keep them in `store`; have what waits given up by `give_up`."""
        self._parts = Parts(store, "removals", _Removal, _key, parts=8)
        self._give_up = give_up

    async def load(self) -> None:
        """Read what was cut short. Raises StoreError."""
        await self._parts.load()

    async def begin(self, project: str, function: str) -> None:
        """Note it before the function is gone. Raises StoreError."""
        await self._parts.put(_Removal(project=project, function=function))

    async def withdraw(self, project: str, function: str) -> None:
        """Forget it: the function stays. What cannot be forgotten the next start forgets."""
        with suppress(CasemateError):
            await self._parts.drop((f"{project}/{function}",))

    async def finish(self, project: str, function: str) -> None:
        """Give up what waits for a function that is gone, or leave that to the next start."""
        try:
            await self._give_up(project, function)
            await self._parts.drop((f"{project}/{function}",))
        except CasemateError as error:
            # It is removed; whoever deploys one of that name next gives it up first.
            _log.warning("what waits for %s/%s is kept yet: %s", project, function, error)

    def unfinished(self) -> tuple[tuple[str, str], ...]:
        """Return project and name of those that are noted, gone or not."""
        return tuple((one.project, one.function) for one in self._parts.held.values())
