"""Making a backup of a node that goes on serving.

Everything in it is ciphertext already: store, records and data as their databases hold them,
objects, sealed bundles, the vault's files. The master key is not in it. The copies lie in the
spool until the last byte is sent; the archive itself is never on the disk.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from casemate.backup.archive import (
    END,
    FOLDERS,
    FORMAT,
    JOURNAL,
    MANIFEST,
    RECORDS,
    STORE,
    Entry,
    Manifest,
    Signed,
    archive_bytes,
    encode,
    header,
    padding,
    require_valid,
)
from casemate.backup.parts import parts_of, statement
from casemate.folder.folders import Folders
from casemate.kernel.placing import link_or_copy
from casemate.model.errors import UnavailableError
from casemate.sqlite.errors import DatabaseError
from casemate.unwritten import Place
from casemate.vault.interface import Vault

PREFIX = "backup-"
"""How the folders of backups in the spool are called."""
_PIECE = 1024 * 1024
_SEALED = "*.sealed"


class Copied(Protocol):
    """What is kept in files, as by the adapters on SQLite. Other backends are not copied so."""

    async def snapshot(self, target: Path, /) -> None:
        """Copy everything to `target`, each part as it is at one moment.

        That is a new file of the store and of the records, new files in the journal's folder,
        and the data's folder.
        """
        ...


class BackupMaker:
    """Makes backups of one node."""

    def __init__(
        self,
        folders: Folders,
        *,
        store: Copied,
        records: Copied,
        journal: Copied,
        data: Copied,
        vault: Vault,
        version: str,
        node: str,
    ) -> None:
        """`version` is that of this Casemate, `node` the name of the node."""
        self._folders = folders
        self._written = Place("spool", folders.spool)
        self._left: set[Path] = set()
        """Copies that are to go."""
        self._store = store
        self._records = records
        self._journal = journal
        self._data = data
        self._vault = vault
        self._version = version
        self._node = node

    async def prepare(self) -> PreparedBackup:
        """Copy everything into the spool, on its way to be sent.

        Raises UnavailableError if the disk is full, and what store, data and vault raise.
        """
        spool = self._folders.spool
        try:
            with self._written.noting():
                staging = Path(await asyncio.to_thread(tempfile.mkdtemp, None, PREFIX, spool))
        except OSError as error:
            raise _unavailable(error) from error
        try:
            with self._written.writing():
                manifest = await self._fill(staging)
        except OSError as error:
            await self._remove(staging)
            raise _unavailable(error) from error
        except DatabaseError as error:
            # What is copied or what it is copied to: a trial of the spool tells of that.
            self._written.failed(error.message, certain=False)
            await asyncio.shield(self._remove(staging))
            if isinstance(error.__cause__, OSError):
                raise _unavailable(error.__cause__) from error
            raise
        except BaseException:
            await asyncio.shield(self._remove(staging))
            raise
        return PreparedBackup(staging, manifest, self._remove)

    async def _remove(self, staging: Path) -> None:
        """Remove copies, and those that the disk did not let go before: each is a whole node."""
        self._left.add(staging)
        for each in tuple(self._left):
            await asyncio.to_thread(shutil.rmtree, each, ignore_errors=True)
            if not await asyncio.to_thread(each.exists):
                self._left.discard(each)

    async def _fill(self, staging: Path) -> Manifest:
        for name in FOLDERS:
            (staging / name).mkdir(mode=0o700)
        (staging / RECORDS).parent.mkdir(mode=0o700)
        # Before and after the store: one removed meanwhile is still named by the copy, and so is
        # one that was deployed just before it.
        await asyncio.to_thread(self._link_bundles, staging / "bundles")
        await self._store.snapshot(staging / STORE)
        # After the store: what it still had of older records is then in one of the two.
        await self._records.snapshot(staging / RECORDS)
        await self._data.snapshot(staging / "data")
        # After what it tells of: it is never behind that.
        await self._journal.snapshot(staging / JOURNAL)
        await asyncio.to_thread(self._link_bundles, staging / "bundles")
        number = await self._vault.next_backup()
        # Last, so that it has every key that the copies before it were encrypted with.
        sealed = await self._vault.export()
        await asyncio.to_thread(_write_all, staging / "vault", sealed)
        about = Signed(number=number, node=self._node, parts=(), signature=b"")
        manifest, signed = await asyncio.to_thread(_describe, staging, self._version, about)
        signature = await self._vault.sign_backup(number, statement(manifest))
        return replace(manifest, signed=replace(signed, signature=signature))

    def _link_bundles(self, target: Path) -> None:
        """Link where the disk can: a sealed file is replaced as a whole, never changed."""
        for file in sorted(self._folders.bundles.glob(_SEALED)):
            try:
                link_or_copy(file, target / file.name)
            except (FileExistsError, FileNotFoundError):
                continue  # linked before, or removed just now


class PreparedBackup:
    """A backup in the spool: `size` bytes that `pieces` gives once. `close` it in any case."""

    def __init__(
        self, staging: Path, manifest: Manifest, remove: Callable[[Path], Awaitable[None]]
    ) -> None:
        """Use `BackupMaker.prepare`."""
        self._staging = staging
        self._remove = remove
        self.manifest = manifest
        self.size = archive_bytes(manifest)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the archive. Raises UnavailableError if a copy cannot be read any more."""
        text = encode(self.manifest)
        yield header(MANIFEST, len(text)) + text + padding(len(text))
        for entry in self.manifest.files:
            yield header(entry.name, entry.size)
            left = entry.size
            try:
                file = await asyncio.to_thread((self._staging / entry.name).open, "rb")
                with file:
                    while left:
                        piece = await asyncio.to_thread(file.read, min(left, _PIECE))
                        if not piece:
                            raise _shorter(entry)
                        left -= len(piece)
                        yield piece
            except OSError as error:
                raise _unavailable(error) from error
            yield padding(entry.size)
        yield END

    async def close(self) -> None:
        """Remove the copies from the spool."""
        await asyncio.shield(self._remove(self._staging))


def _write_all(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def _describe(staging: Path, version: str, about: Signed) -> tuple[Manifest, Signed]:
    """Return what the manifest says of the files, and that without its signature."""
    entries = []
    for path in sorted(staging.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        entry = Entry(name=path.relative_to(staging).as_posix(), size=size, sha256=digest)
        header(entry.name, entry.size)
        entries.append(entry)
    signed = replace(about, parts=parts_of(entries))
    manifest = Manifest(
        format=FORMAT,
        created_at=time.time(),
        version=version,
        files=tuple(entries),
        signed=signed,
    )
    require_valid(manifest)
    return manifest, signed


def _shorter(entry: Entry) -> UnavailableError:
    return UnavailableError(
        f"{entry.name} became shorter while it was sent.", next_step="Make the backup again."
    )


def _unavailable(error: OSError) -> UnavailableError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return UnavailableError(
        f"The backup cannot be made: {error.strerror}.",
        next_step="Make room on the node's disk: a backup needs as much as store and data have."
        if full
        else "Look at the disk and the kernel's log; `casemate check` reads all that is kept.",
    )
