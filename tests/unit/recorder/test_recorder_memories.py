"""Memory of gateways outlives all processes of a node, and is gone once it was kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.recorder import memories, outstanding
from casemate.recorder.memories import MAX_LEFT, Memories

JOURNAL = b"0123456789abcdef"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memories, "_MEMORY", tmp_path)
    return tmp_path


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def node(place: Path, reports: list[str]) -> Iterator[Memories]:
    made = Memories("n", reports.append)
    yield made
    made.close()


def used(node: Memories, text: bytes = b"") -> None:
    """Have a gateway that had a recorder."""
    with node.new() as memory:
        outstanding.mark(memory.fileno(), JOURNAL)
        os.pwrite(memory.fileno(), text, outstanding.SLOT)


def texts(node: Memories) -> list[bytes]:
    given = node.given()
    try:
        return [os.pread(each.fileno(), 1, outstanding.SLOT) for each in given]
    finally:
        for each in given:
            each.close()


def test_what_was_not_kept_is_there_for_every_recorder(place: Path, node: Memories) -> None:
    used(node, b"a")
    assert [each.stat().st_mode & 0o777 for each in place.iterdir()] == [0o600]
    used(node, b"b")
    assert texts(node) == texts(node) == [b"a", b"b"]


def test_what_was_kept_is_removed_and_what_never_had_a_recorder(
    place: Path, node: Memories
) -> None:
    used(node)
    first, _ = *node.given(), None
    outstanding.forget(first.fileno())
    first.close()
    assert texts(node) == []
    node.new().close()
    node.new().close()
    assert len(list(place.iterdir())) == 1
    node.close()
    assert list(place.iterdir()) == []


def test_a_node_that_was_killed_finds_it_again(
    place: Path, node: Memories, reports: list[str]
) -> None:
    used(node, b"a")
    again = Memories("n", reports.append)
    assert texts(again) == [b"a"]
    used(again, b"b")
    assert texts(again) == [b"a", b"b"]
    other = Memories("m", reports.append)
    assert texts(other) == []
    again.close()
    assert "not on record until" in reports[-1] and len(list(place.iterdir())) == 2
    last = Memories("n", reports.append)
    assert texts(last) == [b"a", b"b"]
    last.close()


def test_files_of_others_are_not_opened(
    place: Path, node: Memories, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write to that place cannot have a node keep, or shorten, what it chose."""
    used(node, b"a")
    [mine] = place.iterdir()
    victim = place / "victim"
    victim.write_bytes(bytes(outstanding.SIZE))
    victim.chmod(0o600)
    name = mine.name[:-1]
    os.symlink(victim, place / f"{name}!")
    os.link(victim, place / f"{name}#")
    os.mkfifo(place / f"{name}$", 0o600)
    shared = place / f"{name}%"
    shared.write_bytes(bytes(outstanding.SIZE))
    shared.chmod(0o666)
    assert texts(Memories("n", reports.append)) == [b"a"]
    uid = os.geteuid()
    seen = Memories("n", reports.append)
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    monkeypatch.setattr(seen, "_prefix", name)
    seen._known.clear()
    seen._find(mine)
    assert texts(seen) == []


def test_gateways_whose_memory_is_never_kept_are_bounded(
    place: Path, node: Memories, reports: list[str]
) -> None:
    for number in range(MAX_LEFT + 3):
        used(node, b"%d" % (number % 10))
    assert len(list(place.iterdir())) == MAX_LEFT
    assert texts(node)[-1] == b"%d" % ((MAX_LEFT + 2) % 10)
    assert len(reports) == 3 and "given up" in reports[0]


def test_without_a_place_it_is_said_and_the_supervisor_alone_has_it(
    place: Path, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memories, "_MEMORY", place / "missing")
    node = Memories("n", reports.append)
    used(node, b"a")
    assert "killed at once" in reports[0] and texts(node) == [b"a"]
    node.close()
