"""What the store remembers of a node's other files: an older copy of one of them is told.

A store that is older itself is told by the count of starts that node and vault have (`BeginNode`),
and by what the vault knows of the journal (`SeenJournal`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import msgspec

from casemate.background import Background
from casemate.data.starts import MOMENT_SECONDS, moment_of
from casemate.folder.presence import RECORDS, VAULT
from casemate.gateway.looking import Looking
from casemate.model.errors import CasemateError
from casemate.recorder.records.client import RecordsClient
from casemate.recorder.records.errors import RecordsCorruptError
from casemate.store.interface import Store
from casemate.store.value import KeptValue, KeptValues
from casemate.vault import Vault
from casemate.vault.errors import VaultDamagedError

_log = logging.getLogger(__name__)
_PARTS = 16
"""A value of the store is bounded; projects are spread over so many."""
_PAUSE = 1.0
"""Seconds for which starts are collected, to be written together."""


class ProjectStarts:
    """Implements `casemate.data.starts.Starts`. On the event loop, but for what any thread may."""

    def __init__(self, store: Store, current: int) -> None:
        """Keep them in `store`; this is start number `current`. See `load`."""
        self._begun, self._begun_at = moment_of(current), time.monotonic()
        self._loop = asyncio.get_running_loop()
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

    def now(self) -> int:
        """See `Starts.now`."""
        return self._begun + int((time.monotonic() - self._begun_at) / MOMENT_SECONDS)

    def note(self, project: str, moment: int) -> None:
        """See `Starts.note`."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._note, project, moment)

    def _note(self, project: str, moment: int) -> None:
        part = _part(project)
        if self._seen[part].get(project) == moment:
            return
        self._seen[part][project] = moment
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
        await asyncio.sleep(0)  # what was noted on other threads comes first
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


class SeenCount:
    """Tells a file that counts less than the node has had of it. On the event loop."""

    def __init__(
        self,
        store: Store,
        name: str,
        count: Callable[[], Awaitable[int]],
        older: Callable[[int, int], CasemateError],
    ) -> None:
        """Keep in `store`, under `name`, what `count` returns, which never goes back.

        `older` makes an error of what there is and what there was.
        """
        self._value = KeptValue(store, name)
        self._count = count
        self._older = older
        self._seen = 0
        self._looking = Looking(self._note, name)

    async def begin(self, *, accept_loss: bool) -> None:
        """Refuse an older one, unless that is accepted.

        Raises that error, StoreError, and why it cannot be counted.
        """
        self._seen = int(await self._value.read() or 0)
        has = await self._count()
        if has < self._seen and not accept_loss:
            raise self._older(has, self._seen)
        await self._keep(has)

    def follow(self) -> None:
        """Remember how it grows, from the running loop on."""
        self._looking.begin()

    async def close(self) -> None:
        """Remember the last that there was."""
        await self._looking.close()

    async def _note(self) -> None:
        await self._keep(await self._count())

    async def _keep(self, count: int) -> None:
        if count != self._seen:
            await self._value.write(b"%d" % count)
            self._seen = count


def seen_vault(store: Store, vault: Vault) -> SeenCount:
    """Return what tells an older `vault.sealed`, by how often it was written."""

    async def generation() -> int:
        return (await vault.status()).generation

    def older(has: int, had: int) -> CasemateError:
        return VaultDamagedError(
            f"The vault is an older copy: vault.sealed was written {has} times, and this node has "
            f"had one of {had}. Secrets and keys of since are not in it, and those that were "
            "replaced or deleted are. Nothing was changed.",
            next_step="Put the newest folder vault/ back, or restore a backup of the whole "
            f"node. To continue with what is left: casemate serve --accept-loss {VAULT}",
        )

    return SeenCount(store, "vault generation", generation, older)


def seen_records(store: Store, records: RecordsClient) -> SeenCount:
    """Return what tells older records, by how many were ever kept."""

    def older(has: int, had: int) -> CasemateError:
        return RecordsCorruptError(
            f"The records are an older copy: {has} were kept in them, and this node has had {had}. "
            "What functions did and were denied since is not in them.",
            next_step="Put the newest folder journal/records/ back, or restore a backup of the "
            f"whole node. To go on with what is left: casemate serve --accept-loss {RECORDS}",
        )

    return SeenCount(store, "records seen", records.count, older)


def _part(project: str) -> int:
    return hashlib.sha256(project.encode()).digest()[0] % _PARTS
