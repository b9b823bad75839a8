"""Bundles as they come: taken from who may deploy them, and removed if nobody does in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from casemate.admission import Catalogue
from casemate.api.control import Deploys
from casemate.build import manifest_of
from casemate.gateway.bundles import BundleStore
from casemate.gateway.turns import Turns
from casemate.gateway.uploads import KEPT_SECONDS, Uploads
from casemate.model.bundle import MAX_ARCHIVE_BYTES, BundleManifest
from casemate.model.errors import CasemateError, ConflictError

_AT_ONCE = 64
"""Bundles that are looked at for pieces before others have their turn."""


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

    async def require_any_room(self, names: Sequence[tuple[str, str]], *, by: str) -> None:
        """Raise QuotaError, UnavailableError if nothing can be uploaded for some of these.

        That is for one of which no bundle of `by` waits, which could be deployed, and none is live:
        a deploy of what is there already uploads nothing. Whether it is that only its build tells.
        """
        await self._remove_expired()
        names = [name for name in names if self._catalogue.most_live(*name) is None]
        waiting = {
            (known.project, known.function)
            for digest in self._uploads.of(by)
            if (known := self._bundles.known(digest)) is not None
        }
        if not waiting.issuperset(names):
            self._uploads.require_room(1, by)
            await self._bundles.require_room(1)

    async def put_bundle(
        self, digest: str, archive: Path, *, by: str, deploys: Deploys, partial: bool = False
    ) -> bool:
        """See Control."""
        await self._remove_expired()
        known = await self.has_bundle(digest, by=by, deploys=deploys)
        if known:
            return False
        size = (await asyncio.to_thread(archive.stat)).st_size
        bases: dict[str, str] = {}
        if partial:
            bases = await self._bases(digest, archive, by=by, deploys=deploys)
            # What is kept is the whole, however little has come.
            size += sum(map(self._bundles.packed_size, set(bases.values())))
            if size > MAX_ARCHIVE_BYTES:
                raise _no_base(f"the whole has more than {MAX_ARCHIVE_BYTES} bytes")
        self._uploads.require_room(size, by)
        # Noted first: what is uploaded at the same time counts, too.
        self._note(digest, size, by)
        try:
            await self._bundles.put(digest, archive, bases)
        except BaseException:
            self._uploads.withdraw(digest, by)
            raise
        return True

    async def find_pieces(
        self,
        project: str,
        function: str,
        wanted: Collection[str],
        *,
        by: str,
        deploys: Deploys,
    ) -> dict[str, str]:
        """See Control. Returns a bundle that has it with each.

        Of those that were unpacked since this node started, and what is live of the function.
        """
        live = self._catalogue.most_live(project, function)
        if (
            live is not None
            and self._bundles.known(live.digest) is None
            and deploys(project, function)
        ):
            with suppress(CasemateError):  # then it has none to offer
                await self._bundles.manifest(live.digest)
        found: dict[str, str] = {}
        missing = set(wanted)
        for number, digest in enumerate(self._bundles.known_of(project), 1):
            if not number % _AT_ONCE:
                await asyncio.sleep(0)
            known = self._bundles.known(digest)
            here = set() if known is None else missing.intersection(known.pieces.values())
            if here and await self.has_bundle(digest, by=by, deploys=deploys):
                found |= dict.fromkeys(here, digest)
                missing -= here
        return found

    async def _bases(
        self, digest: str, archive: Path, *, by: str, deploys: Deploys
    ) -> dict[str, str]:
        """Return bundles that have pieces which an archive may lack, by the names of these."""
        manifest = await asyncio.to_thread(_manifest_of, archive, digest)
        name = (manifest.project, manifest.function.name)
        pieces = await asyncio.to_thread(manifest.pieces)
        found = await self.find_pieces(*name, pieces.values(), by=by, deploys=deploys)
        bases = {name: found[piece] for name, piece in pieces.items() if piece in found}
        if not bases:
            raise _no_base("the node has nothing of this project that is the same")
        return bases

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


def _manifest_of(archive: Path, digest: str) -> BundleManifest:
    with archive.open("rb") as stream:
        return manifest_of(stream, digest)


def _no_base(why: str) -> ConflictError:
    return ConflictError(
        f"The bundle cannot be put together with dependencies of others: {why}.",
        next_step="Upload the whole bundle.",
    )
