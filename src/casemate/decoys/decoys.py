"""The decoys of a node: made where a project is met, watched for, listed, replaced, turned off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from casemate.decoys.making import ROW_KEY, Made, made
from casemate.decoys.settings import KeptSettings
from casemate.decoys.watching import Watch
from casemate.facts import FactStream
from casemate.model.data import Item, ItemPage
from casemate.model.decoy import DecoyKind, DecoySetting, DecoyState
from casemate.model.denial import Denial
from casemate.model.errors import NotFoundError
from casemate.model.facts import Actor, GrantsApproved, GrantUsed, HostAsked, RiskAccepted
from casemate.model.still import require_still
from casemate.operations.items import GetItem, QueryItems
from casemate.store.interface import Store
from casemate.vault.interface import Purpose, Vault

_AT_ONCE = 64
"""Projects whose keys are asked for at once when a node starts."""


class Decoys:
    """One per gateway. Belongs to its event loop."""

    def __init__(self, store: Store, vault: Vault, facts: FactStream) -> None:
        """Keep settings in `store`; the vault makes the decoys. Touches are told to `facts`."""
        self._vault = vault
        self._facts = facts
        self._settings = KeptSettings(store)
        self._made: dict[str, Made] = {}
        self._changing = asyncio.Lock()
        self._began = time.time()
        self.watch = Watch(facts.happened)
        facts.listen(Denial, self.watch.on_denial)
        facts.listen(GrantUsed, self.watch.on_use)
        facts.listen(GrantsApproved, self.watch.on_approved)
        facts.listen(HostAsked, self.watch.on_host)

    async def load(self, projects: Iterable[str]) -> None:
        """Watch for those of all these projects, and of all of which something is kept.

        What a thief took from an earlier process of the node is known from the first request on.
        """
        kept = await self._settings.load()
        await self.ensure_all({*projects, *kept})

    async def reload(self) -> None:
        """Read again what is kept, and have the decoys that follow from it. Raises StoreError."""
        async with self._changing:
            before = {project: self._settings.of(project) for project in self._made}
            kept = await self._settings.load()
            for project in sorted({*before, *kept}):
                if before.get(project) != self._settings.of(project):
                    await self._make(project)

    async def ensure_all(self, projects: Iterable[str]) -> None:
        """Have the decoys of all these projects."""
        every = sorted(projects)
        for start in range(0, len(every), _AT_ONCE):
            await asyncio.gather(*map(self.ensure, every[start : start + _AT_ONCE]))

    async def ensure(self, project: str) -> None:
        """Have the decoys of a project, which may be new. Raises VaultError."""
        if project not in self._made:
            await self._make(project)

    async def _make(self, project: str) -> None:
        settings = self._settings.of(project)
        generations = [
            (generation, made(await self._key(project, version), project, generation))
            for generation, version in settings.generations
        ]
        self._made[project] = generations[-1][1]
        self.watch.replace(project, generations, settings.kinds_off)

    async def _key(self, project: str, version: int) -> bytes:
        try:
            found = await self._vault.data_key(project, Purpose.DECOYS, version)
        except NotFoundError:
            # The project is new: asked for without a version, its first key is made.
            found = await self._vault.data_key(project, Purpose.DECOYS)
        return found.key

    async def variables(self, project: str) -> dict[str, str]:
        """Return what the environment of a project's functions holds of its decoys."""
        await self.ensure(project)
        return self._made[project].variables(self._settings.of(project).kinds_off)

    # -- what owners ask for ---------------------------------------------------------------------

    def states(self, project: str | None) -> tuple[DecoyState, ...]:
        """Return where the decoys of a project are, or of all."""
        projects = sorted(self._made) if project is None else [project]
        return tuple(self._state(each, kind) for each in projects for kind in DecoyKind)

    def _state(self, project: str, kind: DecoyKind) -> DecoyState:
        found = self._made.get(project)
        if found is None:
            raise NotFoundError(
                f"The project {project} has no decoys: it has no data and no function.",
                next_step="Deploy a function of it, or check the name.",
            )
        settings = self._settings.of(project)
        off = next((each for each in settings.off if each.kind is kind), None)
        return DecoyState(
            project=project,
            kind=kind,
            place=found.place(kind),
            generation=settings.generations[-1][0],
            on=off is None,
            reason="" if off is None else off.reason,
            by="" if off is None else off.by,
            at=None if off is None else off.at,
        )

    async def rotate(self, project: str) -> tuple[DecoyState, ...]:
        """Replace the decoys of a project; the old ones are watched for as well."""
        self.states(project)
        async with self._changing:
            require_still()
            newest = await self._vault.data_key(project, Purpose.DECOYS)
            await self._settings.keep(project, self._settings.of(project).rotated(newest.version))
            await self._make(project)
        return self.states(project)

    async def set(self, project: str, kind: DecoyKind, reason: str | None, by: Actor) -> DecoyState:
        """Turn a decoy off for a reason, on without one."""
        self._state(project, kind)
        async with self._changing:
            require_still()
            now = time.time()
            setting = (
                None
                if reason is None
                else DecoySetting(kind=kind, reason=reason, by=by.principal, at=now)
            )
            await self._settings.keep(project, self._settings.of(project).with_one(kind, setting))
            await self._make(project)
        if reason is not None:
            self._facts.happened(
                RiskAccepted(
                    at=now,
                    by=by.principal,
                    remote_address=by.remote_address,
                    project=project,
                    risk=f"the decoy {kind.value} is off: {reason}",
                )
            )
        return self._state(project, kind)

    # -- the row ---------------------------------------------------------------------------------

    def item(self, wanted: GetItem) -> Item | None:
        """Return the row, if it is asked for by its table and key."""
        row = self._row(wanted.project, wanted.table)
        if row is None or wanted.sort is not None or wanted.key != row.value[ROW_KEY]:
            return None
        return row

    def page(self, wanted: QueryItems) -> ItemPage | None:
        """Return what a query of its table finds; None where that is no decoy."""
        row = self._row(wanted.project, wanted.table)
        if row is None or wanted.index is not None:
            return None
        found = wanted.after is None and wanted.key in (None, row.value[ROW_KEY])
        return ItemPage(items=(row,) if found else ())

    def _row(self, project: str, table: str) -> Item | None:
        found = self._made.get(project)
        off = self._settings.of(project).kinds_off
        if found is None or found.table != table or DecoyKind.ROW in off:
            return None
        return Item(value=dict(found.row), revision=1, modified_at=self._began)
