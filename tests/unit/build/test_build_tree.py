from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.build.errors import SourceTreeError
from casemate.build.tree import (
    check_collisions,
    check_path,
    hash_file,
    normalise_modes,
    open_regular,
    publish,
    remove_tree,
    walk_files,
)


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "..", "a/", "/a", "a//b", "a/../b", "./a", "a\\b", "a\nb", "a\x00b", "a\x7fb"),
        *("a\u202eb", "a\u2028b", "\udc80", "a" * 256, "a/" * 40 + "b", "ab/" * 200 + "c"),
    ],
)
def test_odd_paths_are_refused(path: str) -> None:
    with pytest.raises(SourceTreeError) as caught:
        check_path(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("path", ["a", "a/b.py", ".hidden", "a b", "…", "é/ß", "a..b", "-x"])
def test_usual_paths_are_fine(path: str) -> None:
    check_path(path)


@given(st.text(max_size=40))
def test_a_path_that_is_accepted_stays_below_its_root(path: str) -> None:
    try:
        check_path(path)
    except SourceTreeError:
        return
    assert os.path.normpath(path) == path
    assert not path.startswith(("/", ".."))


@pytest.mark.parametrize(
    "paths",
    [
        ["a.py", "A.py"],
        ["é", "e\u0301"],
        ["Dir/a", "dir/b"],
        ["straße", "STRASSE"],
        ["a", "a/b"],
        ["a/b/c", "a/b"],
    ],
)
def test_collisions_are_refused(paths: list[str]) -> None:
    for order in (paths, paths[::-1]):
        with pytest.raises(SourceTreeError):
            check_collisions(order)


def test_trees_without_collisions_are_fine() -> None:
    check_collisions(["a/b", "a/c", "ab", "a/b.py", "é/x", "é/y"])


def test_walk_refuses_all_but_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_bytes(b"123")
    assert list(walk_files(tmp_path, max_files=10)) == [("a/b", 3)]
    with pytest.raises(SourceTreeError, match="More than 0 files"):
        list(walk_files(tmp_path, max_files=0))
    odd = tmp_path / "odd"
    odd.symlink_to("a/b")
    with pytest.raises(SourceTreeError, match="symbolic link"):
        list(walk_files(tmp_path, max_files=10))
    odd.unlink()
    os.mkfifo(odd)
    with pytest.raises(SourceTreeError, match="named pipe"):
        list(walk_files(tmp_path, max_files=10))
    with pytest.raises(SourceTreeError, match="named pipe"):
        open_regular(odd)
    odd.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(odd))
        with pytest.raises(SourceTreeError, match="socket"):
            list(walk_files(tmp_path, max_files=10))


def test_walk_refuses_names_that_are_not_utf8(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_bytes(b"")
    with pytest.raises(SourceTreeError, match="not UTF-8"):
        list(walk_files(tmp_path, max_files=10))


def test_walk_counts_sparse_files_in_full(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2 * 1024**3)
    with pytest.raises(SourceTreeError, match="MiB"):
        list(walk_files(tmp_path, max_files=10))


def test_reading_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(SourceTreeError):
        hash_file(tmp_path, "link")


def test_modes_are_normalised(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    (tmp_path / "a/b").write_bytes(b"")
    (tmp_path / "a/b").chmod(0o4777)
    normalise_modes(tmp_path)
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "a/b").stat().st_mode & 0o7777 == 0o644


def test_modes_are_never_changed_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("")
    (tmp_path / "outside").chmod(0o600)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to("../outside")
    with pytest.raises(SourceTreeError, match="symbolic link"):
        normalise_modes(tmp_path / "tree")
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o600


def test_publishing_replaces_at_once(tmp_path: Path) -> None:
    for name in ("new", "final", "trash"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    publish(tmp_path / "new", tmp_path / "final", trash=tmp_path / "trash")
    assert (tmp_path / "final/name").read_text() == "new"
    assert (tmp_path / "trash/replaced/name").read_text() == "final"


def _nested(folder: Path, depth: int) -> None:
    """Make folders in each other, by descriptors: the path is longer than one may be."""
    current = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deeper", dir_fd=current)
        inner = os.open("deeper", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = inner
    os.close(current)


def test_deep_folders_are_removed(tmp_path: Path) -> None:
    """Python 3.11 and 3.12 do so by recursion, deeper than which these are."""
    folder = tmp_path / "made"
    folder.mkdir()
    _nested(folder, 1500)
    remove_tree(folder)
    assert list(tmp_path.iterdir()) == []


def test_folders_without_rights_are_removed_and_nothing_that_links_lead_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (kept / "inner").mkdir(parents=True)
    (kept / "file").touch()
    folder = tmp_path / "made"
    for number in range(3):
        inner = folder / str(number) / "inner"
        inner.mkdir(parents=True)
        (inner / "file").touch()
        (inner / "folder").symlink_to(kept)
        (inner / "link").symlink_to(kept / "file")
        inner.chmod(0)
        inner.parent.chmod(0o100)
    (tmp_path / "link").symlink_to(kept)
    remove_tree(folder)
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "none")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "link"]
    assert sorted(path.name for path in kept.iterdir()) == ["file", "inner"]
