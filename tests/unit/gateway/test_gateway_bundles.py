"""Bundles at rest are sealed; in memory they are there while they are used, and whole."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

import pytest

from casemate.build import ArchiveError
from casemate.gateway import bundles, sealed_bundles
from casemate.gateway.bundles import BundleStore
from casemate.gateway.sealed_bundles import SealedFolder
from casemate.model.errors import CasemateError, NotFoundError, UnavailableError
from support.archives import Keys, bundle_archive

MARK = b"code-of-the-function"


class Place:
    """A bundle store in a folder, and archives to put in it."""

    def __init__(self, root: Path, capacity: int = 1 << 20) -> None:
        self.sealed, self.unpacked, self.made = root / "sealed", root / "memory", root / "made"
        for folder in (self.sealed, self.unpacked, self.made):
            folder.mkdir(exist_ok=True)
        self.keys = Keys()
        self.capacity = capacity
        self.store = self.reopened()

    def reopened(self) -> BundleStore:
        sealed = SealedFolder(self.sealed)
        return BundleStore(
            sealed,
            self.unpacked,
            self.keys,
            capacity=self.capacity,
            in_clear=sealed.in_clear(),
        )

    def bundle(self, code: bytes = MARK) -> tuple[str, Path]:
        """Return digest and archive of a bundle."""
        return bundle_archive(self.made, code)

    def forget_unpacked(self) -> BundleStore:
        import shutil

        for folder in self.unpacked.iterdir():
            shutil.rmtree(folder)
        return self.reopened()


def run(root: Path, scene: Callable[[Place], Awaitable[None]], capacity: int = 1 << 20) -> None:
    async def play() -> None:
        await scene(Place(root, capacity))

    asyncio.run(play())


def test_a_bundle_is_sealed_at_rest_and_whole_in_memory(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        digest, archive = place.bundle()
        await place.store.put(digest, archive)
        [file] = place.sealed.iterdir()
        assert (
            MARK not in file.read_bytes() and archive.read_bytes()[20:60] not in file.read_bytes()
        )
        store = place.forget_unpacked()
        assert (await store.manifest(digest)).project == "t"
        assert (place.unpacked / digest / "code" / "app.py").read_bytes() == MARK

    run(tmp_path, scene)


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        with pytest.raises(NotFoundError, match="a" * 64) as missing:
            await place.store.manifest("a" * 64)
        assert missing.value.next_step

    run(tmp_path, scene)


def test_an_archive_that_is_another_bundle_is_not_kept(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        digest, _ = place.bundle()
        _, other = place.bundle(b"other")
        with pytest.raises(ArchiveError):
            await place.store.put(digest, other)
        assert list(place.sealed.iterdir()) == []

    run(tmp_path, scene)


@pytest.mark.parametrize("full", [bundles, sealed_bundles], ids=["in memory", "on the disk"])
def test_uploads_leave_the_reserve_of_either_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: ModuleType
) -> None:
    """Before: whoever may upload filled the disk to its end; only memory was looked at then."""

    async def scene(place: Place) -> None:
        digest, archive = place.bundle()
        beside = archive.stat().st_size - 1
        for module in (bundles, sealed_bundles):
            monkeypatch.setattr(module, "beside_reserve", lambda _: 1 << 40)
        monkeypatch.setattr(full, "beside_reserve", lambda _: beside)
        with pytest.raises(UnavailableError, match="reserve; 1 bytes are missing"):
            await place.store.put(digest, archive)
        assert not list(place.sealed.iterdir()) and not list(place.unpacked.iterdir())
        beside += 1
        await place.store.put(digest, archive)

    run(tmp_path, scene)


def test_uploads_at_the_same_time_leave_the_reserve_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(place: Place) -> None:
        made = [place.bundle(code) for code in (b"one", b"two", b"three")]
        size = max(archive.stat().st_size for _, archive in made)
        monkeypatch.setattr(sealed_bundles, "beside_reserve", lambda _: size + size // 2)
        told = await asyncio.gather(
            *(place.store.put(*one) for one in made), return_exceptions=True
        )
        assert len([one for one in told if isinstance(one, UnavailableError)]) == 2
        await place.store.put(*made[0])

    run(tmp_path, scene)


def test_an_archive_is_checked_also_where_the_bundle_is_there(tmp_path: Path) -> None:
    """Else who sends anything at all under a digest would learn that others have it."""

    async def scene(place: Place) -> None:
        digest, archive = place.bundle()
        _, other = place.bundle(b"other")
        await place.store.put(digest, archive)
        with pytest.raises(ArchiveError):
            await place.store.put(digest, other)
        await place.store.put(digest, archive)
        assert len(list(place.sealed.iterdir())) == 1
        assert {entry.name for entry in place.unpacked.iterdir()} == {digest}

    run(tmp_path, scene)


def test_of_many_puts_at_once_one_keeps_the_bundle(tmp_path: Path) -> None:
    """Several that wrote to one draft would leave a file that cannot be opened."""

    async def scene(place: Place) -> None:
        digest, archive = place.bundle(os.urandom(200_000))
        await asyncio.gather(*(place.store.put(digest, archive) for _ in range(8)))
        [file] = place.sealed.iterdir()
        assert file.is_file()
        store = place.forget_unpacked()
        assert (await store.manifest(digest)).project == "t"

    run(tmp_path, scene)


@pytest.mark.parametrize("place_of_damage", [0, 3, 5, 20, 40, -1])
def test_a_changed_bundle_is_never_unpacked(tmp_path: Path, place_of_damage: int) -> None:
    async def scene(place: Place) -> None:
        digest, archive = place.bundle()
        await place.store.put(digest, archive)
        [file] = place.sealed.iterdir()
        data = bytearray(file.read_bytes())
        data[place_of_damage] ^= 1
        file.write_bytes(data)
        store = place.forget_unpacked()
        with pytest.raises(CasemateError):
            await store.acquire(digest)
        assert list(place.unpacked.iterdir()) == []

    run(tmp_path, scene)


def test_a_bundle_put_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        digest, archive = place.bundle()
        other, other_archive = place.bundle(b"other")
        await place.store.put(digest, archive)
        await place.store.put(other, other_archive)
        (place.sealed / f"{other}.sealed").replace(place.sealed / f"{digest}.sealed")
        with pytest.raises(CasemateError):
            await place.forget_unpacked().acquire(digest)

    run(tmp_path, scene)


@pytest.mark.parametrize("kept", [0, 2, 4, 30, 100])
def test_a_bundle_that_was_cut_is_refused(tmp_path: Path, kept: int) -> None:
    async def scene(place: Place) -> None:
        digest, archive = place.bundle()
        await place.store.put(digest, archive)
        [file] = place.sealed.iterdir()
        file.write_bytes(file.read_bytes()[:kept])
        with pytest.raises(CasemateError):
            await place.forget_unpacked().acquire(digest)

    run(tmp_path, scene)


def test_what_is_in_use_stays_and_what_is_not_makes_room(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        digests = []
        for number in range(4):
            digest, archive = place.bundle(bytes([number]) * 2000)
            await place.store.put(digest, archive)
            digests.append(digest)
        present = {folder.name for folder in place.unpacked.iterdir()}
        assert digests[-1] in present and len(present) < 4
        await place.store.acquire(digests[0])
        for digest in digests[1:]:
            await place.store.acquire(digest)
            place.store.release(digest)
        assert (place.unpacked / digests[0]).is_dir()
        place.store.release(digests[0])

    run(tmp_path, scene, capacity=5000)


def test_many_small_files_are_counted_as_what_they_take(tmp_path: Path) -> None:
    """By their bytes, 360 KB of an archive took 80 MB, and twenty filled half of the memory."""

    async def scene(place: Place) -> None:
        for number in range(6):
            await place.store.put(*bundle_archive(place.made, b"x", tiny=(number, 40)))
            files = [path for path in place.unpacked.rglob("*") if path.is_file()]
            there = {path.relative_to(place.unpacked).parts[0] for path in files}
            assert sum(path.lstat().st_blocks * 512 for path in files) <= place.capacity
            assert len(there) <= 2

    run(tmp_path, scene, capacity=800_000)


def test_many_who_want_the_same_bundle_unpack_it_once(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        digest, archive = place.bundle()
        await place.store.put(digest, archive)
        store = place.forget_unpacked()
        await asyncio.gather(*(store.acquire(digest) for _ in range(20)))
        assert (place.unpacked / digest / "code" / "app.py").read_bytes() == MARK

    run(tmp_path, scene)


def test_a_start_deletes_what_nothing_refers_to_but_not_what_was_just_uploaded(
    tmp_path: Path,
) -> None:
    async def scene(place: Place) -> None:
        used, archive = place.bundle()
        await place.store.put(used, archive)
        fresh, archive = place.bundle(b"fresh")
        await place.store.put(fresh, archive)
        stale, archive = place.bundle(b"stale")
        await place.store.put(stale, archive)
        long_ago = time.time() - 48 * 3600
        for digest in (stale, used):
            os.utime(place.sealed / f"{digest}.sealed", (long_ago, long_ago))
        (place.sealed / ".half.new").write_bytes(b"half")
        waiting = await place.reopened().load({used}, time.time() - 3600)
        assert list(waiting) == [fresh] and waiting[fresh] > 0
        assert {file.stem for file in place.sealed.iterdir()} == {used, fresh}

    run(tmp_path, scene)


def test_a_bundle_in_clear_of_an_earlier_version_is_sealed_at_the_start(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        digest, _ = place.bundle()
        (place.made / digest).rename(place.sealed / digest)
        store = place.reopened()
        await store.load({digest}, 0.0)
        [file] = place.sealed.iterdir()
        assert file.is_file() and MARK not in file.read_bytes()
        assert (await store.manifest(digest)).digest() == digest

    run(tmp_path, scene)


def test_after_a_rotation_old_bundles_are_read_and_sealed_anew(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        digest, archive = place.bundle()
        await place.store.put(digest, archive)
        place.keys.rotate()
        store = place.forget_unpacked()
        await store.acquire(digest)
        await store.rekey()
        del place.keys.versions[1]
        await place.forget_unpacked().acquire(digest)

    run(tmp_path, scene)
