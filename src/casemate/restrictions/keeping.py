"""Restrictions as the store keeps them, and the questions that are asked of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from casemate.facts import FactStream
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.facts import Actor, RestrictionChanged
from casemate.model.restriction import EVERYTHING, Restriction, RestrictionKind
from casemate.model.still import require_still
from casemate.restrictions.meaning import Network, address_of, id_of, network_of, require
from casemate.store.interface import Store
from casemate.store.parts import Parts

MAX_RESTRICTIONS = 2000
MAX_OF_PROJECT = 200
"""Of these, of one project."""
Changed = Callable[[Restriction, bool], None]
"""Takes what has changed, and whether it holds now."""


class Restrictions:
    """One per gateway, on its event loop. Questions are answered in memory."""

    def __init__(
        self, store: Store, facts: FactStream, durable: Callable[[], Awaitable[None]]
    ) -> None:
        """Keep them in `store`; each is on record before it holds or is lifted."""
        self._parts = Parts(store, "restrictions", Restriction, lambda one: one.id, parts=16)
        self._facts = facts
        self._durable = durable
        self._turn = asyncio.Lock()
        self._hosts: dict[tuple[str, str], tuple[str, ...]] = {}
        self._frozen: dict[tuple[str, str], Restriction] = {}
        self._secrets: frozenset[tuple[str, str, str]] = frozenset()
        self._blocked: dict[str, tuple[Network, ...]] = {}
        self.changed: Changed = lambda _restriction, _holds: None
        """Called once one holds, or does not any more."""

    async def load(self) -> None:
        """Read them. Raises StoreError if that fails: what is held back would go on then."""
        await self._parts.load()
        self._renew()

    async def reload(self) -> None:
        """Read them again, and have what is about those that are others. Raises StoreError."""
        async with self._turn:
            before = dict(self._parts.held)
            await self._parts.load()
            self._renew()
            held = self._parts.held
            for id in before.keys() ^ held.keys():
                self.changed(held.get(id) or before[id], id in held)

    def _renew(self) -> None:
        held = self._parts.held.values()
        self._hosts = _by_scope(one for one in held if one.kind is RestrictionKind.HOST)
        self._frozen = {
            (one.project, one.function): one for one in held if one.kind is RestrictionKind.ALIAS
        }
        self._secrets = frozenset(
            (one.project, one.function, one.what)
            for one in held
            if one.kind is RestrictionKind.SECRET
        )
        blocked: dict[str, list[Network]] = {}
        for one in held:
            if one.kind is RestrictionKind.ADDRESS:
                blocked.setdefault(one.project, []).append(network_of(one.what))
        self._blocked = {project: tuple(networks) for project, networks in blocked.items()}

    # -- what is asked -----------------------------------------------------------------------------

    def all(self, project: str | None) -> tuple[Restriction, ...]:
        """Return those of a project, or all, the oldest first."""
        found = [one for one in self._parts.held.values() if project in (None, one.project)]
        return tuple(sorted(found, key=lambda one: (one.since, one.id)))

    def one(self, id: str) -> Restriction:
        """Return one. Raises NotFoundError."""
        found = self._parts.held.get(id)
        if found is None:
            raise self.missing(id)
        return found

    @staticmethod
    def missing(id: str) -> NotFoundError:
        """Return what is told where there is none, and to those who must not learn of one."""
        return NotFoundError(
            f"There is no restriction {id[:64]}.", next_step="`casemate restrict ls` shows them."
        )

    def id_of(self, kind: RestrictionKind, project: str, function: str, what: str) -> str:
        """Return the id that one has, or would have. Raises InvalidInputError."""
        return id_of(kind, project, function, require(kind, project, function, what))

    def find(
        self, kind: RestrictionKind, project: str, function: str, what: str
    ) -> Restriction | None:
        """Return the very same one. Raises InvalidInputError."""
        return self._parts.held.get(self.id_of(kind, project, function, what))

    def require_movable(self, project: str, function: str) -> None:
        """Raise ConflictError if no alias of a function may be moved."""
        found = self._frozen.get((project, function))
        if found is not None:
            raise ConflictError(
                f"The aliases of {project}/{function} are frozen, by {found.by}: {found.reason}.",
                next_step=f"Lift it first: casemate restrict lift {found.id} --reason TEXT",
            )

    def hosts(self, project: str, function: str) -> tuple[str, ...]:
        """Return which hosts nothing of a function goes to."""
        if not self._hosts:
            return ()
        scopes = (("", ""), (project, ""), (project, function))
        return tuple(sorted({each for one in scopes for each in self._hosts.get(one, ())}))

    def blocks(self, project: str, address: str) -> bool:
        """Tell whether no call of a project is taken from an address."""
        if not self._blocked:
            return False
        networks = (*self._blocked.get("", ()), *self._blocked.get(project, ()))
        if not networks or (found := address_of(address)) is None:
            return False
        return any(found in network for network in networks)

    def withholds(self, project: str, function: str, secret: str) -> bool:
        """Tell whether a function is not given a secret's value."""
        held = self._secrets
        return bool(held) and any(
            (project, of, name) in held for of in ("", function) for name in (secret, EVERYTHING)
        )

    # -- what is changed ---------------------------------------------------------------------------

    async def restrict(
        self,
        kind: RestrictionKind,
        project: str,
        function: str,
        what: str,
        *,
        reason: str,
        by: Actor,
    ) -> Restriction:
        """Have something held back; what holds already stays as it is.

        Raises InvalidInputError, ConflictError, StoreError.
        """
        what = require(kind, project, function, what)
        id = id_of(kind, project, function, what)
        async with self._turn:
            require_still()
            if (before := self._parts.held.get(id)) is not None:
                return before
            self._require_room(project)
            found = Restriction(
                id=id,
                kind=kind,
                project=project,
                function=function,
                what=what,
                reason=reason,
                by=by.principal,
                since=time.time(),
            )
            await self._tell(found, "set", reason, by)
            await self._parts.put(found)
            self._renew()
            self.changed(found, True)
            return found

    async def lift(self, id: str, reason: str, by: Actor) -> Restriction:
        """Have it not held back any more. Raises NotFoundError, StoreError."""
        async with self._turn:
            require_still()
            found = self.one(id)
            await self._tell(found, "lift", reason, by)
            await self._parts.drop((id,))
            self._renew()
            self.changed(found, False)
            return found

    async def renewed(self, project: str, secret: str, by: Actor) -> None:
        """Give a secret again that was held back by name: it has another value now."""
        for one in self.all(project):
            if one.kind is RestrictionKind.SECRET and one.what == secret:
                await self.lift(one.id, "it has another value", by)

    def _require_room(self, project: str) -> None:
        held = self._parts.held
        of_project = sum(one.project == project for one in held.values())
        if len(held) >= MAX_RESTRICTIONS or of_project >= MAX_OF_PROJECT:
            raise ConflictError(
                f"{len(held)} restrictions hold, {of_project} of them of {project or 'the node'}, "
                "which is the most.",
                next_step="Lift some that are not needed: casemate restrict ls",
            )

    async def _tell(self, one: Restriction, change: str, reason: str, by: Actor) -> None:
        """Have it on record before it is done."""
        self._facts.happened(
            RestrictionChanged(
                at=time.time(),
                by=by.principal,
                remote_address=by.remote_address,
                project=one.project,
                function=one.function,
                restriction=one.id,
                change=change,
                kind=one.kind.value,
                what=one.what,
                reason=reason,
            )
        )
        await self._durable()


def _by_scope(found: Iterable[Restriction]) -> dict[tuple[str, str], tuple[str, ...]]:
    by_scope: dict[tuple[str, str], tuple[str, ...]] = {}
    for one in found:
        scope = (one.project, one.function)
        by_scope[scope] = (*by_scope.get(scope, ()), one.what)
    return by_scope
