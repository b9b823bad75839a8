"""Whether files are as they were: all that the kernel says of them, compared in one piece."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.kernel import file_states
from casemate.kernel.machines import UnknownMachineError

NAMES = (b"one", b"inside/two", b"inside", b"link", b".")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "inside").mkdir()
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "inside/two").write_bytes(b"22" * 3_000)
    os.utime(tmp_path / "one", ns=(0, -1_500_000_001))
    os.utime(tmp_path / "inside/two", ns=(0, 5_000_000_000_000_000_001))
    (tmp_path / "link").symlink_to("one")
    descriptor = os.open(tmp_path, os.O_PATH)
    yield descriptor
    os.close(descriptor)


def test_it_is_what_python_says_of_each(folder: int) -> None:
    states = file_states.FileStates(8)
    assert states.read(folder, NAMES)
    found = [os.stat(name, dir_fd=folder, follow_symlinks=False) for name in NAMES]
    expected = [(one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in found]
    assert list(states.each(len(NAMES))) == expected


def test_what_is_not_there_is_told(folder: int) -> None:
    states = file_states.FileStates(8)
    assert not states.read(folder, (*NAMES, b"none"))
    assert not states.read(folder, (b"none", *NAMES))
    assert states.read(folder, NAMES)


def test_all_that_changes_is_seen(tmp_path: Path, folder: int) -> None:
    states = file_states.FileStates(len(NAMES))
    assert states.read(folder, NAMES)
    known = states.first(len(NAMES))
    assert states.read(folder, NAMES) and states.are(known)
    os.link(tmp_path / "one", tmp_path / "other")
    assert states.read(folder, NAMES) and not states.are(known)
    assert states.read(folder, NAMES[1:3]) and states.are(states.first(2))


def test_none_where_it_is_not_known_how_much_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert file_states.file_states(1) is not None

    def unknown() -> None:
        raise UnknownMachineError("riscv64")

    monkeypatch.setattr(file_states, "current", unknown)
    assert file_states.file_states(1) is None


def test_none_with_a_library_that_has_no_such_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_states.ctypes, "CDLL", lambda _: object())
    assert file_states.file_states(1) is None
