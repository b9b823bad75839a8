"""The bundles of a node: encrypted on its disk, unpacked in memory while they are in use.

On the disk a bundle is one file, its archive sealed with the node's key. Sandboxes read unpacked
files through a mount, so those of bundles in use, and of as many others as fit, are kept in a
folder in memory (tmpfs) that the supervisor made.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import struct
import tempfile
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from sys import intern
from types import MappingProxyType
from typing import BinaryIO, NamedTuple, TypeVar
from weakref import WeakValueDictionary

import msgspec

from casemate.build import QUICK_LEVEL, ArchiveError, pack, unpack
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.gateway.intact import Sealed, Stamp, Unpacked
from casemate.gateway.sealed_bundles import SealedBundles
from casemate.gateway.shared_files import SharedFiles
from casemate.kernel.volume import beside_reserve
from casemate.model.bundle import MAX_PIECES, BundleManifest
from casemate.model.errors import CasemateError, NotFoundError, UnavailableError
from casemate.sbom import owners
from casemate.vault import decrypt_stream, encrypt_stream
from casemate.vault.errors import DecryptionError
from casemate.vault.interface import DataKey

_MAX_DAMAGED = 1000
_AGAIN = "Deploy it again, or restore the folder data/bundles from a backup."
_log = logging.getLogger(__name__)
_KEY_VERSION = struct.Struct("!I")
_NONE: Mapping[str, str] = MappingProxyType({})
T = TypeVar("T")
Keys = Callable[[int | None], Awaitable[DataKey]]
"""Returns the data key for bundles of a version, of the newest with None."""


class Known(NamedTuple):
    """What is known of a bundle without its files."""

    project: str
    function: str
    dependencies: str | None
    """What it shares with others of the same dependencies."""
    pieces: Mapping[str, str]
    """Of its dependencies: what each shares with others that have the same, by its name; of the
    first MAX_PIECES."""


class BundleStore:
    """Bundles by digest. All methods but those that say so run on the event loop."""

    def __init__(
        self,
        sealed: SealedBundles,
        unpacked: Path,
        keys: Keys,
        *,
        capacity: int,
        share: bool = False,
        in_clear: Sequence[Path] = (),
        on_tampered: Callable[[str, str], None] = lambda _digest, _reason: None,
    ) -> None:
        """Keep bundles in `sealed` and at most about `capacity` bytes of files in `unpacked`.

        With `share` equal dependencies of a project are in memory once; each zygote has to see
        inodes of its own then. `in_clear` are bundles as an earlier release left them.
        `on_tampered` is told of a bundle that is not what it was, and why.
        """
        self._sealed = sealed
        self._in_clear = in_clear
        self._unpacked = unpacked
        self._keys = keys
        self._capacity = capacity
        self._users: dict[str, int] = {}
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self.damaged: dict[str, str] = {}
        """What is wrong with bundles that could not be opened when they were last needed."""
        self._unpacking: dict[str, asyncio.Task[None]] = {}
        self._shared = SharedFiles(unpacked) if share else None
        self._linking: dict[str, asyncio.Task[None]] = {}
        self._linked: set[str] = set()
        self._known: dict[str, Known] = {}
        """What is known of bundles that were unpacked since this node started."""
        self._checked: dict[str, Unpacked] = {}
        """Unpacked bundles, as they were when they were checked."""
        self._files: dict[str, Sealed] = {}
        """What is known of sealed files."""
        self._spoiled: set[str] = set()
        """Unpacked bundles that are not what they were; those who use them keep them."""
        self._on_tampered = on_tampered
        self._coming = 0
        """Bytes of the archives that are being put."""
        self._putting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def is_kept(self, digest: str) -> bool:
        """Tell whether a bundle is there, and not known to be damaged: that can be put again."""
        if digest in self.damaged:
            return False
        return await self._sealed.is_kept(digest)

    async def is_known(self, digest: str) -> bool:
        """Tell whether a bundle is there, or was and is damaged.

        To be asked of a digest that somebody names: one that nobody put is not noted as damaged.
        """
        return digest in self.damaged or await self._sealed.is_kept(digest)

    async def missing(self, digests: set[str]) -> set[str]:
        """Return which of these are not there. Raises OSError, CasemateError."""
        return digests - await self._sealed.kept()

    async def put(self, digest: str, archive: Path, bases: Mapping[str, str] = _NONE) -> None:
        """Check an archive and keep it.

        Pieces of its dependencies that it leaves out are those of the bundles in `bases`, by their
        names: the whole is put together, checked like one that came whole, and packed and sealed by
        itself.

        Raises ArchiveError if it is not exactly that bundle, also where the bundle is there
        already: the answer does not tell. Raises UnavailableError if there is no room, and
        NotFoundError without one of `bases`.
        """
        # One at a time: all that come under one digest are written to the same places.
        async with self._putting.setdefault(digest, asyncio.Lock()):
            held: list[str] = []
            try:
                for base in sorted(set(bases.values())):
                    await self._hold(base)
                    held.append(base)
                await self._put(digest, archive, bases)
            finally:
                for base in held:
                    self.release(base)

    async def _put(self, digest: str, archive: Path, bases: Mapping[str, str]) -> None:
        if await self.is_kept(digest):
            await asyncio.to_thread(self._check_archive, digest, archive, bases)
            return
        size = (await asyncio.to_thread(archive.stat)).st_size
        size += sum(map(self.packed_size, set(bases.values())))
        # With what others write at the same time, which may not be on the disk yet.
        self._coming += size
        try:
            await asyncio.to_thread(self._require_room, self._coming)
            key = await self._keys(None)
            await asyncio.to_thread(self._unpack_archive, digest, archive, bases)
            self._note(digest)
            if bases:
                await self._seal_unpacked(digest, key)
            else:
                await self._seal(digest, archive, key)
        finally:
            self._coming -= size
        self.damaged.pop(digest, None)

    async def _seal_unpacked(self, digest: str, key: DataKey) -> None:
        self._users[digest] = self._users.get(digest, 0) + 1
        try:
            await self._seal_folder(self._unpacked / digest, key)
        finally:
            self.release(digest)

    def packed_size(self, digest: str) -> int:
        """Return about how many bytes a bundle has as an archive; more where that is not known."""
        stamp = self._sealed.stamp(digest)
        return self._sizes.get(digest, 0) if stamp is None else stamp.size

    async def require_room(self, size: int) -> None:
        """Raise UnavailableError if there is no room for an archive of `size` bytes."""
        await asyncio.to_thread(self._require_room, self._coming + size)

    def _require_room(self, size: int) -> None:
        # What is unpacked and what is sealed are on volumes of their own, as a rule.
        missing = size - min(beside_reserve(self._unpacked), self._sealed.room())
        if missing > 0:
            raise UnavailableError(
                f"The disk of the node's bundles is full but for its reserve; {missing} bytes are "
                "missing.",
                next_step="Free some space or grow the volume.",
            )

    def _check_archive(self, digest: str, archive: Path, bases: Mapping[str, str]) -> None:
        with (
            tempfile.TemporaryDirectory(dir=self._unpacked) as folder,
            archive.open("rb") as stream,
        ):
            unpack(stream, Path(folder) / digest, digest, pieces=self._folders_of(bases))

    def _unpack_archive(self, digest: str, archive: Path, bases: Mapping[str, str]) -> None:
        into = self._unpacked / digest
        with archive.open("rb") as stream:
            manifest = unpack(stream, into, digest, pieces=self._folders_of(bases))
        self._note_known(digest, manifest)

    def _folders_of(self, bases: Mapping[str, str]) -> dict[str, Path]:
        return {name: self._unpacked / base for name, base in bases.items()}

    def _note_known(self, digest: str, manifest: BundleManifest) -> None:
        # Thousands of bundles may have the same ones, and one 100,000: no more than are asked for.
        first = islice(manifest.pieces().items(), MAX_PIECES)
        pieces = {intern(name): intern(piece) for name, piece in first}
        self._known[digest] = Known(
            manifest.project, manifest.function.name, manifest.dependencies_digest(), pieces
        )
        self._checked[digest] = Unpacked(self._unpacked / digest)

    async def _seal(self, digest: str, archive: Path, key: DataKey) -> None:
        """Write the sealed file whole or not at all."""

        def fill(target: BinaryIO) -> None:
            with archive.open("rb") as source:
                target.write(_KEY_VERSION.pack(key.version))
                encrypt_stream(key.key, _context(digest), source, target)

        await self._sealed.write(digest, fill)
        self._files[digest] = Sealed(sound=self._sealed.stamp(digest))

    async def manifest(self, digest: str) -> BundleManifest:
        """Return a bundle's manifest. Raises NotFoundError."""
        return await self.read(digest, lambda _folder, manifest: manifest)

    def _manifest(self, digest: str) -> BundleManifest:
        damaged = NotFoundError(f"The bundle {digest} on this node is damaged.", next_step=_AGAIN)
        try:
            data = (self._unpacked / digest / "bundle.json").read_bytes()
            manifest = msgspec.json.decode(data, type=decodable(BundleManifest))
        except (OSError, *DECODING_ERRORS) as error:
            raise damaged from error
        if manifest.digest() != digest:
            raise damaged
        return manifest

    async def read(self, digest: str, reading: Callable[[Path, BundleManifest], T]) -> T:
        """Return what `reading` makes of a bundle's files, off the event loop.

        Raises NotFoundError.
        """
        await self._hold(digest)
        folder = self._unpacked / digest
        try:
            return await asyncio.to_thread(lambda: reading(folder, self._manifest(digest)))
        finally:
            self.release(digest)

    async def acquire(self, digest: str) -> None:
        """Have a bundle's files in memory until `release`.

        NotFoundError if it is not there, or is not what was deployed.
        """
        await self._hold(digest)
        try:
            await self._require_same(digest)
        except BaseException:
            self.release(digest)
            raise
        if self._shared is None or digest in self._linked:
            return
        # Here and not when it comes: how long that takes must tell nobody what a project has. And
        # before anybody sees its files, which must not change below a mount.
        linking = self._linking.get(digest)
        if linking is None:
            linking = asyncio.ensure_future(self._link(self._shared, digest))
            self._linking[digest] = linking
            linking.add_done_callback(lambda _: self._linking.pop(digest, None))
        try:
            await asyncio.shield(linking)
        except BaseException:
            self.release(digest)
            raise

    async def _require_same(self, digest: str) -> None:
        """Raise NotFoundError if a bundle's sealed file, or its own code in memory, was changed."""
        known, now = self._files.setdefault(digest, Sealed()), self._sealed.stamp(digest)
        if now is not None and now != known.sound:
            await self._read_again(digest, known, now)
        checked = self._checked.get(digest)
        problem = checked.glance() if checked is not None else "it was never checked."
        if problem or digest in self._spoiled:
            self._spoil(digest, problem or "its files in memory were changed.")

    async def _read_again(self, digest: str, known: Sealed, now: Stamp) -> None:
        """Read a sealed file that was changed, or linked by a backup. NotFoundError if bad."""
        if now != known.bad:
            try:
                await self.verify(digest)
            except (DecryptionError, NotFoundError) as error:
                known.bad, known.problem = now, error.message
                self._on_tampered(digest, error.message)
            else:
                known.sound, known.bad = now, None
                return
        message = f"The bundle {digest} on this node is damaged: {known.problem}"
        self._note_damage(digest, message)
        raise NotFoundError(message, next_step=_AGAIN)

    async def require_whole(self, digest: str) -> None:
        """Look at all of an acquired bundle's files. NotFoundError if one is not what it was."""
        checked = self._checked.get(digest)
        if checked is not None and (problem := await asyncio.to_thread(checked.look)):
            self._spoil(digest, problem)

    def _spoil(self, digest: str, problem: str) -> None:
        """Have files in memory be used no more, and unpacked anew once nobody uses them."""
        if digest not in self._spoiled:
            self._spoiled.add(digest)
            self._on_tampered(digest, problem)
        message = f"The bundle {digest} in memory is not what was deployed: {problem}"
        _log.error("%s", message)
        raise NotFoundError(message, next_step="Look at who can write on the node, and restart it.")

    async def owners(self, digest: str) -> Mapping[str, tuple[str, str]]:
        """Return name and version of the package of each file below `deps/`. CasemateError."""
        return await self.read(digest, owners)

    def dependencies(self, digest: str) -> str | None:
        """Return what an unpacked bundle shares with others of the same dependencies.

        None without dependencies, for one that is not unpacked, and for one that was changed.
        """
        known = self._known.get(digest)
        if known is None or digest not in self._checked or digest in self._spoiled:
            return None
        return known.dependencies

    def known(self, digest: str) -> Known | None:
        """Return what is known of a bundle that was unpacked since this node started."""
        return self._known.get(digest)

    def known_of(self, project: str) -> list[str]:
        """Return the digests of those of a project that are known, the newest first."""
        # All are looked at, so that how long it takes tells nothing of other projects.
        found = [digest for digest, known in self._known.items() if known.project == project]
        return found[::-1]

    def folder(self, digest: str) -> Path:
        """Return where an acquired bundle's files are."""
        return self._unpacked / digest

    async def _link(self, shared: SharedFiles, digest: str) -> None:
        # Held until it is done, whoever waits for that or does not any more.
        self._users[digest] = self._users.get(digest, 0) + 1
        try:
            shared.joined(digest, await asyncio.to_thread(shared.link, digest))
            self._checked[digest] = await asyncio.to_thread(Unpacked, self._unpacked / digest)
            self._linked.add(digest)
        finally:
            self.release(digest)

    async def _hold(self, digest: str) -> None:
        self._users[digest] = self._users.get(digest, 0) + 1
        try:
            if digest in self._sizes:
                self._sizes.move_to_end(digest)
                return
            unpacking = self._unpacking.get(digest)
            if unpacking is None:
                unpacking = asyncio.ensure_future(self._open(digest))
                self._unpacking[digest] = unpacking
                unpacking.add_done_callback(lambda _: self._unpacking.pop(digest, None))
            await asyncio.shield(unpacking)
        except BaseException:
            self.release(digest)
            raise

    async def _open(self, digest: str) -> None:
        """Unpack a bundle, and remember of one that cannot be why. Raises NotFoundError."""
        try:
            try:
                await self._unpack(digest)
            except CasemateError as error:
                if error.retryable or not await self._sealed.suspect(digest):
                    raise
                _log.warning("the copy of the bundle %s is damaged: %s", digest, error.message)
                await self._unpack(digest)
        except NotFoundError as error:
            self._note_damage(digest, error.message)
            raise
        except (DecryptionError, ArchiveError) as error:
            # Trying again would not mend it, so it is no failure that passes.
            message = f"The bundle {digest} on this node is damaged: {error.message}"
            if self.damaged.get(digest) != message:
                self._on_tampered(digest, error.message)
            self._note_damage(digest, message)
            raise NotFoundError(message, next_step=_AGAIN) from error
        self.damaged.pop(digest, None)

    def _note_damage(self, digest: str, message: str) -> None:
        if self.damaged.get(digest) != message:
            _log.error("%s", message)
        if len(self.damaged) < _MAX_DAMAGED:
            self.damaged[digest] = message

    async def _unpack(self, digest: str) -> None:
        try:
            stream = await self._sealed.open(digest)
        except FileNotFoundError as error:
            raise NotFoundError(
                f"This node has no bundle {digest}.", next_step="Upload it, or run casemate deploy."
            ) from error
        with stream:
            version = stream.read(_KEY_VERSION.size)
            if len(version) < _KEY_VERSION.size:
                raise NotFoundError(f"The bundle {digest} is cut short.", next_step=_AGAIN)
            key = await self._keys(_KEY_VERSION.unpack(version)[0])
            now = self._sealed.stamp(digest)
            await asyncio.to_thread(self._unseal, digest, stream, key)
            self._files[digest] = Sealed(sound=now)
        self._note(digest)

    def _unseal(self, digest: str, sealed: object, key: DataKey) -> None:
        """Decrypt and unpack; what does not authenticate, or is not that bundle, leaves nothing."""
        with tempfile.TemporaryFile(dir=self._unpacked) as archive:
            decrypt_stream(key.key, _context(digest), sealed, archive)  # type: ignore[arg-type]
            archive.seek(0)
            manifest = unpack(archive, self._unpacked / digest, digest)
        self._note_known(digest, manifest)

    async def kept(self) -> set[str]:
        """Return the digests of all sealed bundles. Raises OSError, CasemateError."""
        return await self._sealed.kept()

    async def verify(self, digest: str) -> int:
        """Decrypt a sealed bundle and forget it; return its size. Raises DecryptionError.

        It is sealed under its digest, so what decrypts is that bundle. One that was removed
        meanwhile is fine.
        """
        try:
            stream = await self._sealed.open(digest)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise UnavailableError(
                f"The bundle cannot be read: {error.strerror}.", next_step="Check the disk."
            ) from error
        with stream:
            version = stream.read(_KEY_VERSION.size)
            if len(version) < _KEY_VERSION.size:
                raise NotFoundError("The bundle is cut short.", next_step="Deploy it again.")
            key = await self._keys(_KEY_VERSION.unpack(version)[0])
            return await asyncio.to_thread(
                decrypt_stream, key.key, _context(digest), stream, _Nowhere()
            )

    def _note(self, digest: str) -> None:
        """Count a bundle that is unpacked now, and let go of others that nobody uses."""
        self._sizes[digest] = self._checked[digest].size
        self._sizes.move_to_end(digest)
        self._trim(keep=digest)

    def _trim(self, keep: str = "") -> None:
        total = sum(map(self.size, self._sizes))
        for digest in list(self._sizes):
            if total <= self._capacity:
                return
            if digest != keep and not self._users.get(digest):
                self._forget(digest)
                shutil.rmtree(self._unpacked / digest, ignore_errors=True)
                total = sum(map(self.size, self._sizes))

    def _forget(self, digest: str) -> None:
        del self._sizes[digest]
        self._linked.discard(digest)
        self._checked.pop(digest, None)
        self._spoiled.discard(digest)
        if self._shared is not None:
            self._shared.left(digest)

    def release(self, digest: str) -> None:
        """Need a bundle's files no longer; they stay for as long as there is room."""
        left = self._users.get(digest, 0) - 1
        if left > 0:
            self._users[digest] = left
        else:
            self._users.pop(digest, None)
            if digest in self._spoiled and digest in self._sizes:
                self._forget(digest)
                shutil.rmtree(self._unpacked / digest, ignore_errors=True)
            self._trim()

    def size(self, digest: str) -> int:
        """Return the bytes of a bundle's files in memory, its part of those it shares.

        0 for one that is not there.
        """
        saved = 0 if self._shared is None else self._shared.saved(digest)
        return self._sizes.get(digest, 0) - saved

    async def remove(self, digest: str) -> None:
        """Delete a bundle; one that is not there is fine."""
        await self._sealed.remove(digest)
        self._files.pop(digest, None)
        self.damaged.pop(digest, None)
        if not self._users.get(digest) and digest in self._sizes:
            self._forget(digest)
            await asyncio.to_thread(shutil.rmtree, self._unpacked / digest, ignore_errors=True)
        if digest not in self._sizes:
            self._known.pop(digest, None)

    async def load(self, used: set[str], unused_since: float) -> dict[str, int]:
        """Seal what an earlier release left in clear, and delete what no version refers to.

        What was uploaded after `unused_since` (Unix time) is kept, as its deploy may be under way,
        and returned: digests and bytes. Raises UnavailableError if the disk is full; then nothing
        is lost, and the next call goes on.
        """
        for folder in self._in_clear:
            await self._convert(folder, used)
        return await self._sealed.load(used, unused_since)

    async def _convert(self, folder: Path, used: set[str]) -> None:
        if folder.name in used:
            key = await self._keys(None)
            try:
                await self._seal_folder(folder, key)
            except ArchiveError as error:
                # A live version needs it: what cannot be read here may still be of use to somebody.
                _log.error("the bundle %s stays as it was, in clear: %s", folder.name, error)
                return
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _seal_folder(self, folder: Path, key: DataKey) -> None:
        with tempfile.NamedTemporaryFile(dir=self._unpacked) as archive:
            # Written once and read when the node starts anew: nobody sends it.
            await asyncio.to_thread(pack, folder, archive, level=QUICK_LEVEL)  # type: ignore[arg-type]
            archive.flush()
            await self._seal(folder.name, Path(archive.name), key)

    async def rekey(self) -> None:
        """Seal every bundle with the newest key."""
        key = await self._keys(None)
        for digest in sorted(await self._sealed.kept()):
            await self._rekey_one(digest, key)

    async def _rekey_one(self, digest: str, key: DataKey) -> None:
        with await self._sealed.open(digest) as stream:
            version = _KEY_VERSION.unpack(stream.read(_KEY_VERSION.size))[0]
            if version == key.version:
                return
            old = await self._keys(version)
            with tempfile.NamedTemporaryFile(dir=self._unpacked) as archive:
                await asyncio.to_thread(decrypt_stream, old.key, _context(digest), stream, archive)
                archive.flush()
                await self._seal(digest, Path(archive.name), key)


class _Nowhere:
    """Takes what is written and forgets it."""

    def write(self, data: bytes, /) -> int:
        """Take all of it."""
        return len(data)


def _context(digest: str) -> bytes:
    return b"casemate bundle " + digest.encode()
