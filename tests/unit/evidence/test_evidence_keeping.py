"""What is under hold stays whatever retention deletes, and is not changed unseen."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from casemate.evidence import Evidences
from casemate.evidence.keeping import MAX_KEPT, DamagedEvidenceError
from casemate.model.errors import (
    CasemateError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from casemate.operations.evidence import EvidenceView
from casemate.recordings import files
from casemate.store.errors import StoreCommitUnsureError, StoreFullError
from casemate.unwritten import try_again, unwritten
from casemate.vault.interface import DataKey
from support.core import MemoryStore

DATA = b"what was on record" * 100


class Vault:
    async def data_key(self, project: str, purpose: str, version: int | None = None) -> DataKey:
        return DataKey(version=version or 3, key=b"k" * 32)


def view(n: int = 1, data: bytes = DATA) -> EvidenceView:
    return EvidenceView(
        id=f"evi_{n:016x}",
        incident="inc_1",
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        files=1,
        at=float(n),
        by="user:ada",
        left_out=(),
    )


def read(one: Evidences, id: str) -> bytes:
    async def whole() -> bytes:
        async with one.opened(id) as pieces:
            return b"".join([piece async for piece in pieces])

    return asyncio.run(whole())


def kept(folder: Path, store: Any) -> Evidences:
    found = Evidences(folder, store, Vault())  # type: ignore[arg-type]
    asyncio.run(found.load())
    return found


def test_a_check_reads_what_is_kept_and_names_what_is_damaged(tmp_path: Path) -> None:
    """Before: that an archive under hold was lost was told to who asked for it, years later."""
    store = MemoryStore()
    one = kept(tmp_path, store)
    assert one.checked(lambda read: None) is None
    for number in (1, 2, 3):
        asyncio.run(one.keep(view(number), DATA))
    read_bytes: list[int] = []

    def found() -> tuple[str, ...]:
        looking = one.checked(read_bytes.append)
        assert looking is not None
        return asyncio.run(looking)

    assert found() == ()
    assert read_bytes == [len(DATA)] * 3
    data = bytearray((tmp_path / f"{view(1).id}.sealed").read_bytes())
    data[-1] ^= 1
    (tmp_path / f"{view(1).id}.sealed").write_bytes(data)
    (tmp_path / f"{view(2).id}.sealed").unlink()
    assert sorted(found()) == [
        f"The evidence {view(number).id} is lost, or was changed. It is of inc_1."
        for number in (1, 2)
    ]
    for number in (1, 2):
        asyncio.run(one.drop(view(number).id))
    assert found() == ()


def test_it_is_kept_sealed_over_a_start_and_no_retention_takes_it(tmp_path: Path) -> None:
    store = MemoryStore()
    first = kept(tmp_path, store)
    asyncio.run(first.keep(view(), DATA))
    [file] = tmp_path.iterdir()
    assert DATA[:20] not in file.read_bytes() and file.stat().st_mode & 0o777 == 0o600
    # Recordings are in the same folder: what deletes these knows of nothing but them.
    assert files.names(tmp_path) == []
    again = kept(tmp_path, store)
    assert read(again, view().id) == DATA
    assert again.of({"inc_1"}) == (view(),) and again.of({"inc_2"}) == ()


@pytest.mark.parametrize("place", [0, 9, 20, -1])
def test_a_byte_that_was_changed_is_found(tmp_path: Path, place: int) -> None:
    one = kept(tmp_path, MemoryStore())
    asyncio.run(one.keep(view(), DATA))
    [file] = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(DamagedEvidenceError):
        read(one, view().id)


def test_a_disk_that_fails_for_a_moment_is_no_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: "is lost, or was changed", of an archive that was read again a second later."""
    one = kept(tmp_path, MemoryStore())
    asyncio.run(one.keep(view(), DATA))

    def fails(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("casemate.evidence.keeping._open", fails)
        with pytest.raises(DamagedEvidenceError, match="cannot be read now: Input/output error"):
            read(one, view().id)
    assert read(one, view().id) == DATA


def test_what_cannot_be_kept_is_told_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = kept(tmp_path, MemoryStore())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("casemate.evidence.keeping.encrypt_stream", full)
        with pytest.raises(UnavailableError, match="No space left"):
            asyncio.run(one.keep(view(), DATA))
    (told,) = unwritten()
    assert told.startswith("evidence: 1 failed since")
    assert list(tmp_path.iterdir()) == []
    try_again()
    assert unwritten() == ()


def test_one_that_is_swapped_or_gone_is_told(tmp_path: Path) -> None:
    one = kept(tmp_path, MemoryStore())
    asyncio.run(one.keep(view(1), DATA))
    asyncio.run(one.keep(view(2, b"other"), b"other"))
    first, second = tmp_path / f"{view(1).id}.sealed", tmp_path / f"{view(2).id}.sealed"
    first.write_bytes(second.read_bytes())
    with pytest.raises(DamagedEvidenceError):
        read(one, view(1).id)
    first.unlink()
    with pytest.raises(DamagedEvidenceError):
        read(one, view(1).id)
    asyncio.run(one.drop(view(1).id))  # what is lost can be given up


def test_the_hold_is_ended_by_name_and_bounded(tmp_path: Path) -> None:
    one = kept(tmp_path, MemoryStore())
    for n in range(MAX_KEPT):
        asyncio.run(one.keep(view(n), DATA))
    with pytest.raises(ConflictError):
        asyncio.run(one.keep(view(MAX_KEPT), DATA))
    asyncio.run(one.drop(view(0).id))
    assert len(list(tmp_path.iterdir())) == MAX_KEPT - 1
    for id in (view(0).id, "../x", "evi_", ""):
        with pytest.raises(NotFoundError):
            read(one, id)


class Failing(MemoryStore):
    """Keeps nothing as long as it is told so."""

    error: CasemateError | None = None

    async def change(self, operation: Any) -> Any:
        if self.error is not None:
            raise self.error
        return await super().change(operation)


def test_what_the_store_does_not_take_leaves_no_file(tmp_path: Path) -> None:
    """Else the disk would fill with archives that nobody knows of, which no bound counts."""
    store = Failing()
    one = kept(tmp_path, store)
    store.error = StoreFullError("The disk is full.")
    with pytest.raises(CasemateError, match="full"):
        asyncio.run(one.keep(view(), DATA))
    assert list(tmp_path.iterdir()) == []
    store.error = StoreCommitUnsureError("It may be kept or not.")
    with pytest.raises(CasemateError, match="may be"):
        asyncio.run(one.keep(view(), DATA))
    assert len(list(tmp_path.iterdir())) == 1, "it may be known after a start"


def test_an_end_of_a_hold_that_is_cut_short_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is not deleted is not forgotten, nor is one that is deleted and not forgotten."""
    store = Failing()
    one = kept(tmp_path, store)
    asyncio.run(one.keep(view(), DATA))

    def broken(_path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", broken)
        with pytest.raises(UnavailableError, match="cannot be deleted: Read-only"):
            asyncio.run(one.drop(view().id))
    store.error = StoreFullError("The disk is full.")
    with pytest.raises(CasemateError, match="full"):
        asyncio.run(one.drop(view().id))
    assert list(tmp_path.iterdir()) == []
    again = kept(tmp_path, store)
    assert again.one(view().id)
    store.error = None
    asyncio.run(again.drop(view().id))
    assert again.of({"inc_1"}) == ()


def test_an_archive_and_its_name_are_on_the_disk_before_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power that fails after that takes none away."""
    synced: list[str] = []
    genuine = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        genuine(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    one = kept(tmp_path, MemoryStore())
    asyncio.run(one.keep(view(), DATA))
    assert synced == [str(tmp_path / f"{view().id}.writing"), str(tmp_path)]


def test_a_large_archive_is_in_memory_a_piece_at_a_time(tmp_path: Path) -> None:
    """Who fetches many at once has no more than so many pieces held."""
    data = os.urandom(1 << 20) * 20
    one = kept(tmp_path, MemoryStore())
    asyncio.run(one.keep(view(1, data), data))

    async def most() -> tuple[int, str, int]:
        digest, largest = hashlib.sha256(), 0
        tracemalloc.start()
        async with one.opened(view(1).id) as pieces:
            async for piece in pieces:
                largest = max(largest, len(piece))
                digest.update(piece)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return largest, digest.hexdigest(), peak

    largest, digest, peak = asyncio.run(most())
    assert digest == view(1, data).sha256
    assert largest <= 512 * 1024 and peak < 4 << 20


@pytest.mark.parametrize("cut", [1, 30, 70_000])
def test_one_that_is_cut_short_is_not_begun_to_be_sent(tmp_path: Path, cut: int) -> None:
    data = b"x" * 200_000
    one = kept(tmp_path, MemoryStore())
    asyncio.run(one.keep(view(1, data), data))
    [file] = tmp_path.iterdir()
    os.truncate(file, file.stat().st_size - cut)

    async def begun() -> None:
        async with one.opened(view(1).id):
            pytest.fail("it is offered")

    with pytest.raises(DamagedEvidenceError):
        asyncio.run(begun())


def test_what_a_node_that_was_killed_left_is_deleted_at_its_start(tmp_path: Path) -> None:
    """Nobody was told of it, so nobody could end its hold."""
    store = MemoryStore()
    asyncio.run(kept(tmp_path, store).keep(view(1), DATA))
    whole, half = tmp_path / f"{view(2).id}.sealed", tmp_path / f"{view(3).id}.writing"
    again = tmp_path / f"{view(1).id}.writing"
    others = [tmp_path / "rec_1.sealed", tmp_path / "evi_short.sealed"]
    for each in (whole, half, again, *others):
        each.write_bytes(b"left over")
    one = kept(tmp_path, store)
    assert set(tmp_path.iterdir()) == {tmp_path / f"{view(1).id}.sealed", *others}
    assert read(one, view(1).id) == DATA


def test_a_folder_that_cannot_be_cleaned_keeps_no_node_from_starting(tmp_path: Path) -> None:
    (tmp_path / f"{view(2).id}.sealed").mkdir()
    assert kept(tmp_path, MemoryStore()).of({"inc_1"}) == ()
    assert kept(tmp_path / "missing", MemoryStore()).of({"inc_1"}) == ()


def test_what_another_node_keeps_is_asked_of_that_one(tmp_path: Path) -> None:
    async def run() -> None:
        store = MemoryStore()
        folders = tmp_path / "one", tmp_path / "two"
        for folder in folders:
            folder.mkdir()
        one, two = (
            Evidences(folder, store, Vault(), node=folder.name)  # type: ignore[arg-type]
            for folder in folders
        )
        await one.keep(view(), DATA)
        await two.reload()
        assert two.one(view().id).node == "one"
        with pytest.raises(ConflictError, match="kept by the node one"):
            async with two.opened(view().id):
                pass
        with pytest.raises(ConflictError, match="kept by the node one"):
            await two.drop(view().id)
        await two.load()
        async with one.opened(view().id) as pieces:
            assert b"".join([piece async for piece in pieces]) == DATA

    asyncio.run(run())
