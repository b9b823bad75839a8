"""Bundles as they come: taken from who may deploy them, and removed if nobody does in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from casemate.admission import Catalogue
from casemate.api.control import Deploys
from casemate.gateway.bundles import BundleStore
from casemate.gateway.turns import Turns
from casemate.gateway.uploads import KEPT_SECONDS, Uploads


class UploadedBundles:
    """Takes them. Methods are those of `casemate.api.control.Control`."""

    def __init__(
        self,
        catalogue: Catalogue,
        bundles: BundleStore,
        turns: Turns,
        answerable: Callable[[str], str],
    ) -> None:
        """Keep them in `bundles`, and remove none while a change is under way.

        `answerable` says who answers for a token: what waits for each of them is bounded.
        """
        self._catalogue = catalogue
        self._bundles = bundles
        self._turns = turns
        self._uploads = Uploads(answerable)
        self._expiring: set[asyncio.Task[None]] = set()

    async def load(self) -> None:
        """Find out which there are; what no version has waits for its deploy."""
        used, limit = self._catalogue.digests(), time.time() - KEPT_SECONDS
        for digest, size in (await self._bundles.load(used, limit)).items():
            self._note(digest, size)

    def deployed(self, digest: str) -> None:
        """Note that a version has it now."""
        self._uploads.forget(digest)

    async def has_bundle(self, digest: str, *, by: str, deploys: Deploys) -> bool:
        """See Control."""
        names = self._catalogue.functions_of(digest)
        if not self._uploads.is_of(digest, by) and not any(deploys(*name) for name in names):
            return False
        # What was lost or damaged on the disk is mended by being uploaded again.
        return await self._bundles.is_kept(digest)

    async def require_room(self, digest: str, size: int, *, by: str, deploys: Deploys) -> None:
        """See Control."""
        await self._remove_expired()
        if not await self.has_bundle(digest, by=by, deploys=deploys):
            self._uploads.require_room(size, by)

    async def put_bundle(self, digest: str, archive: Path, *, by: str, deploys: Deploys) -> bool:
        """See Control."""
        await self._remove_expired()
        known = await self.has_bundle(digest, by=by, deploys=deploys)
        if known:
            return False
        size = (await asyncio.to_thread(archive.stat)).st_size
        self._uploads.require_room(size, by)
        # Noted first: what is uploaded at the same time counts, too.
        self._note(digest, size, by)
        try:
            await self._bundles.put(digest, archive)
        except BaseException:
            self._uploads.withdraw(digest, by)
            raise
        return True

    def _note(self, digest: str, size: int, by: str = "") -> None:
        self._uploads.note(digest, size, by)
        asyncio.get_running_loop().call_later(KEPT_SECONDS + 1, self._expire)

    def _expire(self) -> None:
        task = asyncio.ensure_future(self._remove_expired())
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)

    async def _remove_expired(self) -> None:
        """Delete uploads that nobody has deployed in time."""
        for digest in self._uploads.take_expired():
            await self._remove_unused(digest)

    async def _remove_unused(self, digest: str) -> None:
        async with self._turns.changing:  # a deploy of it may be under way
            if not self._catalogue.functions_of(digest):
                await self._bundles.remove(digest)

    async def reseal_bundles(self) -> None:
        """See Control."""
        async with self._turns.changing:
            await self._bundles.rekey()
