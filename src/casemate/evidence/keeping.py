"""Archives under hold: files that no retention looks at, each under the node's key.

What is on record of an invocation is deleted by age and quota; what was put into an archive stays
until somebody ends the hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
from pathlib import Path

from casemate.evidence.archive import MAX_BYTES
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
from casemate.vault import envelope
from casemate.vault.errors import DecryptionError
from casemate.vault.interface import Purpose, Vault

MAX_KEPT = 64
"""Archives of a node."""
_MAGIC = b"CSMEVI1\n"
_VERSION_BYTES = 4
_MOST = 2 * MAX_BYTES
_NAME = re.compile(r"evi_[0-9a-f]{16}\Z")


class DamagedEvidenceError(UnavailableError):
    """An archive is not as it was kept."""


class Evidences:
    """One per gateway. Belongs to its event loop."""

    def __init__(self, folder: Path, store: Store, vault: Vault) -> None:
        """Keep archives in `folder`; which there are stands in `store`."""
        self._folder = folder
        self._vault = vault
        self._known = Parts(store, "evidence", EvidenceView, lambda one: one.id, parts=4)
        self.turn = asyncio.Lock()
        """Held by who gathers: one at a time."""

    async def load(self) -> None:
        """Read which there are. Raises StoreError."""
        await self._known.load()

    def of(self, incident: str) -> tuple[EvidenceView, ...]:
        """Return those of an incident, the newest first."""
        found = [one for one in self._known.held.values() if one.incident == incident]
        return tuple(sorted(found, key=lambda one: one.at, reverse=True))

    def one(self, id: str) -> EvidenceView:
        """Return one. Raises NotFoundError."""
        found = self._known.held.get(id)
        if found is None:
            raise NotFoundError(f"There is no evidence {id[:64]}.")
        return found

    def require_room(self) -> None:
        """Raise ConflictError if no more are kept."""
        if len(self._known.held) >= MAX_KEPT:
            raise ConflictError(
                f"{MAX_KEPT} archives of evidence are kept already, which is the most.",
                next_step="Export one, and end its hold: casemate incident evidence ID --release",
            )

    async def keep(self, view: EvidenceView, data: bytes) -> None:
        """Keep an archive from now on. Raises ConflictError, UnavailableError."""
        self.require_room()
        key = await self._vault.data_key("", Purpose.RECORDINGS)
        about = envelope.context("evidence", view.id, view.sha256, key.version)
        sealed = await asyncio.to_thread(envelope.encrypt, key.key, data, about)
        body = _MAGIC + key.version.to_bytes(_VERSION_BYTES, "big") + sealed
        try:
            await asyncio.to_thread(_write, self._path(view.id), body)
        except OSError as error:
            raise UnavailableError(f"Evidence cannot be kept: {error.strerror}.") from error
        try:
            await self._known.put(view)
        except CasemateError as error:
            # Where it is not known whether it is kept, its file has to stay.
            if not isinstance(error, StoreCommitUnsureError):
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(self._path(view.id).unlink)
            raise

    async def read(self, id: str) -> bytes:
        """Return an archive as it was kept. Raises NotFoundError, DamagedEvidenceError."""
        view = self.one(id)
        start = len(_MAGIC) + _VERSION_BYTES
        try:
            body = await asyncio.to_thread(_read, self._path(id))
            if not body.startswith(_MAGIC):
                raise DecryptionError
            version = int.from_bytes(body[len(_MAGIC) : start], "big")
            key = await self._vault.data_key("", Purpose.RECORDINGS, version)
            about = envelope.context("evidence", id, view.sha256, key.version)
            data, digest = await asyncio.to_thread(_opened, key.key, body[start:], about)
        except (OSError, DecryptionError, NotFoundError) as error:
            raise DamagedEvidenceError(f"The evidence {id} is lost, or was changed.") from error
        if digest != view.sha256:
            raise DamagedEvidenceError(f"The evidence {id} was changed.")
        return data

    async def drop(self, id: str) -> None:
        """End the hold. Raises NotFoundError, UnavailableError."""
        self.one(id)
        try:
            with contextlib.suppress(FileNotFoundError):
                await asyncio.to_thread(self._path(id).unlink)
        except OSError as error:
            raise UnavailableError(f"{id} cannot be deleted: {error.strerror}.") from error
        # Last: what is cut short is known still, and can be asked again.
        await self._known.drop((id,))

    def _path(self, id: str) -> Path:
        if _NAME.match(id) is None:
            raise NotFoundError(f"There is no evidence {id[:64]}.")
        return self._folder / f"{id}.sealed"


def _write(path: Path, data: bytes) -> None:
    """Write a file whole and durably, or not at all. Raises OSError."""
    passing = path.with_suffix(".writing")
    descriptor = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        passing.rename(path)
        sync_folder(path.parent)
    except OSError:
        for each in (passing, path):
            with contextlib.suppress(OSError):
                each.unlink()
        raise


def _opened(key: bytes, sealed: bytes, about: bytes) -> tuple[bytes, str]:
    data = envelope.decrypt(key, sealed, about)
    return data, hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read(_MOST + 1)
