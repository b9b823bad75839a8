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


def bundle_archive(made: Path, code: bytes, *, tiny: tuple[int, int] = (0, 0)) -> tuple[str, Path]:
    """Return digest and archive of a bundle whose handler is `code`, made in a folder.

    With `tiny` it has so many files of one byte as well, below a folder of that number.
    """
    number, count = tiny
    contents = {"code/app.py": code}
    contents |= {f"deps/{number}/{file:05d}.py": b"x" for file in range(count)}
    files = tuple(
        BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in contents.items()
    )
    manifest = BundleManifest(project="t", function=spec(), lock_sha256=None, files=files)
    folder = made / manifest.digest()
    for path, data in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "bundle.json").write_bytes(manifest.canonical())
    archive = made / f"{manifest.digest()}.tar.gz"
    with archive.open("wb") as stream:
        pack(folder, stream)
    return manifest.digest(), archive
