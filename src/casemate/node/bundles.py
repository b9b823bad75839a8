"""The bundles on a node's disk."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec

from casemate.build import unpack
from casemate.model.bundle import BundleManifest
from casemate.model.errors import NotFoundError

_UNUSED_SECONDS = 24 * 3600.0


class BundleFolder:
    """Bundles by digest. The methods block; call them from a worker thread."""

    def __init__(self, path: Path) -> None:
        """Keep bundles in `path`."""
        self._path = path

    def has(self, digest: str) -> bool:
        """Tell whether a bundle is there."""
        return (self._path / digest / "bundle.json").is_file()

    def put(self, digest: str, archive: Path) -> BundleManifest:
        """Unpack an archive. Raises ArchiveError if it is not exactly that bundle."""
        with archive.open("rb") as stream:
            return unpack(stream, self._path / digest, digest)

    def manifest(self, digest: str) -> BundleManifest:
        """Return a bundle's manifest. Raises NotFoundError."""
        try:
            data = (self._path / digest / "bundle.json").read_bytes()
        except OSError as error:
            raise NotFoundError(
                f"This node has no bundle {digest}.", next_step="upload it, or run casemate deploy"
            ) from error
        damaged = NotFoundError(
            f"The bundle {digest} on this node is damaged.", next_step="upload it again"
        )
        try:
            manifest = msgspec.json.decode(data, type=BundleManifest)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise damaged from error
        if manifest.digest() != digest:
            raise damaged
        return manifest

    def remove(self, digest: str) -> None:
        """Delete a bundle; one that is not there is fine."""
        shutil.rmtree(self._path / digest, ignore_errors=True)

    def remove_unused(self, used: set[str]) -> None:
        """Delete bundles that no version refers to and that were not uploaded just now."""
        for folder in self._path.iterdir():
            if folder.name not in used and time.time() - folder.stat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
