"""Archives under hold: files that no retention looks at, each under the node's key.

What is on record of an invocation is deleted by age and quota; what was put into an archive stays
until somebody ends the hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import itertools
import logging
import os
import re
from collections.abc import AsyncIterator, Callable, Container, Coroutine, Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from casemate.blobs.folder import PASSING
from casemate.kernel.durability import sync_folder
from casemate.model.errors import (
    CasemateError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from casemate.operations.evidence import EvidenceView
from casemate.store.errors import StoreCommitUnsureError
from casemate.store.interface import Store
from casemate.store.parts import Parts
from casemate.unwritten import Place
from casemate.vault import decrypted_chunks, encrypt_stream, envelope
from casemate.vault.errors import DecryptionError
from casemate.vault.interface import Purpose, Vault

MAX_KEPT = 64
"""Archives of a node."""
ASK_ANOTHER = "CASEMATE_URL"
"""The variable by which commands are told whom to ask."""
_MAGIC = b"CSMEVI2\n"
_VERSION_BYTES = 4
_PIECE_CHUNKS = 8
"""Of 64 KiB, that are read in one go and are in memory at a time."""
_NAME = re.compile(r"evi_[0-9a-f]{16}\Z")
_FILE = re.compile(r"(evi_[0-9a-f]{16})\.(sealed|writing)\Z")
_log = logging.getLogger(__name__)


class DamagedEvidenceError(UnavailableError):
    """An archive is not as it was kept."""


def _none(id: str) -> NotFoundError:
    return NotFoundError(
        f"There is no evidence {id[:64]}.",
        next_step="See what there is of an incident: casemate incident evidence INCIDENT --ls",
    )


class Evidences:
    """One per gateway. Belongs to its event loop."""

    def __init__(self, folder: Path, store: Store, vault: Vault, *, node: str = "") -> None:
        """Keep archives in `folder`; which there are, and on which node, stands in `store`."""
        self._node = node
        self._folder = folder
        self._written = Place("evidence", folder)
        self._vault = vault
        self._known = Parts(store, "evidence", EvidenceView, lambda one: one.id, parts=4)
        self.turn = asyncio.Lock()
        """Held by who gathers: one at a time."""

    async def load(self) -> None:
        """Read which there are, and delete files of those that were not kept to the end.

        Raises StoreError.
        """
        await self._known.load()
        await asyncio.to_thread(self._clean)

    async def reload(self) -> None:
        """Read which there are, at any time. Raises StoreError."""
        await self._known.load()

    def _clean(self) -> None:
        """Delete what a node that was killed left: nobody was told of it, and no bound counts it.

        A file is written before it is known, and deleted before it is forgotten.
        """
        with contextlib.suppress(FileNotFoundError):
            for each in list(self._folder.iterdir()):
                found = _FILE.match(each.name)
                if found is None or (found[2] == "sealed" and found[1] in self._known.held):
                    continue
                try:
                    each.unlink()
                except OSError as error:
                    _log.error("%s is left over and stays: %s", each.name, error.strerror)

    def of(self, names: Container[str]) -> tuple[EvidenceView, ...]:
        """Return those of an incident by the names that it has and had, the newest first."""
        found = [one for one in self._known.held.values() if one.incident in names]
        return tuple(sorted(found, key=lambda one: one.at, reverse=True))

    def all(self) -> tuple[EvidenceView, ...]:
        """Return all, in no order."""
        return tuple(self._known.held.values())

    def one(self, id: str) -> EvidenceView:
        """Return one. Raises NotFoundError."""
        found = self._known.held.get(id)
        if found is None:
            raise _none(id)
        return found

    def require_room(self) -> None:
        """Raise ConflictError if no more are kept."""
        if len(self._known.held) >= MAX_KEPT:
            raise ConflictError(
                f"{MAX_KEPT} archives of evidence are kept already, which is the most.",
                next_step="Export one, and end its hold: casemate incident evidence ID --release "
                "REASON",
            )

    async def keep(self, view: EvidenceView, data: bytes) -> None:
        """Keep an archive from now on. Raises ConflictError, UnavailableError."""
        self.require_room()
        key = await self._vault.data_key("", Purpose.RECORDINGS)
        about = envelope.context("evidence", view.id, view.sha256, key.version)
        head = _MAGIC + key.version.to_bytes(_VERSION_BYTES, "big")
        try:
            with self._written.writing():
                await asyncio.to_thread(_write, self._path(view.id), head, key.key, about, data)
        except OSError as error:
            raise UnavailableError(f"Evidence cannot be kept: {error.strerror}.") from error
        try:
            await self._known.put(replace(view, node=self._node))
        except CasemateError as error:
            # Where it is not known whether it is kept, its file has to stay.
            if not isinstance(error, StoreCommitUnsureError):
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(self._path(view.id).unlink)
            raise

    @contextlib.asynccontextmanager
    async def opened(self, id: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give an archive as it was kept, piece by piece, within the block.

        It is looked at whole before, so that one that was changed is never begun to be sent.
        Raises NotFoundError, ConflictError for one of another node, DamagedEvidenceError.
        """
        view = self._here(id)
        with contextlib.ExitStack() as held:
            try:
                file = held.enter_context(await asyncio.to_thread(_open, self._path(id)))
                version = await asyncio.to_thread(_key_version, file)
                key = (await self._vault.data_key("", Purpose.RECORDINGS, version)).key
                about = envelope.context("evidence", id, view.sha256, version)
                digest = await asyncio.to_thread(_digest, file, key, about)
            except (OSError, DecryptionError, NotFoundError) as error:
                raise _damaged(id, error) from error
            if digest != view.sha256:
                raise DamagedEvidenceError(f"The evidence {id} was changed.")
            yield _pieces(_content(file, key, about))

    def checked(self, pace: Callable[[int], None]) -> Coroutine[None, None, tuple[str, ...]] | None:
        """Read each archive that this node keeps, and say what is wrong; None: there are none.

        `pace` is told how many bytes were read, on a thread. Raises ConflictError, VaultError.
        """
        return self._damaged(pace) if self._known.held else None

    async def _damaged(self, pace: Callable[[int], None]) -> tuple[str, ...]:
        found: list[str] = []
        for view in [one for one in self.all() if one.node in ("", self._node)]:
            try:
                async with self.opened(view.id):
                    pass
            except NotFoundError:
                continue  # its hold was ended meanwhile
            except DamagedEvidenceError as error:
                if view.id in self._known.held:
                    found.append(f"{error.message} It is of {view.incident}.")
            await asyncio.to_thread(pace, view.size)
        return tuple(found)

    async def drop(self, id: str) -> None:
        """End the hold. Raises NotFoundError, ConflictError for one of another node,
        UnavailableError.
        """
        self._here(id)
        try:
            with contextlib.suppress(FileNotFoundError):
                await asyncio.to_thread(self._path(id).unlink)
        except OSError as error:
            raise UnavailableError(f"{id} cannot be deleted: {error.strerror}.") from error
        # Last: what is cut short is known still, and can be asked again.
        await self._known.drop((id,))

    def _here(self, id: str) -> EvidenceView:
        view = self.one(id)
        if view.node not in ("", self._node):
            raise ConflictError(
                f"The evidence {id} is kept by the node {view.node}.",
                next_step="Ask that one; `casemate nodes ls` shows its address, for "
                f"{ASK_ANOTHER}.",
            )
        return view

    def _path(self, id: str) -> Path:
        if _NAME.match(id) is None:
            raise _none(id)
        return self._folder / f"{id}.sealed"


def _damaged(id: str, error: OSError | DecryptionError | NotFoundError) -> DamagedEvidenceError:
    """Return what is told of an archive that cannot be given; a disk may read it the next time."""
    if isinstance(error, OSError) and error.errno in PASSING:
        return DamagedEvidenceError(
            f"The evidence {id} cannot be read now: {error.strerror}.",
            next_step="Check the disk and the kernel's log; then try again.",
        )
    return DamagedEvidenceError(f"The evidence {id} is lost, or was changed.")


def _write(path: Path, head: bytes, key: bytes, about: bytes, data: bytes) -> None:
    """Write a file whole and durably, or not at all. Raises OSError."""
    passing = path.with_suffix(".writing")
    descriptor = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(head)
            encrypt_stream(key, about, io.BytesIO(data), file)
            file.flush()
            os.fsync(file.fileno())
        passing.rename(path)
        sync_folder(path.parent)
    except OSError:
        for each in (passing, path):
            with contextlib.suppress(OSError):
                each.unlink()
        raise


def _open(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def _key_version(file: BinaryIO) -> int:
    """Return by which key a file is sealed. Raises DecryptionError, OSError."""
    head = file.read(len(_MAGIC) + _VERSION_BYTES)
    if not head.startswith(_MAGIC):
        raise DecryptionError
    return int.from_bytes(head[len(_MAGIC) :], "big")


def _content(file: BinaryIO, key: bytes, about: bytes) -> Iterator[bytes]:
    """Give what is in a file. Raises DecryptionError, OSError."""
    file.seek(len(_MAGIC) + _VERSION_BYTES)
    yield from decrypted_chunks(key, about, file)


def _digest(file: BinaryIO, key: bytes, about: bytes) -> str:
    digest = hashlib.sha256()
    for chunk in _content(file, key, about):
        digest.update(chunk)
    return digest.hexdigest()


async def _pieces(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(_some, chunks):
        yield piece


def _some(chunks: Iterator[bytes]) -> bytes:
    return b"".join(itertools.islice(chunks, _PIECE_CHUNKS))
