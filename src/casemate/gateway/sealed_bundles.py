"""Where the sealed files of bundles are: the port, and the folder of a node.

A sealed file is an archive encrypted with the key of bundles, under its digest: what is changed,
cut, or another bundle's does not open, wherever it was kept. All methods run on the event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from casemate.gateway.intact import Stamp, stamp_of
from casemate.kernel.durability import sync_folder
from casemate.kernel.volume import beside_reserve
from casemate.model.errors import UnavailableError
from casemate.unwritten import Place

SUFFIX = ".sealed"
Fill = Callable[[BinaryIO], None]
"""Writes a sealed file, on a thread."""


class SealedBundles(Protocol):
    """Sealed files by digest."""

    async def is_kept(self, digest: str) -> bool:
        """Tell whether there is one."""
        ...

    async def kept(self) -> set[str]:
        """Return the digests of all. Raises OSError, CasemateError."""
        ...

    async def open(self, digest: str) -> BinaryIO:
        """Return one to read. Raises FileNotFoundError, OSError, UnavailableError."""
        ...

    async def suspect(self, digest: str) -> bool:
        """One that was opened was not whole: return True if another copy is to be had now."""
        ...

    async def write(self, digest: str, fill: Fill) -> None:
        """Write one, durably, whole or not at all. Raises UnavailableError."""
        ...

    def room(self) -> int:
        """Return how many bytes are free beside the reserve of the volume they are written to."""
        ...

    def stamp(self, digest: str) -> Stamp | None:
        """Return what the disk says of one, None if it is not there. Asks nothing else."""
        ...

    async def remove(self, digest: str) -> None:
        """Delete one; one that is not there is fine."""
        ...

    async def load(self, used: set[str], unused_since: float) -> dict[str, int]:
        """Delete what is not `used`, but for what was written after `unused_since` (Unix time).

        Returns that: digests and bytes.
        """
        ...


class SealedFolder:
    """The sealed files of one node, in a folder of its own."""

    def __init__(self, path: Path) -> None:
        """Use a folder that is there."""
        self.path = path
        self._written = Place("bundles", path)

    def file(self, digest: str) -> Path:
        """Return where one is."""
        return self.path / f"{digest}{SUFFIX}"

    async def is_kept(self, digest: str) -> bool:
        """Tell whether there is one."""
        return await asyncio.to_thread(self.file(digest).is_file)

    async def kept(self) -> set[str]:
        """Return the digests of all. Raises OSError."""
        return await asyncio.to_thread(self._kept)

    def _kept(self) -> set[str]:
        return {file.stem for file in self.path.glob(f"*{SUFFIX}")}

    async def open(self, digest: str) -> BinaryIO:
        """Return one to read. Raises FileNotFoundError, OSError."""
        return await asyncio.to_thread(self.file(digest).open, "rb")

    async def suspect(self, _digest: str) -> bool:
        """There is no other copy."""
        return False

    async def write(self, digest: str, fill: Fill) -> None:
        """Write one whole or not at all. Raises UnavailableError."""
        await asyncio.to_thread(self.write_now, digest, fill)

    def write_now(self, digest: str, fill: Fill) -> None:
        """Write one, and wait for it. Raises UnavailableError, and what `fill` does."""
        draft = self.path / f".{digest}.new"
        try:
            with self._written.writing():
                with draft.open("wb") as target:
                    fill(target)
                    target.flush()
                    os.fsync(target.fileno())
                draft.rename(self.file(digest))
                sync_folder(self.path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise UnavailableError(
                f"The bundle cannot be kept: {error.strerror}.",
                next_step="Make room on the node's disk, then deploy again.",
            ) from error

    def room(self) -> int:
        """Return how many bytes are free beside the reserve. Raises OSError."""
        return beside_reserve(self.path)

    def stamp(self, digest: str) -> Stamp | None:
        """Return what the disk says of one, None if it is not there."""
        return stamp_of(self.file(digest))

    async def remove(self, digest: str) -> None:
        """Delete one; one that is not there is fine."""
        self.file(digest).unlink(missing_ok=True)

    async def load(self, used: set[str], unused_since: float) -> dict[str, int]:
        """See SealedBundles; folders are left alone."""
        waiting: dict[str, int] = {}
        for entry in sorted(self.path.iterdir()):
            if entry.is_dir():
                continue
            if entry.suffix != SUFFIX or (
                entry.stem not in used and entry.stat().st_mtime < unused_since
            ):
                entry.unlink()
            elif entry.stem not in used:
                waiting[entry.stem] = entry.stat().st_size
        return waiting

    def in_clear(self) -> list[Path]:
        """Return the folders that an earlier release left."""
        return [entry for entry in sorted(self.path.iterdir()) if entry.is_dir()]
