"""Which functions take no calls, as the store keeps it: by name, so that no deploy lifts it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable

import msgspec

from casemate.model.deployment import DeployedFunction, Quarantine
from casemate.model.errors import ConflictError
from casemate.model.facts import Actor
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.operations.quarantine import QuarantineFunction
from casemate.store.errors import StoreError
from casemate.store.interface import Store

MAX_QUARANTINES = 20_000
"""Functions of a node that are in quarantine."""
_PARTS = 64
"""A value of the store is bounded; they are spread over so many, some 300 in each at most."""

Name = tuple[str, str]
"""Project and function."""


class Quarantines:
    """Remembers them. Whoever calls sees to it that changes come one after the other."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`; nothing is known before `load`."""
        self._store = store
        self._held: dict[Name, Quarantine] = {}

    async def load(self) -> None:
        """Read them. Raises StoreError if that fails: functions would take calls then."""
        held: dict[Name, Quarantine] = {}
        for part in range(_PARTS):
            stored = await self._store.read(ReadNodeValue(name=_value(part)))
            found = () if stored is None else _decoded(stored)
            held.update({(each.project, each.function): each for each in found})
        self._held = held

    @property
    def names(self) -> frozenset[Name]:
        """Those that take no calls."""
        return frozenset(self._held)

    def told(self, functions: Iterable[DeployedFunction]) -> tuple[DeployedFunction, ...]:
        """Return functions, each with why it takes no calls."""
        return tuple(
            msgspec.structs.replace(function, quarantine=held)
            if (held := self._held.get((function.project, function.name))) is not None
            else function
            for function in functions
        )

    async def begin(self, wanted: QuarantineFunction, by: Actor) -> Quarantine:
        """Keep that a function takes no calls. What holds already stays as it is.

        Raises ConflictError if there are too many.
        """
        name = (wanted.project, wanted.function)
        if (before := self._held.get(name)) is not None:
            return before
        if len(self._held) >= MAX_QUARANTINES:
            raise ConflictError(
                f"{MAX_QUARANTINES} functions are in quarantine already, which is the most.",
                next_step="Release or stop serving some first.",
            )
        found = Quarantine(
            project=wanted.project,
            function=wanted.function,
            reason=wanted.reason,
            by=by.principal,
            since=time.time(),
        )
        await self._keep({**self._held, name: found}, name)
        return found

    async def end(self, project: str, function: str) -> Quarantine:
        """Keep that a function takes calls again; return what held. Raises ConflictError."""
        before = self._held.get((project, function))
        if before is None:
            raise ConflictError(f"{project}/{function} is not in quarantine.")
        rest = {name: held for name, held in self._held.items() if name != (project, function)}
        await self._keep(rest, (project, function))
        return before

    def require_none(self, project: str, function: str) -> None:
        """Raise ConflictError if a function is in quarantine: what it left is evidence."""
        if (project, function) in self._held:
            raise ConflictError(
                f"{project}/{function} is in quarantine, so nothing of it is removed.",
                next_step=f"Release it first: casemate release {project}/{function} --reason TEXT",
            )

    async def _keep(self, held: dict[Name, Quarantine], changed: Name) -> None:
        """Have the store keep the part that one of them is in."""
        part = _part(changed)
        value = msgspec.json.encode([held[name] for name in sorted(held) if _part(name) == part])
        await self._store.change(KeepNodeValue(name=_value(part), value=value))
        self._held = held


def _decoded(stored: bytes) -> tuple[Quarantine, ...]:
    try:
        return msgspec.json.decode(stored, type=tuple[Quarantine, ...])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(
            "Which functions are in quarantine cannot be read.",
            next_step="Start the Casemate that wrote it, or restore the store from a backup.",
        ) from error


def _part(name: Name) -> int:
    return hashlib.sha256("/".join(name).encode()).digest()[0] % _PARTS


def _value(part: int) -> str:
    return f"quarantines {part}"
