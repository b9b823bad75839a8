"""Archives of bundles, and the keys that they are sealed with."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from casemate.build import pack
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.errors import NotFoundError
from casemate.vault.interface import DataKey
from support.core import spec


class Keys:
    """Data keys by version; the newest is made by `rotate`."""

    def __init__(self) -> None:
        self.versions = {1: os.urandom(32)}

    async def __call__(self, version: int | None) -> DataKey:
        wanted = max(self.versions) if version is None else version
        if wanted not in self.versions:
            raise NotFoundError("no such key")
        return DataKey(version=wanted, key=self.versions[wanted])

    def rotate(self) -> None:
        self.versions[max(self.versions) + 1] = os.urandom(32)


def bundle_archive(made: Path, code: bytes) -> tuple[str, Path]:
    """Return digest and archive of a bundle whose handler is `code`, made in a folder."""
    file = BundleFile(path="code/app.py", size=len(code), sha256=hashlib.sha256(code).hexdigest())
    manifest = BundleManifest(project="t", function=spec(), lock_sha256=None, files=(file,))
    folder = made / manifest.digest()
    (folder / "code").mkdir(parents=True, exist_ok=True)
    (folder / "code" / "app.py").write_bytes(code)
    (folder / "bundle.json").write_bytes(manifest.canonical())
    archive = made / f"{manifest.digest()}.tar.gz"
    with archive.open("wb") as stream:
        pack(folder, stream)
    return manifest.digest(), archive
