"""Files of a bundle that are changed after they were checked: found before anything is started."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from casemate.build import pack
from casemate.gateway.bundles import BundleStore
from casemate.gateway.intact import Unpacked, taken
from casemate.gateway.sealed_bundles import SealedFolder
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.errors import NotFoundError
from casemate.vault.interface import DataKey
from support.core import spec

FILES = {
    "code/app.py": b"def handler(e, c): return 1\n",
    "code/part/one.py": b"ONE = 1\n",
    "deps/lib/__init__.py": b"",
    "deps/lib/core.py": b"CORE = 1\n",
}


def bundle(root: Path, files: dict[str, bytes] = FILES) -> Path:
    import hashlib

    manifest = BundleManifest(
        project="t",
        function=spec("f"),
        lock_sha256="a" * 64,
        files=tuple(
            BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in sorted(files.items())
        ),
    )
    folder = root / manifest.digest()
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "bundle.json").write_bytes(manifest.canonical())
    return folder


def touch(path: Path) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def put(path: Path, data: bytes) -> None:
    """Write in place, with the same size and the time of before."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def swap(path: Path, data: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(data)
    other.replace(path)


def link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


CHANGES: dict[str, Any] = {
    "byte": lambda f: put(f / "deps/lib/core.py", b"CORE = 2\n"),
    "own": lambda f: put(f / "code/app.py", b"def handler(e, c): return 2\n"),
    "swapped": lambda f: swap(f / "deps/lib/core.py", b"CORE = 2\n"),
    "longer": lambda f: (f / "deps/lib/core.py").write_bytes(b"CORE = 1\n\n"),
    "gone": lambda f: (f / "deps/lib/core.py").unlink(),
    "linked": lambda f: link(f / "deps/lib/core.py", "../../code/app.py"),
    "linked alike": lambda f: (
        shutil.copy(f / "deps/lib/core.py", f.parent / "away"),
        link(f / "deps/lib/core.py", str(f.parent / "away")),
    ),
    "added": lambda f: (f / "deps/lib/more.py").write_bytes(b"import os\n"),
    "added at the top": lambda f: (f / "sitecustomize.py").write_bytes(b"import os\n"),
    "added folder": lambda f: (f / "deps/json").mkdir(),
    "manifest": lambda f: (f / "bundle.json").write_bytes(b"{}"),
}


@pytest.fixture(params=["together", "each by itself"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have files be looked at in both ways: not all C libraries have the first."""
    if request.param != "together":
        monkeypatch.setattr("casemate.gateway.intact.file_states", lambda _: None)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_found(tmp_path: Path, change: str) -> None:
    folder = bundle(tmp_path)
    checked = Unpacked(folder)
    assert checked.glance() == checked.look() == ""
    CHANGES[change](folder)
    assert checked.look()
    assert checked.look(), "it is found each time"
    if change in ("own", "manifest"):
        assert checked.glance()


def test_files_are_looked_at_from_their_folders(tmp_path: Path, monkeypatch) -> None:
    """To each from the root takes a third longer, and a first call waits for thousands."""
    folder = bundle(tmp_path)
    checked = Unpacked(folder)
    monkeypatch.setattr(os, "lstat", None)
    before = set(os.listdir("/proc/self/fd"))  # what others have left open may be closed meanwhile
    assert checked.look() == ""
    assert set(os.listdir("/proc/self/fd")) <= before
    monkeypatch.undo()
    (folder / "deps").rename(folder / "away")
    assert checked.look()
    assert set(os.listdir("/proc/self/fd")) <= before


def test_no_object_is_made_of_what_is_said_of_each_file(tmp_path: Path, monkeypatch) -> None:
    """It was half of what the look took that a first call waits for."""
    checked = Unpacked(bundle(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", None)
        found = [checked.look(), checked.look()]
    assert found == ["", ""]


def test_a_file_that_was_only_read_is_not_read_anew(tmp_path: Path, monkeypatch) -> None:
    checked = Unpacked(bundle(tmp_path))
    assert checked.look() == ""
    said = dict(checked._said)
    checked._said = {inside: bytes(len(states)) for inside, states in said.items()}
    monkeypatch.setattr("casemate.gateway.intact.hash_file", None)
    assert checked.look() == ""
    assert checked._said == said


def test_nothing_that_differs_is_taken_for_what_it_was(tmp_path: Path) -> None:
    folder = bundle(tmp_path)
    checked = Unpacked(folder)
    put(folder / "deps/lib/core.py", b"CORE = 2\n")
    assert checked.look() and checked.look()
    put(folder / "deps/lib/core.py", b"CORE = 1\n")
    assert checked.look() == checked.look() == ""
    put(folder / "deps/lib/core.py", b"CORE = 2\n")
    assert checked.look()


def test_a_folder_that_became_a_link_to_what_it_was_is_refused(tmp_path: Path) -> None:
    folder = bundle(tmp_path)
    checked = Unpacked(folder)
    (folder / "deps/lib").rename(tmp_path / "lib")
    (folder / "deps/lib").symlink_to(tmp_path / "lib")
    assert checked.look()


def test_what_was_only_touched_is_read_once_and_fine(tmp_path: Path, monkeypatch) -> None:
    folder = bundle(tmp_path)
    checked = Unpacked(folder)
    for path in FILES:
        touch(folder / path)
    os.link(folder / "deps/lib/core.py", tmp_path / "second")
    assert checked.glance() == checked.look() == ""
    monkeypatch.setattr("casemate.gateway.intact.hash_file", None)
    assert checked.look() == ""


class Place:
    """A store on a folder, and what it tells."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("sealed", "unpacked"):
            (root / name).mkdir()
        self.told: list[tuple[str, str]] = []
        self.store = self.open()
        source = bundle(root / "source")
        self.digest = source.name
        self.archive = root / "archive"
        with self.archive.open("wb") as file:
            pack(source, file)

    def open(self) -> BundleStore:
        return BundleStore(
            SealedFolder(self.root / "sealed"),
            self.root / "unpacked",
            self.key,
            capacity=1 << 20,
            on_tampered=lambda *told: self.told.append(told),
        )

    async def key(self, version: int | None) -> DataKey:
        return DataKey(version=1, key=b"k" * 32)

    @property
    def sealed(self) -> Path:
        return self.root / "sealed" / f"{self.digest}.sealed"

    def flip(self) -> None:
        data = bytearray(self.sealed.read_bytes())
        data[len(data) // 2] ^= 1
        put(self.sealed, bytes(data))


def test_a_byte_of_the_sealed_file_is_a_refusal_although_the_files_are_in_memory(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        place = Place(tmp_path)
        await place.store.put(place.digest, place.archive)
        await place.store.acquire(place.digest)
        place.flip()
        for _ in range(3):
            with pytest.raises(NotFoundError, match="damaged"):
                await place.store.acquire(place.digest)
        assert [digest for digest, _ in place.told] == [place.digest], "told once"
        # Brought again, it is whole again.
        assert not await place.store.is_kept(place.digest)
        await place.store.put(place.digest, place.archive)
        await place.store.acquire(place.digest)
        place.flip()
        with pytest.raises(NotFoundError):
            await place.store.acquire(place.digest)
        assert len(place.told) == 2

    asyncio.run(scene())


def test_a_backup_that_links_the_sealed_file_is_no_tampering(tmp_path: Path) -> None:
    async def scene() -> None:
        place = Place(tmp_path)
        await place.store.put(place.digest, place.archive)
        await place.store.acquire(place.digest)
        (tmp_path / "backup").hardlink_to(place.sealed)
        await place.store.acquire(place.digest)
        assert place.told == []

    asyncio.run(scene())


def test_files_in_memory_that_were_changed_are_unpacked_anew_once_nobody_uses_them(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        place = Place(tmp_path)
        await place.store.put(place.digest, place.archive)
        await place.store.acquire(place.digest)
        file = place.store.folder(place.digest) / "deps/lib/core.py"
        put(file, b"CORE = 2\n")
        # The function's own files are looked at first, the rest while its handler is imported.
        await place.store.acquire(place.digest)
        with pytest.raises(NotFoundError, match=r"core\.py is not what"):
            await place.store.require_whole(place.digest)
        with pytest.raises(NotFoundError, match="in memory"):
            await place.store.acquire(place.digest)
        place.store.release(place.digest)
        place.store.release(place.digest)
        await place.store.acquire(place.digest)
        assert file.read_bytes() == b"CORE = 1\n"
        await place.store.require_whole(place.digest)
        assert len(place.told) == 1

    asyncio.run(scene())


def test_to_look_takes_less_than_two_milliseconds(tmp_path: Path) -> None:
    files = {f"code/m{n}.py": b"x = 1\n" for n in range(200)}

    async def scene() -> float:
        place = Place(tmp_path)
        source = bundle(tmp_path / "many", files)
        with place.archive.open("wb") as file:
            pack(source, file)
        await place.store.put(source.name, place.archive)
        taken = []
        for _ in range(20):
            began = time.process_time()
            await place.store.acquire(source.name)
            taken.append(time.process_time() - began)
            place.store.release(source.name)
        return min(taken)

    assert asyncio.run(scene()) < 0.002


def test_files_of_small_folders_are_looked_at_from_one_above(tmp_path: Path, monkeypatch) -> None:
    """To open a folder takes longer than a few steps down to each of its files."""
    names = [f"m{n}.py" for n in range(20)]
    small = [f"deps/lib/p{n}/in/{name}" for n in range(20) for name in ("a.py", "b.py")]
    files = dict.fromkeys([*small, *(f"code/{name}" for name in names), *FILES], b"x = 1\n")
    folder = bundle(tmp_path, files)
    checked = Unpacked(folder)
    there = [folder, *folder.rglob("*")]
    assert checked.size == sum(taken(path.lstat().st_size) for path in there)
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: (opened.append(path), real(path, *rest))[1])
    assert checked.look() == ""
    assert {os.path.relpath(path, folder) for path in opened} == {".", "code", "deps/lib"}
    monkeypatch.undo()
    for path in files:
        put(folder / path, b"x = 2\n")
        assert path in checked.look()
        assert bool(checked.glance()) is path.startswith("code")
        put(folder / path, b"x = 1\n")
        assert checked.glance() == checked.look() == ""
    (folder / "deps/lib/p3/in/more.py").write_bytes(b"")
    assert "deps/lib/p3/in/more.py is not named" in checked.look()


@pytest.mark.parametrize("part", ["deps/lib", "deps/lib/p3", "deps/lib/p3/in"])
def test_a_folder_on_the_way_that_became_a_link_is_refused(tmp_path: Path, part: str) -> None:
    """Also where nothing is opened on the way, and it leads to the very files."""
    files = {f"deps/lib/p{n}/in/a.py": b"x = 1\n" for n in range(20)}
    folder = bundle(tmp_path, files)
    checked = Unpacked(folder)
    (folder / part).rename(tmp_path / "away")
    (folder / part).symlink_to(tmp_path / "away")
    assert "is a link to somewhere else" in checked.look()


def test_what_is_linked_meanwhile_is_nobodys_doing(tmp_path: Path) -> None:
    """Dependencies are made those of another bundle while the next call is on its way."""
    folder = bundle(tmp_path)
    checked = Unpacked(folder)
    (folder / ".shared").write_bytes(b"CORE = 1\n")
    assert checked.glance() == ""
    (folder / ".shared").replace(folder / "deps/lib/core.py")
    assert checked.glance() == checked.look() == ""
