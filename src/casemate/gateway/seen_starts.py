"""What the store remembers of a node's other files: an older copy of one of them is told.

A store that is older itself is told by the count of starts that node and vault have (`BeginNode`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Iterable

import msgspec

from casemate.background import Background
from casemate.folder.presence import VAULT
from casemate.model.errors import CasemateError
from casemate.store.interface import Store
from casemate.store.value import KeptValue, KeptValues
from casemate.vault import Vault
from casemate.vault.errors import VaultDamagedError

_log = logging.getLogger(__name__)
_PARTS = 16
"""A value of the store is bounded; projects are spread over so many."""
_PAUSE = 1.0
"""Seconds for which starts are collected, to be written together."""
_VAULT_SECONDS = 5.0
"""How often the vault is asked for its generation."""


class ProjectStarts:
    """Implements `casemate.data.starts.Starts`. On the event loop, but for `seen`."""

    def __init__(self, store: Store, current: int) -> None:
        """Keep them in `store`; this is start number `current`. See `load`."""
        self.current = current
        self._values = KeptValues(store, [f"starts of projects {part}" for part in range(_PARTS)])
        self._seen: list[dict[str, int]] = [{} for _ in range(_PARTS)]
        self._changed: set[int] = set()
        self._background = Background()

    async def load(self) -> None:
        """Read what is known. Raises StoreError."""
        found = await self._values.read()
        self._seen = [
            msgspec.json.decode(value, type=dict[str, int]) if value else {} for value in found
        ]

    def seen(self, project: str) -> int:
        """See `Starts.seen`."""
        return self._seen[_part(project)].get(project, 0)

    def note(self, project: str) -> None:
        """See `Starts.note`."""
        part = _part(project)
        if self._seen[part].get(project) == self.current:
            return
        self._seen[part][project] = self.current
        self._changed.add(part)
        self._background.shared(self._write_soon)

    def forget_others(self, present: Iterable[str]) -> None:
        """Forget projects that have no database any more; what has their names next is another."""
        there = set(present)
        for part, seen in enumerate(self._seen):
            gone = seen.keys() - there
            if gone:
                self._seen[part] = {name: start for name, start in seen.items() if name in there}
                self._changed.add(part)
        if self._changed:
            self._background.shared(self._write_soon)

    async def close(self) -> None:
        """See `Starts.close`."""
        await self._background.close()
        await self._write()

    async def _write_soon(self) -> None:
        while self._changed:
            await asyncio.sleep(_PAUSE)
            await self._write()

    async def _write(self) -> None:
        changed, self._changed = self._changed, set()
        for part in changed:
            try:
                await self._values[part].write(msgspec.json.encode(self._seen[part]))
            except CasemateError as error:
                _log.warning("an older copy of some projects would not be told: %s", error)


class SeenVault:
    """Tells a `vault.sealed` that is older than what the node had. On the event loop."""

    def __init__(self, store: Store, vault: Vault) -> None:
        """Keep in `store` how often `vault` was written."""
        self._value = KeptValue(store, "vault generation")
        self._vault = vault
        self._seen = 0
        self._background = Background()

    async def begin(self, *, accept_loss: bool) -> None:
        """Refuse an older vault, unless that is accepted.

        Raises VaultDamagedError, VaultError, StoreError.
        """
        self._seen = int(await self._value.read() or 0)
        has = (await self._vault.status()).generation
        if has < self._seen and not accept_loss:
            raise VaultDamagedError(
                f"The vault is an older copy: vault.sealed was written {has} times, and this "
                f"node has had one of {self._seen}. Secrets and keys of since are not in it, and "
                "those that were replaced or deleted are. Nothing was changed.",
                next_step="Put the newest folder vault/ back, or restore a backup of the whole "
                f"node. To continue with what is left: casemate serve --accept-loss {VAULT}",
            )
        await self._keep(has)

    def follow(self) -> None:
        """Remember what it writes, from the running loop on."""
        self._background.start(self._follow())

    async def close(self) -> None:
        """Remember what the vault has written last."""
        await self._background.close()
        with contextlib.suppress(CasemateError):
            await self._note()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_VAULT_SECONDS)
            try:
                await self._note()
            except CasemateError as error:
                _log.warning("an older copy of the vault would not be told: %s", error)

    async def _note(self) -> None:
        await self._keep((await self._vault.status()).generation)

    async def _keep(self, generation: int) -> None:
        if generation != self._seen:
            await self._value.write(b"%d" % generation)
            self._seen = generation


def _part(project: str) -> int:
    return hashlib.sha256(project.encode()).digest()[0] % _PARTS
