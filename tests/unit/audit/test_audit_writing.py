"""What is written beside what is audited goes through no link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from casemate.audit import NotWrittenError, write_beside, write_inside


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.chdir(root)
    (root / "out").symlink_to(tmp_path / "victim")
    (root / "away").symlink_to(tmp_path / "elsewhere")
    (root / "dangling").symlink_to(tmp_path / "made")
    return root


def untouched(root: Path) -> bool:
    beside = root.parent
    return (
        (beside / "victim").read_text() == "mine"
        and not list((beside / "elsewhere").iterdir())
        and not (beside / "made").exists()
    )


@pytest.mark.parametrize("name", ["out", "away/x", "dangling", "./out", "../root/out"])
@pytest.mark.parametrize("absolute", [False, True])
def test_no_link_is_written_through(root: Path, name: str, absolute: bool) -> None:
    path = root / name if absolute else Path(name)
    with pytest.raises(NotWrittenError, match="symbolic link"):
        write_beside(root, path, "x")
    assert untouched(root)


def test_what_is_audited_counts_from_elsewhere_too(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    with pytest.raises(NotWrittenError, match="symbolic link"):
        write_beside(root, root / "out", "x")
    assert untouched(root)
    write_beside(root, root.parent / "report", "x")
    assert (root.parent / "report").read_text() == "x"
    write_beside(root, Path("/dev/null"), "x")


def test_files_are_replaced_whole_and_keep_their_mode(root: Path) -> None:
    (root / "a").write_text("old")
    (root / "a").chmod(0o640)
    os.link(root / "a", root.parent / "hard")
    write_inside(root, "a", "new\r\n\udcff")
    assert (root / "a").read_bytes() == b"new\r\n\xff"
    assert (root / "a").stat().st_mode & 0o777 == 0o640
    assert (root.parent / "hard").read_text() == "old"
    assert {each.name for each in root.iterdir()} == {"a", "out", "away", "dangling"}


@pytest.mark.parametrize("name", ["fifo", "folder", "missing/x", "a/x"])
def test_what_is_no_file_is_refused_and_never_waited_for(root: Path, name: str) -> None:
    os.mkfifo(root / "fifo")
    (root / "folder").mkdir()
    (root / "a").write_text("")
    with pytest.raises(NotWrittenError, match="cannot be written"):
        write_inside(root, name, "x")


def test_a_write_that_fails_leaves_what_was_there(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a").write_text("old")

    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(NotWrittenError, match="No space left"):
        write_inside(root, "a", "new")
    assert (root / "a").read_text() == "old"
    assert {each.name for each in root.iterdir()} == {"a", "out", "away", "dangling"}


@pytest.mark.parametrize("where", ["inside", "elsewhere"])
def test_half_a_surrogate_keeps_no_file_from_being_written(root: Path, where: str) -> None:
    path = root.parent / "elsewhere/report" if where == "elsewhere" else Path("report")
    write_beside(root, path, "name \udcff and \ud800")
    assert path.read_bytes() == b"name \\udcff and \\ud800"
    write_beside(root, path, "name \udcff")  # of a file, as it is
    assert path.read_bytes() == b"name \xff"
