"""Which functions take no calls, as the store keeps it: by name, so that no deploy lifts it."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from casemate.model.deployment import DeployedFunction, Quarantine
from casemate.model.errors import ConflictError
from casemate.model.facts import Actor
from casemate.operations.quarantine import QuarantineFunction
from casemate.store.interface import Store
from casemate.store.parts import Parts

MAX_QUARANTINES = 20_000
"""Functions of a node that are in quarantine."""
QUARANTINES = "quarantines"
"""What the store calls them."""
KILLS = "kills"
"""And which of them are to end the calls that run, on every node."""
NODE = "node"
"""Who it is by where the node itself did it."""


class _Kill(msgspec.Struct, frozen=True, kw_only=True):
    """That the calls of a function are ended in the middle of what they do."""

    project: str
    function: str
    at: float


def _name(one: Quarantine | _Kill) -> str:
    return f"{one.project}/{one.function}"


class Quarantines:
    """Remembers them. Whoever calls sees to it that changes come one after the other."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`; nothing is known before `load`."""
        self._parts = Parts(store, QUARANTINES, Quarantine, _name)
        self._kills = Parts(store, KILLS, _Kill, _name)
        self._seen: dict[str, _Kill] = {}

    async def load(self) -> None:
        """Read them. Raises StoreError if that fails: functions would take calls then."""
        # In this order: whose calls are to be ended takes no others by then.
        await self._kills.load()
        await self._parts.load()

    def take_kills(self) -> tuple[tuple[str, str], ...]:
        """Return project and name of those whose calls are to be ended, each time once."""
        seen, self._seen = self._seen, dict(self._kills.held)
        return tuple(
            (one.project, one.function)
            for name, one in self._seen.items()
            if one != seen.get(name) and name in self._parts.held
        )

    @property
    def names(self) -> frozenset[tuple[str, str]]:
        """Project and name of those that take no calls."""
        return frozenset((one.project, one.function) for one in self._parts.held.values())

    def told(self, functions: Iterable[DeployedFunction]) -> tuple[DeployedFunction, ...]:
        """Return functions, each with why it takes no calls."""
        held = self._parts.held
        return tuple(
            msgspec.structs.replace(function, quarantine=found)
            if (found := held.get(f"{function.project}/{function.name}")) is not None
            else function
            for function in functions
        )

    async def begin(self, wanted: QuarantineFunction, by: Actor) -> Quarantine:
        """Keep that a function takes no calls. What holds already stays as it is.

        Raises ConflictError if there are too many.
        """
        found = await self._begun(wanted, by)
        if wanted.kill:
            await self._kills.put(
                _Kill(project=found.project, function=found.function, at=time.time())
            )
        return found

    async def _begun(self, wanted: QuarantineFunction, by: Actor) -> Quarantine:
        held = self._parts.held
        if (before := held.get(f"{wanted.project}/{wanted.function}")) is not None:
            return before
        if len(held) >= MAX_QUARANTINES:
            raise ConflictError(
                f"{MAX_QUARANTINES} functions are in quarantine already, which is the most.",
                next_step="Release some first.",
            )
        found = Quarantine(
            project=wanted.project,
            function=wanted.function,
            reason=wanted.reason,
            by=by.principal or NODE,
            since=time.time(),
        )
        await self._parts.put(found)
        return found

    async def end(self, project: str, function: str) -> Quarantine:
        """Keep that a function takes calls again; return what held. Raises ConflictError."""
        name = f"{project}/{function}"
        before = self._parts.held.get(name)
        if before is None:
            raise ConflictError(
                f"{name} is not in quarantine.", next_step="`casemate ls` shows what is."
            )
        await self._parts.drop((name,))
        await self._kills.drop((name,))
        return before

    def require_none(self, project: str, function: str) -> None:
        """Raise ConflictError if a function is in quarantine: what it left is evidence."""
        name = f"{project}/{function}"
        if name in self._parts.held:
            raise ConflictError(
                f"{name} is in quarantine, so nothing of it is removed.",
                next_step=f"Release it first: casemate release {name} --reason TEXT",
            )
