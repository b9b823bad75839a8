"""Sealed bundles in a shared store of blobs, each fetched once to a node that needs it.

The blob is written before its row, under a random name, and is never changed; the row says which
blob a digest has. The node keeps what it has fetched in a folder, as many bytes as it may, and
whatever is there is opened as a sealed file of its own would be: decrypted under its digest, and
verified.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, TypeVar

from casemate.blobs import BlobDamagedError, Blobs, BlobsError, sweep
from casemate.gateway.intact import Stamp
from casemate.gateway.sealed_bundles import SUFFIX, Fill, SealedFolder
from casemate.model.errors import NotFoundError, UnavailableError
from casemate.store.bundle_rows import BundleRow, BundleRows

MAX_SEALED_BYTES = 1 << 30
"""A row that says more is not believed; bundles are at most half of it."""
_THREADS = 4
"""Of their own: what else blocks on this node must not wait for a slow store."""
_TRIES = 3
_PIECE = 1 << 20
_ROWS_SECONDS = 60.0
T = TypeVar("T")


class FetchedBundles:
    """Sealed files by digest: in `cache` those that this node has used last, in `blobs` all.

    Satisfies `SealedBundles`. Belongs to one event loop.
    """

    def __init__(
        self, cache: SealedFolder, blobs: Blobs, rows: BundleRows, *, capacity: int
    ) -> None:
        """Keep at most about `capacity` bytes in `cache`, whose files may go any time. Blocks."""
        self._cache = cache
        self._blobs = blobs
        self._rows = rows
        self._capacity = capacity
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bundles")
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._sizes: OrderedDict[str, int] = OrderedDict()
        for file in sorted(cache.path.glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime):
            self._sizes[file.stem] = file.stat().st_size

    async def is_kept(self, digest: str) -> bool:
        """Tell whether there is one."""
        return await self._rows.find(digest) is not None

    async def kept(self) -> set[str]:
        """Return the digests of all."""
        return {row.digest for row in await self._rows.rows()}

    async def open(self, digest: str) -> BinaryIO:
        """Return one to read, fetched if it is not here. FileNotFoundError, UnavailableError."""
        for _ in range(_TRIES):
            was_here = digest in self._sizes
            with contextlib.suppress(FileNotFoundError):
                stream = await self._in_thread(lambda: self._cache.file(digest).open("rb"))
                if digest in self._sizes:
                    self._sizes.move_to_end(digest)
                return stream
            # Unless another has fetched it while this one looked.
            if was_here or digest not in self._sizes:
                await self._fetch_once(digest)
        # What is fetched is let go at once: there is no room for what is used at the same time.
        raise UnavailableError(f"The bundle {digest} does not stay on this node while it is read.")

    async def suspect(self, digest: str) -> bool:
        """Let go of the copy that is here: the next `open` fetches another."""
        if digest not in self._sizes:
            return False
        await self._drop(digest)
        return True

    def room(self) -> int:
        """Return how many bytes are free here, where each is written first. Raises OSError."""
        return self._cache.room()

    def stamp(self, digest: str) -> Stamp | None:
        """Return what the disk says of the copy that is here."""
        return self._cache.stamp(digest)

    async def write(self, digest: str, fill: Fill) -> None:
        """Write one here, then its blob, then its row. Raises UnavailableError."""
        try:
            await self._in_thread(self._cache.write_now, digest, fill)
            size, name = await self._in_thread(self._upload, digest)
            # From here on it may be there, whatever is answered: what is not is swept.
            replaced = await self._rows.keep(BundleRow(digest, name, size, time.time()))
        except BaseException:
            await self._drop(digest)
            raise
        if replaced is not None and replaced.blob != name:
            self._blobs.delete([replaced.blob])
        self._note(digest, size)
        await self._trim(digest)

    def _upload(self, digest: str) -> tuple[int, str]:
        with _told(digest), self._cache.file(digest).open("rb") as source:
            blob = self._blobs.create()
            try:
                while piece := source.read(_PIECE):
                    blob.write(piece)
                blob.finish()
            except BaseException:
                blob.discard()
                raise
            return source.tell(), blob.name

    async def remove(self, digest: str) -> None:
        """Delete one, unless a version has come to need it: row first, then its blob."""
        row = await self._rows.find(digest)
        if row is not None and await self._rows.forget(digest, row.blob):
            self._blobs.delete([row.blob])
        await self._drop(digest)

    async def load(self, used: set[str], unused_since: float) -> dict[str, int]:
        """See SealedBundles. What is here and has no row goes, too."""
        waiting: dict[str, int] = {}
        rows = {row.digest: row for row in await self._rows.rows()}
        for digest, row in rows.items():
            if digest in used:
                continue
            if row.at < unused_since:
                await self.remove(digest)
            else:
                waiting[digest] = row.size
        await self._in_thread(self._clear_drafts)
        for digest in list(self._sizes):
            if digest not in rows:
                await self._drop(digest)
        await self._trim("")
        return waiting

    def _clear_drafts(self) -> None:
        for entry in self._cache.path.iterdir():
            if entry.suffix != SUFFIX and not entry.is_dir():
                entry.unlink(missing_ok=True)

    async def sweep(self) -> int:
        """Delete blobs that no row names and that are old; return how many. Raises BlobsError."""
        loop = asyncio.get_running_loop()

        def named(_first: str, _last: str) -> list[str]:
            asked = asyncio.run_coroutine_threadsafe(self._rows.rows(), loop)
            return [row.blob for row in asked.result(_ROWS_SECONDS)]

        return await self._in_thread(sweep, self._blobs, named, self._blobs.delete)

    def close(self) -> None:
        """Wait for what is under way. Blocks."""
        self._threads.shutdown()

    async def _fetch_once(self, digest: str) -> None:
        """Fetch one; all that ask meanwhile wait for the same. Whoever asked may be cancelled."""
        task = self._fetching.get(digest)
        if task is None:
            task = asyncio.ensure_future(self._fetch(digest))
            self._fetching[digest] = task
            task.add_done_callback(lambda _: self._fetching.pop(digest, None))
        await asyncio.shield(task)

    async def _fetch(self, digest: str) -> None:
        last = ""
        while True:
            row = await self._rows.find(digest)
            # Sealed anew meanwhile it has another blob; the same one twice is gone.
            if row is None or row.blob == last:
                raise FileNotFoundError(2, "no such bundle", digest)
            if not 0 < row.size <= MAX_SEALED_BYTES:
                raise UnavailableError(f"The row of the bundle {digest} tells an impossible size.")
            last = row.blob
            with contextlib.suppress(FileNotFoundError):
                await self._in_thread(self._download, row)
                break
        self._note(digest, row.size)
        await self._trim(digest)

    def _download(self, row: BundleRow) -> None:
        draft = self._cache.path / f".{row.digest}.fetched"
        draft.unlink(missing_ok=True)
        try:
            with _told(row.digest):
                self._blobs.copy(row.blob, row.size, draft)
                draft.rename(self._cache.file(row.digest))
        finally:
            draft.unlink(missing_ok=True)

    def _note(self, digest: str, size: int) -> None:
        self._sizes[digest] = size
        self._sizes.move_to_end(digest)

    async def _trim(self, keep: str) -> None:
        """Let go of what was used longest ago; who reads it has it open."""
        total = sum(self._sizes.values())
        for digest in list(self._sizes):
            if total <= self._capacity:
                return
            if digest != keep:
                total -= self._sizes[digest]
                await self._drop(digest)

    async def _drop(self, digest: str) -> None:
        self._sizes.pop(digest, None)
        await self._cache.remove(digest)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


@contextlib.contextmanager
def _told(digest: str) -> Iterator[None]:
    """Raise UnavailableError for what fails, NotFoundError for damage; FileNotFoundError stays."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnavailableError(
            f"The bundle {digest} cannot be fetched or kept: {error.strerror}.",
            next_step="Make room on the node's disk.",
        ) from error
    except BlobDamagedError as error:
        # No failure that passes: it is mended by being deployed again.
        raise NotFoundError(f"The bundle {digest} is damaged: {error.message}") from error
    except BlobsError as error:
        raise UnavailableError(
            f"The bundle {digest} cannot be fetched or kept: {error.message}",
            next_step=error.next_step,
        ) from error
