"""The files that are audited: never out of the folder, never without a bound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from casemate.audit import workspace as module
from casemate.audit.workspace import Workspace


def test_files_are_found_and_what_programs_made_is_passed_over(tmp_path: Path) -> None:
    for name in ("a.py", "src/b.py", "node_modules/x/c.js", ".git/config", ".venv/lib/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert Workspace(tmp_path).files == ("a.py", "src/b.py")


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("x")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.py").write_text("x")
    (root / "link.py").symlink_to(outside / "secret.py")
    (root / "folder").symlink_to(outside)
    (root / "loop").symlink_to(root)
    assert Workspace(root).files == ("a.py",)


def test_a_file_that_became_a_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x")
    workspace = Workspace(tmp_path)
    (tmp_path / "a.py").unlink()
    (tmp_path / "a.py").symlink_to("/etc/hostname")
    assert workspace.text("a.py") is None
    assert "cannot be read" in workspace.notes[0].what


def test_pipes_and_sockets_are_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert Workspace(tmp_path).files == ()


@pytest.mark.parametrize(
    ("base", "name", "found"),
    [
        ("a/t.yaml", "src/", "a/src"),
        ("a/t.yaml", "../b", "b"),
        ("t.yaml", ".", "."),
        ("t.yaml", "../b", None),
        ("a/t.yaml", "../../b", None),
        ("t.yaml", "/etc", None),
        ("t.yaml", "a/../../b", None),
    ],
)
def test_paths_stay_inside(base: str, name: str, found: str | None) -> None:
    assert Workspace.of({}).resolve(base, name) == found


def test_large_files_and_many_files_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 3)
    monkeypatch.setattr(module, "MAX_CODE_BYTES", 10)
    for name in "abcd":
        (tmp_path / name).write_text("x" * 20)
    workspace = Workspace(tmp_path)
    assert len(workspace.files) == 3
    assert workspace.text("a", most=10) is None
    assert {
        "more than 3 files" in n.what or "more than 10 bytes" in n.what for n in workspace.notes
    } == {True}


def test_other_encodings_are_read_and_binary_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("grün".encode("latin-1"))
    (tmp_path / "b").write_bytes("grün".encode("utf-16"))
    (tmp_path / "c").write_bytes(b"\x7fELF\x00\xff\xfe\x00")
    (tmp_path / "d").write_bytes(b"\xef\xbb\xbfgr\xc3\xbcn\r\n")
    workspace = Workspace(tmp_path)
    assert [workspace.text(name) for name in "abd"] == ["grün", "grün", "grün\n"]
    assert workspace.text("c") is None
    assert [n.what for n in workspace.notes] == ["it is not UTF-8: read as Latin-1"]


def test_the_files_of_a_folder_are_those_below_it() -> None:
    names = ["a", "a!/x", "a-b/x", "a.py", "a/b", "a/c/d", "a/é", "a0", "ab/x", "b/a/x"]
    workspace = Workspace.of(dict.fromkeys(names, ""))
    assert list(workspace.under("a")) == ["a/b", "a/c/d", "a/é"]
    assert list(workspace.under("a/c")) == ["a/c/d"]
    assert list(workspace.under("nosuch")) == []
    assert list(workspace.under(".")) == sorted(names)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-32-be"])
def test_encodings_that_say_what_they_are_are_read(encoding: str, tmp_path: Path) -> None:
    mark = b"\0\0\xfe\xff" if encoding == "utf-32-be" else b""
    (tmp_path / "a.yaml").write_bytes(mark + "Resources: é\n".encode(encoding))
    assert Workspace(tmp_path).text("a.yaml") == "Resources: é\n"


@pytest.mark.parametrize("data", [b"\xff\xfe\0\xd8a\0", b"\xff\xfe\0\0a", b"\xfe\xffa"])
def test_a_file_that_is_not_the_encoding_it_begins_as_is_noted(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(data)
    workspace = Workspace(tmp_path)
    assert workspace.text("a.yaml") is None
    [note] = workspace.notes
    assert "that its beginning says" in note.what
