"""Files and folders are synced, and what cannot be is told; no descriptor is left."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.kernel.durability import replace_private, sync_file, sync_folder, write_all
from support.descriptors import descriptors_held


@pytest.mark.parametrize("sync", [sync_file, sync_folder])
def test_what_is_named_is_synced(
    sync: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one"
    path.touch() if sync is sync_file else path.mkdir()
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_ino))
    sync(path)
    assert synced == [path.stat().st_ino]


@pytest.mark.parametrize("sync", [sync_file, sync_folder])
def test_a_failure_is_told_and_leaves_no_descriptor(
    sync: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one"
    path.touch() if sync is sync_file else path.mkdir()

    def fails(_number: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    before = descriptors_held()
    with pytest.raises(OSError, match="Input/output"):
        sync(path)
    assert descriptors_held() == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "one")
    with pytest.raises(FileNotFoundError):
        sync_file(tmp_path / "two")


def test_what_is_written_in_pieces_is_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, data: write(number, bytes(data[:3])))
    descriptor = os.open(tmp_path / "one", os.O_WRONLY | os.O_CREAT)
    write_all(descriptor, b"0123456789")
    os.close(descriptor)
    assert (tmp_path / "one").read_bytes() == b"0123456789"


def test_a_file_is_replaced_durably_and_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, draft = tmp_path / "one", tmp_path / "one.new"
    path.write_bytes(b"before")
    draft.symlink_to(path)  # left, or put there: it is not followed
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_ino))
    replace_private(path, draft, b"after")
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert synced == [path.stat().st_ino, tmp_path.stat().st_ino]
    assert not draft.exists()


def test_a_file_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one"
    path.write_bytes(b"before")

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_private(path, tmp_path / "one.new", b"after")
    assert path.read_bytes() == b"before"
