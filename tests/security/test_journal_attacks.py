"""Attacks on a journal's files: each is found, and told where."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate.journal.checkpoint import Checkpoint
from casemate.journal.errors import JournalDamagedError
from casemate.journal.merkle import leaf_hash
from casemate.journal.note import NoteKey
from casemate.journal.tiles import bundle, unbundled
from casemate.journal.verifying import Verified, verify
from casemate.journal.writer import Writer
from support.journal import KEY, PRIVATE, entry, write_journal

SIZES = [10, 300, 520, 900]
"""Checkpoints of the journal that is attacked; the last is in the fourth bundle."""
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a journal that is whole."""
    folder = tmp_path / "journal"
    write_journal(folder, SIZES).close()
    assert verify(folder, KEY).findings == ()
    return folder


def found(result: Verified, index: int) -> bool:
    """Tell whether a finding names this entry."""
    return any(each.first <= index < each.end for each in result.findings)


def edit_bundle(folder: Path, number: int, change: Callable[[list[bytes]], None]) -> None:
    name = f"tile/entries/{number:03}" + (".p/132" if number == 3 else "")
    file = folder / name
    entries = unbundled(file.read_bytes())
    change(entries)
    file.write_bytes(bundle(entries))


@pytest.mark.parametrize("index", [0, 5, 255, 256, 511, 600, 768, 899])
def test_an_edited_entry_is_found_to_the_entry(folder: Path, index: int) -> None:
    edit_bundle(folder, index // 256, lambda each: each.__setitem__(index % 256, b"edited"))
    result = verify(folder, KEY)
    assert [(each.first, each.end) for each in result.findings if each.kind == "changed"] == [
        (index, index + 1)
    ]


@pytest.mark.parametrize("index", [0, 255, 600, 899])
def test_a_removed_entry_is_found(folder: Path, index: int) -> None:
    edit_bundle(folder, index // 256, lambda each: each.__delitem__(index % 256))
    assert found(verify(folder, KEY), index)


def test_swapped_entries_are_found(folder: Path) -> None:
    def swap(entries: list[bytes]) -> None:
        entries[3], entries[9] = entries[9], entries[3]

    edit_bundle(folder, 1, swap)
    changed = [each.first for each in verify(folder, KEY).findings if each.kind == "changed"]
    assert changed == [256 + 3, 256 + 9]


def test_swapped_bundles_are_found(folder: Path) -> None:
    one, other = folder / "tile/entries/000", folder / "tile/entries/001"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    result = verify(folder, KEY)
    assert found(result, 0)
    assert found(result, 511) or result.more


def test_an_inserted_entry_is_found(folder: Path) -> None:
    edit_bundle(folder, 3, lambda each: each.insert(4, b"inserted"))
    assert found(verify(folder, KEY), 768 + 4)


@pytest.mark.parametrize("name", ["tile/entries/000", "tile/entries/002", "tile/0/001"])
def test_a_missing_file_is_found(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert found(verify(folder, KEY), int(name[-3:]) * 256 + 7)


def test_every_flipped_byte_of_every_file_is_found(folder: Path) -> None:
    files = [
        each
        for each in folder.rglob("*")
        if each.is_file() and each.name not in ("lock", "pending")
    ]
    missed = []
    for file in files:
        data = file.read_bytes()
        for at in range(0, len(data), max(1, len(data) // 23)):
            file.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
            if not verify(folder, KEY).findings:
                missed.append((file.name, at))
        file.write_bytes(data)
    assert missed == []


def test_a_flipped_byte_of_the_pending_file_is_found(folder: Path) -> None:
    file = folder / "pending"
    data = file.read_bytes()
    # The last entry may look like a cut group: then what was signed says that it is missing.
    for at in range(0, len(data), 37):
        file.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        assert verify(folder, KEY).findings, at


def rewrite(folder: Path, index: int, key: NoteKey, private: Ed25519PrivateKey) -> Path:
    """Make the whole journal anew with one entry edited, as who can write all files does."""
    forged = folder.with_name("forged")
    writer = Writer(forged, key)
    writer.append([b"edited" if n == index else entry(n) for n in range(SIZES[-1])])
    writer.checkpoint(private.sign)
    writer.close()
    return forged


def test_tiles_made_anew_are_found_by_the_signed_heads(folder: Path) -> None:
    forged = rewrite(folder, 400, KEY, OTHER)
    shutil.rmtree(folder / "tile")
    shutil.copytree(forged / "tile", folder / "tile")
    rewritten = [each for each in verify(folder, KEY).findings if each.kind == "rewritten"]
    # Entry 400 lies between the heads of 300 and of 520 entries.
    assert [(each.first, each.end) for each in rewritten] == [(300, 520)]


def test_a_head_of_another_key_is_found(folder: Path) -> None:
    forged = rewrite(folder, 400, KEY, OTHER)
    result = verify(forged, KEY)
    assert any(each.kind == "checkpoint" for each in result.findings)


def test_who_has_the_key_is_found_by_a_head_that_was_sent_out(folder: Path) -> None:
    sent = Checkpoint(KEY.name, 520, _root(folder))
    forged = rewrite(folder, 400, KEY, PRIVATE)
    assert verify(forged, KEY).findings == ()
    result = verify(forged, KEY, [sent])
    assert [(each.kind, each.end) for each in result.findings] == [("rewritten", 520)]


def _root(folder: Path) -> bytes:
    writer = write_journal(folder.with_name("copy"), [520])
    writer.close()
    return writer.head.root


def test_a_roll_back_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    write_journal(folder, [300]).close()
    old = tmp_path / "old"
    shutil.copytree(folder, old)
    writer = Writer(folder, KEY)
    writer.append([entry(n) for n in range(300, 340)])
    sent = writer.checkpoint(PRIVATE.sign)
    writer.close()
    # All of it, with its head, is from before: only a head that was sent out tells.
    result = verify(old, KEY, [sent])
    assert [(each.kind, each.first, each.end) for each in result.findings] == [
        ("rolled back", 300, 340)
    ]
    # The head alone is from before, its history is not.
    shutil.copy(old / "checkpoint", folder / "checkpoint")
    (folder / "checkpoints").write_bytes(
        (old / "checkpoint").read_bytes() + sent.signed(KEY, PRIVATE.sign).encode()
    )
    assert any(each.kind == "rolled back" for each in verify(folder, KEY).findings)


def test_a_cut_journal_is_found(folder: Path) -> None:
    shutil.rmtree(folder / "tile/entries/003.p")
    shutil.rmtree(folder / "tile/0/003.p")
    result = verify(folder, KEY)
    assert found(result, 768)
    assert found(result, 899)


def test_another_nodes_journal_is_no_replacement(folder: Path) -> None:
    other = folder.with_name("other")
    key = NoteKey("other.test/journal", OTHER.public_key().public_bytes_raw())
    writer = Writer(other, key)
    writer.append([b"theirs"])
    writer.checkpoint(OTHER.sign)
    writer.close()
    assert any(each.kind == "checkpoint" for each in verify(other, KEY).findings)


def test_an_edit_that_reaches_the_lowest_tile_is_found_in_its_bundle(folder: Path) -> None:
    edit_bundle(folder, 1, lambda each: each.__setitem__(7, b"edited"))
    tile = folder / "tile/0/001"
    data = bytearray(tile.read_bytes())
    data[7 * 32 : 8 * 32] = leaf_hash(b"edited")
    tile.write_bytes(data)
    result = verify(folder, KEY)
    assert any(each.kind == "tile" and each.first == 256 for each in result.findings)
    assert found(result, 256 + 7)


def test_many_findings_are_told_as_such(folder: Path) -> None:
    for number in range(3):
        edit_bundle(folder, number, lambda each: each.reverse())
    result = verify(folder, KEY)
    assert result.more
    assert len(result.findings) == 200


def test_a_head_that_was_taken_away_is_found(folder: Path) -> None:
    (folder / "checkpoint").unlink()
    assert any(each.kind == "checkpoint" for each in verify(folder, KEY).findings)
    with pytest.raises(JournalDamagedError, match="checkpoint"):
        Writer(folder, KEY)


def test_a_journal_that_nobody_signed_yet_is_whole(tmp_path: Path) -> None:
    writer = Writer(tmp_path, KEY)
    writer.append([entry(0), entry(1)])
    writer.close()
    result = verify(tmp_path, KEY)
    assert (result.size, result.unsigned, result.findings) == (0, 2, ())


@pytest.mark.parametrize("left", [None, b"", b"\0" * 400, b"\xa7nonsense"])
def test_a_history_that_was_taken_away_or_filled_is_found(folder: Path, left: bytes | None) -> None:
    history = folder / "checkpoints"
    if left is None:
        history.unlink()
    else:
        history.write_bytes((history.read_bytes() if left.startswith(b"\xa7") else b"") + left)
    assert {each.kind for each in verify(folder, KEY).findings} == {"checkpoint"}


@pytest.mark.parametrize("name", ["tile/0/003.p/132", "tile/1/000.p/3", "tile/entries/003.p/132"])
def test_what_was_added_to_a_part_of_a_tile_is_found(folder: Path, name: str) -> None:
    file = folder / name
    added = bundle([b"one more"]) if "entries" in name else bytes(32)
    file.write_bytes(file.read_bytes() + added)
    assert verify(folder, KEY).findings


@pytest.mark.storm
@pytest.mark.timeout(1800)
def test_changes_by_chance_of_any_file_are_found(folder: Path) -> None:
    chosen = random.Random(12)
    files = [each for each in folder.rglob("*") if each.is_file() and each.name != "lock"]
    attacked = folder.with_name("attacked")
    for number in range(2_000):
        file = chosen.choice(files)
        data = file.read_bytes()
        first, end = sorted(chosen.sample(range(len(data) + 1), 2))
        flipped = bytearray(data)
        flipped[first] ^= 1 << chosen.randrange(8)
        made = (
            bytes(flipped),
            data[:first] + data[end:],
            data[:end] + data[first:end] + data[end:],
        )
        changed = made[number % 3]
        if file.name in ("pending", "checkpoints"):
            continue  # a cut end is what a kill leaves there; they have tests of their own
        shutil.rmtree(attacked, ignore_errors=True)
        shutil.copytree(folder, attacked)
        (attacked / file.relative_to(folder)).write_bytes(changed)
        found_here = verify(attacked, KEY)
        assert changed == data or found_here.findings, (number, file, first, end)
