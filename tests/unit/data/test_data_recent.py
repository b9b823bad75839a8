"""Objects kept in memory: what is read from there is what the database has, and encrypted."""

from __future__ import annotations

import asyncio

import pytest
from data_support import RESOURCES, Data

from casemate.data import recent
from casemate.data.interface import MAX_PART
from casemate.data.objects import FoundObject
from casemate.data.recent import MAX_BYTES, MAX_OBJECT_BYTES, RecentObjects
from casemate.model.errors import InvalidInputError
from casemate.model.grant import Resources


def kept(data: Data, key: str = "a", bucket: str = "files") -> bytes | None:
    found = data.port.get_recent_object("p", bucket, key)
    return None if found is None else found[1]


def test_what_was_read_is_kept_and_is_the_same(data: Data) -> None:
    written = data.put_object("p", "files", "a", b"content", metadata={"m": "n"})
    assert kept(data) is None
    read = data.get_object("p", "files", "a")
    assert data.port.get_recent_object("p", "files", "a") == read == (written, b"content")
    piece = data.port.get_recent_object("p", "files", "a", offset=3, length=2)
    assert piece == (written, b"te")
    assert kept(data, bucket="other") is None


def test_a_piece_that_cannot_be_is_refused_or_left_to_the_read(data: Data) -> None:
    data.put_object("p", "files", "a", b"content")
    data.get_object("p", "files", "a")
    with pytest.raises(InvalidInputError, match="offset is 8"):
        data.port.get_recent_object("p", "files", "a", offset=8)
    assert data.port.get_recent_object("p", "files", "a", length=MAX_PART + 1) is None


@pytest.mark.parametrize("change", ["put", "delete", "drop", "rekey", "close"])
def test_what_changes_an_object_takes_it_out(data: Data, change: str) -> None:
    data.put_object("p", "files", "a", b"old")
    data.put_object("p", "files", "b", b"other")
    for key in "ab":
        data.get_object("p", "files", key)
    if change == "put":
        data.put_object("p", "files", "a", b"new")
    elif change == "delete":
        data.delete_object("p", "files", "a")
    elif change == "drop":
        left = tuple(b for b in RESOURCES.buckets if b.name != "files")
        data.drop("p", "bucket", "files")
        data.ensure("p", Resources(buckets=(*left, RESOURCES.buckets[0])))
    elif change == "rekey":
        data.vault.newest += 1
        data.rekey("p")
    else:
        data.reopen()
    assert kept(data) is None
    assert (kept(data, "b") is not None) == (change in ("put", "delete"))


def test_older_revisions_large_objects_and_files_are_not_kept(data: Data) -> None:
    first = data.put_object("p", "kept", "a", b"1").revision
    data.put_object("p", "kept", "a", b"2")
    data.get_object("p", "kept", "a", revision=first)
    assert kept(data, bucket="kept") is None
    for key, size in (("small", MAX_OBJECT_BYTES), ("large", MAX_OBJECT_BYTES + 1), ("f", 40_000)):
        data.put_object("p", "files", key, b"x" * size)
        data.get_object("p", "files", key)
        assert (kept(data, key) is not None) == (key == "small")


def test_a_read_that_a_change_overtook_is_not_kept(data: Data) -> None:
    """The read has its row before the change begins and is answered after it is committed."""
    data.put_object("p", "files", "a", b"old")

    async def race() -> None:
        opened = data.port._projects.opened["p"]
        reading = opened.read

        async def late(question):
            row = await reading(question)
            await data.port.put_object("p", "files", "a", b"new")
            return row

        opened.read = late
        try:
            assert (await data.port.get_object("p", "files", "a"))[1] == b"old"
        finally:
            del opened.read

    data.run(race())
    assert kept(data) is None
    assert data.get_object("p", "files", "a")[1] == b"new" == kept(data)


def test_readers_never_see_a_revision_again_after_a_newer_one(data: Data) -> None:
    """Reads from memory and from the database beside a stream of writes only go forward."""
    data.put_object("p", "files", "a", b"0")
    hits = 0

    async def read(stop: asyncio.Event) -> None:
        nonlocal hits
        last = 0
        while not stop.is_set():
            found = data.port.get_recent_object("p", "files", "a")
            hits += found is not None
            if found is None:
                found = await data.port.get_object("p", "files", "a")
            assert found[0].revision >= last
            last = found[0].revision
            assert found[1] == str(last - 1).encode()
            await asyncio.sleep(0)

    async def both() -> None:
        stop = asyncio.Event()
        readers = [asyncio.ensure_future(read(stop)) for _ in range(3)]
        for number in range(1, 200):
            info = await data.port.put_object("p", "files", "a", str(number).encode())
            found = data.port.get_recent_object("p", "files", "a")
            assert found is None or found[0].revision == info.revision
            await asyncio.sleep(0.001)
        stop.set()
        await asyncio.gather(*readers)

    data.run(both())
    assert hits


def test_no_more_than_its_bytes_and_the_oldest_goes_first(data: Data) -> None:
    number = MAX_BYTES // MAX_OBJECT_BYTES + 10
    for index in range(number):
        data.put_object("p", "files", f"k{index}", b"x" * MAX_OBJECT_BYTES)
        data.get_object("p", "files", f"k{index}")
        assert kept(data, "k0") is not None  # which makes it the latest used
    assert kept(data, "k1") is None
    assert kept(data, f"k{number - 1}") is not None
    held: RecentObjects = data.port._projects.opened["p"].recent
    assert 0 < held._bytes <= MAX_BYTES
    assert held._bytes == sum(map(recent._size, held._objects.values()))


def test_what_is_kept_is_encrypted(data: Data) -> None:
    data.put_object("p", "files", "a", b"zebra7-planted")
    data.get_object("p", "files", "a")
    held: RecentObjects = data.port._projects.opened["p"].recent
    (found,) = held._objects.values()
    assert isinstance(found, FoundObject)
    assert b"zebra7" not in found.sealed
    assert "zebra7" not in repr(found.info)
