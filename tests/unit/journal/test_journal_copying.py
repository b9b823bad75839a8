"""What a backup has of a journal is the journal, or it is refused."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.journal import verify
from casemate.journal.copying import JournalCopy, _full, unpack
from casemate.journal.errors import JournalDamagedError, JournalInputError
from casemate.journal.note import NoteKey
from casemate.journal.writer import Writer
from support.journal import KEY, PRIVATE, entry, write_journal

WHOLE = 1 << 40


def parts_of(copy: JournalCopy, folder: Path, most: int = WHOLE) -> list[Path]:
    """Write all of a copy."""
    found: list[Path] = []
    more = True
    while more:
        found.append(folder / f"part.{len(found)}")
        descriptor = os.open(found[-1], os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            more = copy.write(descriptor, most)
        finally:
            os.close(descriptor)
    return found


def unpacked(parts: list[Path], folder: Path) -> NoteKey | None:
    keys = []
    for part in parts:
        with part.open("rb") as file:
            keys.append(unpack(file, folder))
    assert not any(keys[1:])
    return keys[0]


@pytest.mark.parametrize("sizes", [[], [1], [255], [256], [257, 600], [3, 700, 1024]])
@pytest.mark.parametrize("most", [WHOLE, 20_000])
def test_a_copy_is_verified_and_goes_on(tmp_path: Path, sizes: list[int], most: int) -> None:
    writer = write_journal(tmp_path / "j", sizes)
    size = writer.size
    writer.append([b"not signed yet"] if size else [])
    parts = parts_of(JournalCopy(tmp_path / "j", KEY, writer), tmp_path, most)
    assert len(parts) > 1 or most == WHOLE or size < 300
    again = tmp_path / "again"
    assert unpacked(parts, again) == KEY
    found = verify(again, KEY)
    assert (found.findings, found.size, found.unsigned) == ((), size, 0)
    other = Writer(again, KEY)
    assert other.append([b"next"]) == size and other.checkpoint(PRIVATE.sign).size == size + 1
    assert verify(again, KEY).findings == ()
    writer.close()
    other.close()


def test_full_tiles_of_every_level_are_in_it() -> None:
    names = list(_full(66_000))
    assert len(names) == len(set(names)) == 257 + 257 + 1
    assert {"tile/0/256", "tile/entries/256", "tile/1/000"} < set(names)


def test_a_journal_may_be_written_while_it_is_copied(tmp_path: Path) -> None:
    writer = write_journal(tmp_path / "j", [1000])
    copy = JournalCopy(tmp_path / "j", KEY, writer)
    parts: list[Path] = []
    more = True
    while more:
        writer.append([entry(writer.size + n) for n in range(300)])
        writer.checkpoint(PRIVATE.sign)
        parts.append(tmp_path / f"part.{len(parts)}")
        with parts[-1].open("wb") as file:
            more = copy.write(file.fileno(), 4000)
    writer.close()
    assert len(parts) > 3
    unpacked(parts, tmp_path / "again")
    found = verify(tmp_path / "again", KEY)
    assert (found.findings, found.size) == ((), 1000)


def test_a_file_that_is_gone_ends_it(tmp_path: Path) -> None:
    writer = write_journal(tmp_path / "j", [600])
    copy = JournalCopy(tmp_path / "j", KEY, writer)
    (tmp_path / "j/tile/entries/001").unlink()
    with pytest.raises(JournalDamagedError, match="entries/001"):
        parts_of(copy, tmp_path)
    writer.close()


def record(name: bytes, data: bytes, size: int | None = None) -> bytes:
    return struct.pack(">HQ", len(name), len(data) if size is None else size) + name + data


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        record(b"../pending", b""),
        record(b"/etc/passwd", b""),
        record(b"tile/0/../../../x", b""),
        record(b"tile/0/000/", b""),
        record(b"tile/0/000\n", b""),
        record(b"tile/7/000", b""),
        record(b"tile/0/" + b"x001/" * 9 + b"000", b""),
        record(b"lock", b""),
        record(b"restored", b"{}"),
        record(b"new", b""),
        record(b"records/records.db", b""),
        record(b"", b""),
        record(b"\xff" * 300, b""),
        record(b"pending", b"", 1 << 60),
        record(b"tile/0/000", b"", 1 << 30),
        record(b"pending", b"abc", 4),
        record(b"pending", b"abc") * 2,
        record(b"key", b"no key"),
    ],
)
def test_what_no_copy_holds_is_refused(tmp_path: Path, data: bytes) -> None:
    folder = tmp_path / "inside/j"
    with pytest.raises(JournalInputError):
        unpack(io.BytesIO(data), folder)
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(folder in path.parents for path in made)


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_goes_unseen(
    where: float, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    writer = write_journal(folder / "j", [300])
    (part,) = parts_of(JournalCopy(folder / "j", KEY, writer), folder)
    writer.close()
    data = bytearray(part.read_bytes())
    data[int(where * len(data))] ^= 1 << bit
    part.write_bytes(data)
    try:
        key = unpacked([part], folder / "again")
    except JournalInputError:
        return
    assert key != KEY or verify(folder / "again", KEY).findings
