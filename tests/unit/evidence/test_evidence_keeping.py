"""What is under hold stays whatever retention deletes, and is not changed unseen."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
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


def kept(folder: Path, store: Any) -> Evidences:
    found = Evidences(folder, store, Vault())  # type: ignore[arg-type]
    asyncio.run(found.load())
    return found


def test_it_is_kept_sealed_over_a_start_and_no_retention_takes_it(tmp_path: Path) -> None:
    store = MemoryStore()
    first = kept(tmp_path, store)
    asyncio.run(first.keep(view(), DATA))
    [file] = tmp_path.iterdir()
    assert DATA[:20] not in file.read_bytes() and file.stat().st_mode & 0o777 == 0o600
    # Recordings are in the same folder: what deletes these knows of nothing but them.
    assert files.names(tmp_path) == []
    again = kept(tmp_path, store)
    assert asyncio.run(again.read(view().id)) == DATA
    assert again.of("inc_1") == (view(),) and again.of("inc_2") == ()


@pytest.mark.parametrize("place", [0, 9, 20, -1])
def test_a_byte_that_was_changed_is_found(tmp_path: Path, place: int) -> None:
    one = kept(tmp_path, MemoryStore())
    asyncio.run(one.keep(view(), DATA))
    [file] = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(DamagedEvidenceError):
        asyncio.run(one.read(view().id))


def test_one_that_is_swapped_or_gone_is_told(tmp_path: Path) -> None:
    one = kept(tmp_path, MemoryStore())
    asyncio.run(one.keep(view(1), DATA))
    asyncio.run(one.keep(view(2, b"other"), b"other"))
    first, second = tmp_path / f"{view(1).id}.sealed", tmp_path / f"{view(2).id}.sealed"
    first.write_bytes(second.read_bytes())
    with pytest.raises(DamagedEvidenceError):
        asyncio.run(one.read(view(1).id))
    first.unlink()
    with pytest.raises(DamagedEvidenceError):
        asyncio.run(one.read(view(1).id))
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
            asyncio.run(one.read(id))


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
    assert again.of("inc_1") == ()


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
