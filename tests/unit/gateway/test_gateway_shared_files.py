"""Equal dependencies of a project are in memory once; nothing else is shared with anybody."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from casemate.build import pack
from casemate.gateway.bundles import BundleStore
from casemate.gateway.intact import taken
from casemate.gateway.sealed_bundles import SealedFolder
from casemate.gateway.shared_files import SharedFiles
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.vault.interface import DataKey
from support.core import spec

LOCK, OTHER_LOCK = "1" * 64, "2" * 64
LIBRARY = b"x = 1\n" * 1000


class Place:
    def __init__(self, root: Path, capacity: int = 1 << 20) -> None:
        self.unpacked, self.made = root / "memory", root / "made"
        self.capacity = capacity
        for folder in (root / "sealed", self.unpacked, self.made):
            folder.mkdir()
        self.store = BundleStore(
            SealedFolder(root / "sealed"), self.unpacked, self.key, capacity=capacity, share=True
        )

    async def key(self, version: int | None) -> DataKey:
        return DataKey(version=1, key=b"k" * 32)

    async def put(
        self,
        code: bytes,
        *,
        project: str = "t",
        lock: str | None = LOCK,
        library: bytes = LIBRARY,
        python: str = "3.11",
    ) -> str:
        """Keep a bundle; return its digest."""
        contents = {"code/app.py": code, "code/lib.py": LIBRARY, "deps/lib.py": library}
        files = tuple(
            BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in sorted(contents.items())
        )
        manifest = BundleManifest(
            project=project, function=spec(python=python), lock_sha256=lock, files=files
        )
        folder = self.made / manifest.digest()
        for path, data in contents.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        (folder / "bundle.json").write_bytes(manifest.canonical())
        archive = self.made / f"{manifest.digest()}.tar.gz"
        with archive.open("wb") as stream:
            pack(folder, stream)
        await self.store.put(manifest.digest(), archive)
        return manifest.digest()

    def inode(self, digest: str, path: str = "deps/lib.py") -> int:
        return (self.unpacked / digest / path).stat().st_ino


def run(root: Path, scene: Callable[[Place], Awaitable[None]], capacity: int = 1 << 20) -> None:
    async def play() -> None:
        await scene(Place(root, capacity))

    asyncio.run(play())


def test_equal_dependencies_of_a_project_are_the_same_files(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        one, two = await place.put(b"a = 1"), await place.put(b"a = 2")
        assert place.inode(one) != place.inode(two)
        whole = place.store.size(one)
        await place.store.acquire(one)
        await place.store.acquire(two)
        assert place.inode(one) == place.inode(two)
        # Equal as it may be, code is each one's own.
        assert place.inode(one, "code/lib.py") != place.inode(two, "code/lib.py")
        assert place.store.size(one) == place.store.size(two) == whole - taken(len(LIBRARY)) // 2
        assert (place.unpacked / two / "code/app.py").read_bytes() == b"a = 2"
        assert (place.unpacked / two / "deps/lib.py").read_bytes() == LIBRARY
        assert sorted(p.name for p in (place.unpacked / two).iterdir()) == [
            "bundle.json",
            "code",
            "deps",
        ]

    run(tmp_path, scene)


@pytest.mark.parametrize(
    "other", [{"project": "u"}, {"lock": OTHER_LOCK}, {"lock": None}, {"python": "3.12"}]
)
def test_never_across_projects_or_what_differs(tmp_path: Path, other: dict[str, str]) -> None:
    async def scene(place: Place) -> None:
        one, two = await place.put(b"a = 1"), await place.put(b"a = 2", **other)
        await place.store.acquire(one)
        await place.store.acquire(two)
        assert place.inode(one) != place.inode(two)

    run(tmp_path, scene)


def test_a_lock_is_only_a_claim_the_content_decides(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        one = await place.put(b"a = 1")
        two = await place.put(b"a = 2", library=b"import os\n" * 600)
        await place.store.acquire(one)
        await place.store.acquire(two)
        assert place.inode(one) != place.inode(two)
        assert (place.unpacked / one / "deps/lib.py").read_bytes() == LIBRARY
        assert place.store.size(one) > taken(len(LIBRARY)) * 2  # nothing is taken to be shared

    run(tmp_path, scene)


def test_a_bundle_that_is_only_brought_shares_nothing(tmp_path: Path) -> None:
    """How long that takes would tell who brings it what a project has."""

    async def scene(place: Place) -> None:
        one = await place.put(b"a = 1")
        await place.store.acquire(one)
        two = await place.put(b"a = 2")
        await place.store.manifest(two)
        assert place.inode(one) != place.inode(two)

    run(tmp_path, scene)


def test_what_is_in_use_is_never_changed(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        one, two = await place.put(b"a = 1"), await place.put(b"a = 2")
        await place.store.acquire(one)
        before = place.inode(one)
        await asyncio.gather(*(place.store.acquire(two) for _ in range(5)))
        after = place.inode(two)
        assert before == after == place.inode(one)
        place.store.release(two)
        await place.store.acquire(two)
        assert place.inode(two) == after

    run(tmp_path, scene)


def test_files_outlive_the_bundle_that_brought_them(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        one, two = await place.put(b"a = 1"), await place.put(b"a = 2")
        for digest in (one, two):
            await place.store.acquire(digest)
        whole = place.store.size(two) + taken(len(LIBRARY)) // 2
        place.store.release(one)
        await place.store.remove(one)
        assert (place.unpacked / two / "deps/lib.py").read_bytes() == LIBRARY
        assert place.store.size(two) == whole and place.store.size(one) == 0
        three = await place.put(b"a = 3")
        await place.store.acquire(three)
        assert place.inode(two) == place.inode(three)

    run(tmp_path, scene)


def test_room_is_counted_by_what_is_there(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        digests = []
        for number in range(2):
            digests.append(await place.put(f"a = {number}".encode()))
            await place.store.acquire(digests[-1])
        sizes = [place.store.size(digest) for digest in digests]
        assert sum(sizes) < place.capacity < sum(sizes) + taken(len(LIBRARY))
        for digest in digests:
            place.store.release(digest)
        assert all((place.unpacked / digest).exists() for digest in digests)

    run(tmp_path, scene, capacity=125_000)


def test_one_that_vanishes_meanwhile_leaves_a_copy(tmp_path: Path, monkeypatch) -> None:
    async def scene(place: Place) -> None:
        one, two = await place.put(b"a = 1"), await place.put(b"a = 2")
        await place.store.acquire(one)

        def gone(*_: object, **__: object) -> None:
            raise FileNotFoundError

        monkeypatch.setattr(os, "link", gone)
        await place.store.acquire(two)
        assert (place.unpacked / two / "deps/lib.py").read_bytes() == LIBRARY
        assert place.inode(one) != place.inode(two)
        assert place.store.size(one) > 2 * taken(len(LIBRARY))

    run(tmp_path, scene)


def test_a_damaged_bundle_shares_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    shared = SharedFiles(tmp_path)
    for text in (b"", b"{", b"\xff", b"[" * 100_000):
        (folder / "bundle.json").write_bytes(text)
        assert shared.link("d") is None
    assert shared.link("missing") is None
    shared.joined("d", None)
    shared.left("d")
    assert shared.saved("d") == 0


def test_without_inodes_of_their_own_nothing_is_shared(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        one, two = await place.put(b"a = 1"), await place.put(b"a = 2")
        sealed = tmp_path / "sealed"
        store = BundleStore(SealedFolder(sealed), place.unpacked, place.key, capacity=1 << 20)
        await store.acquire(one)
        await store.acquire(two)
        assert place.inode(one) != place.inode(two)

    run(tmp_path, scene)
