"""Files and folders are synced, and what cannot be is told; no descriptor is left."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.kernel.durability import sync_file, sync_folder
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
