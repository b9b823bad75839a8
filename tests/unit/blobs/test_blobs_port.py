"""What every store of blobs does, against a folder and against an S3-compatible server."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.blobs import Blobs, BlobsError, FolderBlobs, S3Blobs
from casemate.blobs.errors import BlobDamagedError, BlobSizeError
from casemate.blobs.s3 import SEGMENT_BYTES
from casemate.blobs.sweeping import sweep
from support.blob_places import keys_of, store
from support.s3 import S3Server


@pytest.fixture(params=["folder", "s3"])
def blobs(request, tmp_path: Path) -> Iterator[FolderBlobs | S3Blobs]:
    if request.param == "folder":
        made: FolderBlobs | S3Blobs = FolderBlobs(tmp_path / "blobs")
        yield made
        made.close()
        return
    opened = store(request.getfixturevalue("server"))
    yield opened.blobs("objects/p")
    opened.close()


def write(blobs: Blobs, *parts: bytes) -> str:
    writer = blobs.create()
    for part in parts:
        writer.write(part)
    writer.finish()
    writer.discard()  # nothing happens any more
    return writer.name


def settle(blobs: Blobs) -> None:
    """Wait until what is to be deleted is."""
    if isinstance(blobs, S3Blobs):
        blobs._store._deleting.submit(lambda: None).result(10)


@pytest.mark.parametrize(
    "size",
    [1, 16, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 2 * SEGMENT_BYTES],
)
def test_what_is_written_is_read(blobs: Blobs, size: int) -> None:
    content = os.urandom(1024) * (size // 1024 + 1)
    content = content[:size]
    half = size // 3
    name = write(blobs, content[:half], content[half:], b"")
    assert blobs.exists(name)
    assert blobs.read(name, size, 0, size) == content
    for offset, length in ((0, 1), (size - 1, 1), (size // 2, size - size // 2)):
        assert blobs.read(name, size, offset, length) == content[offset : offset + length]
    assert blobs.read(name, size, 0, 0) == b""


def test_ranges_over_the_border_of_segments(blobs: Blobs) -> None:
    content = bytes(range(256)) * (2 * SEGMENT_BYTES // 256 + 3)
    name = write(blobs, content)
    for offset in (SEGMENT_BYTES - 5, SEGMENT_BYTES, 2 * SEGMENT_BYTES - 1):
        assert blobs.read(name, len(content), offset, 9) == content[offset : offset + 9]


def test_names_are_random_and_tell_nothing(blobs: Blobs) -> None:
    first, second = write(blobs, b"same"), write(blobs, b"same")
    assert first != second and len(first) == 32
    assert keys_of(blobs) == {first, second}


def test_a_blob_of_another_size_is_refused(blobs: Blobs) -> None:
    name = write(blobs, b"x" * 100)
    for size in (99, 101):
        with pytest.raises(BlobSizeError) as caught:
            blobs.read(name, size, 0, 10)
        assert (caught.value.found, caught.value.expected) == (100, size)
        with pytest.raises(BlobSizeError):
            blobs.read(name, size, 0, 0)


def test_a_blob_that_is_not_there(blobs: Blobs) -> None:
    assert not blobs.exists("0" * 32)
    with pytest.raises(FileNotFoundError):
        blobs.read("0" * 32, 10, 0, 10)
    blobs.delete(["0" * 32])


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a" * 31,
        "A" * 32,
        "a" * 32 + "\n",
        "",
        "/etc/passwd",
        "a" * 30 + "/b",
        "%2e%2e/" * 5,
    ],
)
def test_names_with_traversal(blobs: Blobs, name: str) -> None:
    with pytest.raises(BlobDamagedError):
        blobs.read(name, 10, 0, 10)
    with pytest.raises(BlobDamagedError):
        blobs.exists(name)


def test_deleting_and_discarding_leave_nothing(blobs: Blobs) -> None:
    kept = write(blobs, b"kept")
    gone = write(blobs, b"g" * (2 * SEGMENT_BYTES + 1))
    blobs.delete([gone])
    unfinished = blobs.create()
    unfinished.write(b"u" * (SEGMENT_BYTES + 1))
    unfinished.discard()
    unfinished.discard()
    settle(blobs)
    assert keys_of(blobs) == {kept}
    with pytest.raises(FileNotFoundError):
        blobs.read(gone, 2 * SEGMENT_BYTES + 1, 0, 1)


def test_the_sweep_takes_what_has_no_row_and_is_old(blobs: Blobs, monkeypatch) -> None:
    named, orphan = write(blobs, b"named"), write(blobs, b"orphan")
    half = blobs.create()
    half.write(b"h" * (SEGMENT_BYTES + 1))  # its writer was killed
    monkeypatch.setattr(blobs, "grace", 3600.0)
    assert sweep(blobs, lambda *_: [named], blobs.delete) == 0
    settle(blobs)
    assert keys_of(blobs) == {named, orphan, half.name}
    monkeypatch.setattr(blobs, "grace", 0.0)
    assert sweep(blobs, lambda *_: iter([named]), blobs.delete) == 2
    settle(blobs)
    assert keys_of(blobs) == {named}
    half.discard()


def test_the_sweep_asks_for_rows_after_it_has_listed(blobs: Blobs, monkeypatch) -> None:
    monkeypatch.setattr(blobs, "grace", 0.0)
    name = write(blobs, b"x")
    rows: list[str] = []
    listed = blobs.listed

    def slow():
        yield from listed()
        rows.append(name)  # committed while it is listed

    monkeypatch.setattr(blobs, "listed", slow)
    assert sweep(blobs, lambda *_: rows, blobs.delete) == 0
    settle(blobs)
    assert blobs.exists(name)


def test_names_are_swept_in_batches(blobs: Blobs, monkeypatch) -> None:
    monkeypatch.setattr(blobs, "grace", 0.0)
    monkeypatch.setattr("casemate.blobs.sweeping._AT_ONCE", 2)
    names = [write(blobs, b"x") for _ in range(5)]
    asked = []

    def named(first: str, last: str) -> list[str]:
        asked.append((first, last))
        return [name for name in names[:2] if first <= name <= last]

    assert sweep(blobs, named, blobs.delete) == 3
    assert len(asked) == 3
    settle(blobs)
    assert keys_of(blobs) == set(names[:2])


def test_a_copy_is_private_whole_and_new(blobs: Blobs, tmp_path: Path) -> None:
    content = os.urandom(SEGMENT_BYTES + 7)
    name = write(blobs, content)
    target = tmp_path / "copy"
    blobs.copy(name, len(content), target)
    assert target.read_bytes() == content
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    if isinstance(blobs, S3Blobs):
        with pytest.raises(FileExistsError):
            blobs.copy(name, len(content), target)


def test_owners_see_nothing_of_each_other(server: S3Server) -> None:
    opened = store(server)
    try:
        mine, theirs = opened.blobs("objects/p"), opened.blobs("objects/p-q")
        name = write(mine, b"mine")
        other = write(theirs, b"theirs")
        assert keys_of(mine) == {name}
        with pytest.raises(FileNotFoundError):
            theirs.read(name, 4, 0, 4)
        mine.grace = 0.0  # type: ignore[misc]
        sweep(mine, lambda *_: [], mine.delete)
        settle(mine)
        assert keys_of(theirs) == {other}
        for kind in ("", "..", "objects/..", "objects//p", "a/b/c", "Objects", "objects/p\n"):
            with pytest.raises(BlobsError):
                opened.blobs(kind)
    finally:
        opened.close()
