"""A node takes over no folder that is not its own, and changes nothing in one it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from casemate.folder import ownership as data_folder
from casemate.folder.folders import Folders
from casemate.folder.ownership import FORMAT, MARKER, DataFolderError, mark, require_own
from casemate.folder.presence import FENCE, FIRST_START, IDENTITY, PROOF, SHARED


def state(folder: Path) -> list[tuple[str, int, int, int]]:
    found = [folder, *sorted(folder.rglob("*"))]
    return [(str(f), f.stat().st_mode, f.stat().st_uid, f.stat().st_mtime_ns) for f in found]


def test_missing_empty_and_own_folders_are_taken(tmp_path: Path) -> None:
    require_own(tmp_path / "missing" / "below")
    (tmp_path / "empty").mkdir()
    require_own(tmp_path / "empty")
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    require_own(tmp_path / "disk")
    Folders(tmp_path / "own").make(None, None, None)
    require_own(tmp_path / "own")
    mark(tmp_path / "own")
    mark(tmp_path / "own")
    require_own(tmp_path / "own")
    (tmp_path / "own" / "something else").touch()
    require_own(tmp_path / "own")


@pytest.mark.parametrize("made", [(), ("store", "data", "bundles", "spool", "vault")])
def test_a_first_start_that_failed_can_be_tried_again(tmp_path: Path, made: tuple[str]) -> None:
    (tmp_path / FIRST_START).touch()
    for name in made:
        (tmp_path / name).mkdir()
    require_own(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        *(IDENTITY, PROOF, SHARED, FENCE, f"{FENCE}.before", f"other.{FENCE}"),
        *("node.new", f".{MARKER}.new"),
    ],
)
def test_a_folder_whose_marker_is_gone_is_known_by_what_else_a_node_keeps(
    tmp_path: Path, name: str
) -> None:
    """A start that is killed while it writes the marker leaves the same."""
    Folders(tmp_path).make(None, None, None)
    (tmp_path / name).touch()
    require_own(tmp_path)
    (tmp_path / "something else").touch()
    with pytest.raises(DataFolderError, match="not a node's \\('something else'\\)"):
        require_own(tmp_path)


def test_no_node_is_put_into_anothers_data(tmp_path: Path) -> None:
    Folders(tmp_path).make(None, None, None)
    mark(tmp_path)
    before = state(tmp_path)
    (tmp_path.parent / "link").symlink_to(tmp_path / "data")
    for inside in (tmp_path / "data" / "sub", tmp_path / "data", tmp_path.parent / "link" / "x"):
        with pytest.raises(DataFolderError, match="data folder of another node"):
            require_own(inside)
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    "names",
    [["www"], ["data"], ["store", "photos"], [".bashrc"], ["bundles", "data"], [f".{MARKER}"]],
)
def test_a_folder_of_others_is_refused_unchanged(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    before = state(tmp_path)
    with pytest.raises(DataFolderError, match="holds data that is not a node's"):
        require_own(tmp_path)
    assert state(tmp_path) == before


@pytest.mark.parametrize("folder", ["/", "/srv", "/etc", "/home", "/usr/..", "/var/lib", "/tmp"])
def test_folders_of_the_system_are_refused_empty_or_not(folder: str) -> None:
    with pytest.raises(DataFolderError, match=r"folder of the system|is a folder"):
        require_own(Path(folder))


def test_a_home_folder_and_a_link_to_one_are_refused(tmp_path: Path, monkeypatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("HOME", str(home))
    for path in (home, tmp_path / "link", home / "x" / ".."):
        with pytest.raises(DataFolderError, match="of a user"):
            require_own(path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderError, match="is not a folder"):
        require_own(tmp_path / "file")


def test_data_of_a_newer_version_is_refused_by_name(tmp_path: Path) -> None:
    Folders(tmp_path / "own").make(None, None, None)
    (tmp_path / "own" / MARKER).write_text(
        f'{{"format": {FORMAT + 1}, "version": "9.1.0", "more": [1]}}'
    )
    before = state(tmp_path / "own")
    with pytest.raises(DataFolderError, match=r"made by a newer version: Casemate 9\.1\.0"):
        require_own(tmp_path / "own")
    assert state(tmp_path / "own") == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "x"}', b"\xff", b"x" * 9999])
def test_a_marker_that_is_none_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MARKER).write_bytes(content)
    with pytest.raises(DataFolderError, match="not a node's"):
        require_own(tmp_path)
    (tmp_path / "store").mkdir()
    require_own(tmp_path)
    mark(tmp_path)
    assert data_folder._marker(tmp_path) is not None


def test_a_marker_is_not_followed_or_waited_for(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"format": 99, "version": "x"}')
    (tmp_path / MARKER).symlink_to(tmp_path / "secret")
    (tmp_path / "store").mkdir()
    with pytest.raises(DataFolderError, match="not a node's"):
        require_own(tmp_path)
    (tmp_path / "secret").unlink()
    (tmp_path / MARKER).unlink()
    os.mkfifo(tmp_path / MARKER)
    require_own(tmp_path)
    (tmp_path / MARKER).unlink()
    mark(tmp_path)
    assert (tmp_path / MARKER).stat().st_mode & 0o777 == 0o600


def test_a_marker_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Before: `Is a directory: 4`, and to run the doctor, which finds nothing."""
    (tmp_path / MARKER).mkdir()
    with pytest.raises(DataFolderError, match=rf"{MARKER}.*cannot be written: Is a dir") as caught:
        mark(tmp_path)
    assert "move that away" in str(caught.value.next_step)
