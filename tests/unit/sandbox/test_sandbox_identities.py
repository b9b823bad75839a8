"""The user ids of functions: claimed by one node, given out one by one, mapped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.model.errors import ProtectionMissingError
from casemate.sandbox import identities
from casemate.sandbox.identities import BLOCKS, Identities, IdRange, IdsInUseError

RANGE = IdRange(1_000_000, 2_000_000, BLOCKS * 4)


@pytest.fixture(autouse=True)
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(identities, "_CLAIMS", tmp_path)
    return tmp_path


@pytest.fixture
def ids() -> Iterator[Identities]:
    made = Identities(RANGE)
    yield made
    made.close()


def test_each_is_given_to_one_at_a_time(ids: Identities) -> None:
    taken = [ids.take() for _ in range(4)]
    assert sorted(taken) == [1, 2, 3, 4]
    with pytest.raises(IdsInUseError, match="All 4 user ids"):
        ids.take()


def test_one_that_was_given_back_is_the_last_to_be_given_again(ids: Identities) -> None:
    first = ids.take()
    ids.release(first)
    assert [ids.take() for _ in range(4)].index(first) == 3
    ids.release(first)
    assert ids.take() == first


def test_nodes_of_one_host_have_different_ids(ids: Identities) -> None:
    others = [Identities(RANGE) for _ in range(BLOCKS - 1)]
    starts = {one.range.uid for one in (ids, *others)}
    assert starts == {RANGE.uid + 4 * block for block in range(BLOCKS)}
    assert {one.range.gid - one.range.uid for one in others} == {1_000_000}
    with pytest.raises(ProtectionMissingError, match="there is none left"):
        Identities(RANGE)
    others[3].close()
    again = Identities(RANGE)
    assert again.range == others[3].range
    for one in (*others, again):
        one.close()


def test_closing_twice_is_fine(ids: Identities) -> None:
    ids.close()
    ids.close()


def test_a_range_that_is_too_small_is_refused() -> None:
    with pytest.raises(ProtectionMissingError, match="too small"):
        Identities(IdRange(1, 1, BLOCKS - 1))


@pytest.mark.parametrize("planted", ["link", "open", "file", "theirs"])
def test_a_folder_of_somebody_else_is_not_used(claims: Path, planted: str) -> None:
    """Nor does it keep root from its own: anybody can make names where the claims are."""
    folder = claims / f"casemate-ids-{os.geteuid()}-{RANGE.uid}"
    if planted == "link":
        (claims / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(claims / "elsewhere")
    elif planted == "open":
        folder.mkdir()
        folder.chmod(0o777)
    elif planted == "theirs" and os.geteuid() == 0:
        folder.mkdir(mode=0o700)
        (folder / "0").touch()
        os.chown(folder, 12345, 12345)
    else:
        folder.touch(0o600)
    before = folder.lstat().st_ino
    if os.geteuid() != 0:
        with pytest.raises(ProtectionMissingError, match="cannot claim"):
            Identities(RANGE)
        return
    first, second = Identities(RANGE), Identities(RANGE)
    seen = folder.lstat()
    assert (seen.st_uid, seen.st_mode & 0o777) == (0, 0o700) and seen.st_ino != before
    assert {each.name for each in folder.iterdir()} == {"0", "1"}
    assert not list((claims / "elsewhere").glob("*"))
    first.close()
    second.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root takes a name over")
def test_one_that_was_slower_leaves_what_the_other_claims_in(
    claims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = claims / f"casemate-ids-0-{RANGE.uid}"
    folder.touch()
    others = claims / "made by another node"
    others.mkdir(mode=0o700)
    exchange, first = identities._exchange, []

    def after_another(one: Path, other: Path) -> None:
        if not first:
            first.append(True)
            exchange(folder, others)
        exchange(one, other)

    monkeypatch.setattr(identities, "_exchange", after_another)
    inode = others.stat().st_ino
    Identities(RANGE).close()
    assert folder.stat().st_ino == inode


def test_a_map_that_cannot_be_written_is_told(ids: Identities) -> None:
    with pytest.raises(ProtectionMissingError, match="cannot be mapped"):
        # This process's own: the kernel lets nobody change the map of the first namespace.
        ids.map_into(os.getpid(), (0, 0))


def test_the_helper_of_the_distribution_is_told_what_to_map(
    ids: Identities, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("newuidmap", "newgidmap"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "$0 $@" >>{tmp_path}/told\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    ids.map_into(77, (1000, 1001))
    start = ids.range.uid
    assert (tmp_path / "told").read_text().splitlines() == [
        f"{tmp_path}/newuidmap 77 0 1000 1 1 {start} 4",
        f"{tmp_path}/newgidmap 77 0 1001 1 1 {start + 1_000_000} 4",
    ]


def test_a_helper_that_refuses_is_told(
    ids: Identities, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "newuidmap").write_text("#!/bin/sh\necho not allowed >&2\nexit 1\n")
    (tmp_path / "newuidmap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ProtectionMissingError, match="not allowed"):
        ids.map_into(77, (1000, 1000))
