"""A folder is one node for good; a file that says otherwise is refused."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from casemate.folder.presence import IDENTITY
from casemate.nodes.identity import IdentityError, IdentityFile
from casemate.nodes.membership import name_of


def test_what_is_kept_is_read_without_making_one(tmp_path: Path) -> None:
    assert IdentityFile(tmp_path).kept() is None
    assert not list(tmp_path.iterdir())
    made = IdentityFile(tmp_path).read()
    assert IdentityFile(tmp_path).kept() == made


def test_an_id_is_made_once_and_kept_with_the_newest_incarnation(tmp_path: Path) -> None:
    made, incarnation = IdentityFile(tmp_path).read()
    assert (len(made), incarnation) == (32, 0)
    assert IdentityFile(tmp_path).read() == (made, 0)
    IdentityFile(tmp_path).write(made, 7)
    assert IdentityFile(tmp_path).read() == (made, 7)
    assert [each.name for each in tmp_path.iterdir()] == [IDENTITY]
    assert stat.S_IMODE((tmp_path / IDENTITY).stat().st_mode) == 0o600


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    made, _ = IdentityFile(tmp_path).read()
    (tmp_path / IDENTITY).with_suffix(".new").write_bytes(b"{")
    IdentityFile(tmp_path).write(made, 2)
    assert IdentityFile(tmp_path).read() == (made, 2)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"id": "../../etc", "incarnation": 1}',
        b'{"id": "%s", "incarnation": -1}' % (b"a" * 32),
        b'{"id": "%s", "incarnation": 1, "more": 1}' % (b"a" * 32),
        b'{"id": "%s", "incarnation": 1%s}' % (b"a" * 32, b" " * 5000),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / IDENTITY).write_bytes(content)
    with pytest.raises(IdentityError, match="damaged"):
        IdentityFile(tmp_path).read()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b'{"id": "%s", "incarnation": 1}' % (b"a" * 32))
    (tmp_path / IDENTITY).symlink_to(other)
    with pytest.raises(IdentityError):
        IdentityFile(tmp_path).read()
    IdentityFile(tmp_path).write("b" * 32, 3)
    assert b"aaaa" in other.read_bytes(), "written beside it"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("web-1.example.com", "web-1-abcdef"),
        ("localhost", "localhost-abcdef"),
        ("\x1b[31mé.x", "31m-abcdef"),
        ("", "node-abcdef"),
        ("x" * 300, "x" * 40 + "-abcdef"),
    ],
)
def test_a_name_is_that_of_the_host_and_can_be_shown(host: str, name: str) -> None:
    assert name_of(host, "abcdef0123456789") == name
