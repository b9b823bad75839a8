"""What a node remembers of its database is kept, and what contradicts it is refused by name."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from casemate.postgresql import fence as fences
from casemate.postgresql.errors import FenceDamagedError, FencedError
from casemate.postgresql.fence import DAMAGED, Fence, Memory, Server

FIRST, SECOND = Server(7, 1, "a"), Server(7, 2, "b")
LIFE, NEXT = b"1" * 16, b"2" * 16


def test_what_was_acknowledged_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "fence"
    fence = Fence(path)
    fence.admitted("a", FIRST, LIFE)
    fence.admitted("b", FIRST, NEXT)
    assert fence.acknowledged("a", LIFE, 41)
    assert fence.acknowledged("a", LIFE, 40), "another thread was faster"
    # Not closed: a killed process does not do that either.
    again = Fence(path)
    assert again.of("a") == Memory(7, 1, LIFE, 41)
    assert again.of("b") == Memory(7, 1, NEXT, 0)
    assert again.of("c") is None
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_older_timeline_or_another_system_is_refused(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence")
    fence.require(FIRST)
    fence.admitted("a", SECOND, LIFE)
    fence.require(SECOND)
    fence.require(SECOND._replace(timeline=3))
    for fence_now in (fence, Fence(tmp_path / "fence")):
        with pytest.raises(FencedError, match="timeline is 1, and 2 was seen already"):
            fence_now.require(FIRST)
        with pytest.raises(FencedError, match="system identifier is none of 7"):
            fence_now.require(Server(8, 9, "c"))


def test_what_an_older_server_commits_is_not_acknowledged(tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence")
    fence.admitted("a", FIRST, LIFE)
    fence.admitted("b", FIRST, LIFE)
    assert not fence.is_behind(FIRST)
    fence.admitted("a", SECOND, NEXT)
    assert fence.is_behind(FIRST)
    assert not fence.acknowledged("a", LIFE, 50), "its life is over"
    assert not fence.acknowledged("b", LIFE, 50), "another schema has seen the newer timeline"
    assert fence.acknowledged("a", NEXT, 3)


def test_a_loss_is_accepted_by_its_own_name_once(tmp_path: Path) -> None:
    path = tmp_path / "fence"
    fence = Fence(path)
    fence.admitted("a", SECOND, LIFE)
    with pytest.raises(FencedError) as refused:
        fence.require(FIRST)
    (name,) = re.findall(r"--accept-loss (engine/[0-9a-f]{16})$", str(refused.value.next_step))
    assert Fence(path, ["engine/0000000000000000", "store", DAMAGED]).of("a") is not None
    accepted = Fence(path, [name])
    assert accepted.of("a") is None
    accepted.require(FIRST)
    accepted.admitted("a", SECOND, NEXT)
    # Whoever leaves the option in a unit accepts no other loss by it.
    with pytest.raises(FencedError):
        Fence(path, [name]).require(FIRST)


@pytest.mark.parametrize("at", [0, 3, 20, 256, 264, 300, 330, 360])
def test_a_damaged_file_is_refused_until_that_is_accepted(tmp_path: Path, at: int) -> None:
    path = tmp_path / "fence"
    Fence(path).admitted("a", SECOND, LIFE)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(FenceDamagedError, match="is damaged"):
        Fence(path)
    assert path.read_bytes() == content
    assert Fence(path, [DAMAGED]).of("a") is None
    Fence(path)


@pytest.mark.parametrize("length", [1, 100, 255, 257, 400])
def test_a_file_that_was_cut_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "fence"
    Fence(path).admitted("a", SECOND, LIFE)
    os.truncate(path, length)
    with pytest.raises(FenceDamagedError):
        Fence(path)


def test_room_for_a_record_that_was_never_durable_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "fence"
    Fence(path).admitted("a", SECOND, LIFE)
    os.truncate(path, path.stat().st_size + 256)
    fence = Fence(path)
    fence.admitted("b", SECOND, LIFE)
    again = Fence(path)
    assert (again.of("a"), again.of("b")) == (Memory(7, 2, LIFE), Memory(7, 2, LIFE))


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "fence").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        Fence(tmp_path / "fence")
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_written_is_told_and_nothing_new_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fence = Fence(tmp_path / "fence")
    fence.admitted("a", FIRST, LIFE)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(fences.os, "pwrite", full)
        assert fence.acknowledged("a", LIFE, 5)
        assert fence.faults()
        with pytest.raises(OSError, match="No space"):
            fence.admitted("b", FIRST, LIFE)
        with pytest.raises(OSError, match="No space"):
            fence.admitted("a", SECOND, NEXT)
    assert fence.of("b") is None
    assert not fence.is_behind(FIRST)
    assert fence.acknowledged("a", LIFE, 6)
    assert not fence.faults()
    assert Fence(tmp_path / "fence").of("a") == Memory(7, 1, LIFE, 6)


def test_more_schemas_than_can_be_followed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fences, "MAX_SCHEMAS", 2)
    fence = Fence(tmp_path / "fence")
    fence.admitted("a", FIRST, LIFE)
    fence.admitted("b", FIRST, LIFE)
    with pytest.raises(OSError, match="more than 2 schemas"):
        fence.admitted("c", FIRST, LIFE)
