"""Objects: revisions, conditions, limits, listings, and keys that look like something else."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from data_support import Data

from casemate.data import MAX_PART, LimitError
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.grant import BucketSpec, Resources

FOR_SQLITE_ALONE: frozenset[str] = frozenset({"test_groups_are_jumped_over"})

ODD_KEYS = [
    "../../etc/passwd",
    "/absolute",
    "a/../b",
    ".",
    "..",
    "a//b",
    "con\\aux",
    "'; DROP TABLE object; --",
    '" OR 1=1 --',
    "%2e%2e%2f",
    "line\nfeed",
    "\u202egnp.exe",
    "\ufeff",
    "K",
    "k",
    "\u212a",  # KELVIN SIGN: lower-cases to k
    "é",
    "e\u0301",
    "\U0010ffff",
    " ",
    "x" * 1024,
]


def test_odd_keys_are_data_and_all_different(data: Data, tmp_path) -> None:
    for number, key in enumerate(ODD_KEYS):
        data.put_object("p", "files", key, str(number).encode() * 20_000)
    for number, key in enumerate(ODD_KEYS):
        assert data.get_object("p", "files", key)[1] == str(number).encode() * 20_000
    listed = [found.key for found in data.list_objects("p", "files").objects]
    assert listed == sorted(ODD_KEYS, key=lambda key: key.encode())
    large = [key for number, key in enumerate(ODD_KEYS) if len(str(number)) * 20_000 > 32 * 1024]
    assert len(data.files()) == len(large)
    assert all(
        len(file.name) == 32 and file.stat().st_mode & 0o777 == 0o600 for file in data.files()
    )
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


@pytest.mark.parametrize(
    "key", ["", "x" * 1025, "é" * 513, "nul\0", "\ud800", "a\udfffb", b"bytes", None, 7]
)
def test_what_cannot_be_a_key(data: Data, key) -> None:
    for call in (
        lambda: data.put_object("p", "files", key, b""),
        lambda: data.get_object("p", "files", key),
        lambda: data.head_object("p", "files", key),
        lambda: data.delete_object("p", "files", key),
        lambda: data.object_revisions("p", "files", key),
        lambda: data.begin_object("p", "files", key, content_type="a/b", metadata={}),
    ):
        with pytest.raises(InvalidInputError):
            call()


def test_what_is_returned_is_what_was_written(data: Data) -> None:
    content = b"hello"
    info = data.put_object(
        "p", "files", "k", content, content_type="text/plain; charset=utf-8", metadata={"a": "ü"}
    )
    assert (info.key, info.revision, info.size) == ("k", 1, 5)
    assert info.sha256 == hashlib.sha256(content).hexdigest()
    data.reopen()
    assert data.get_object("p", "files", "k") == (info, content)
    assert data.head_object("p", "files", "k") == info
    assert data.list_objects("p", "files").objects == (info,)


@pytest.mark.parametrize("size", [0, 1, 32 * 1024, 32 * 1024 + 1, 65536, 65537, 131072, 200_000])
def test_ranges(data: Data, size: int) -> None:
    content = bytes(index * 7 % 251 for index in range(size))
    data.put_object("p", "files", "k", content)
    assert data.get_object("p", "files", "k")[1] == content
    edges = sorted({0, 1, 100, 65535, 65536, 65537, size - 1, size} & set(range(size + 1)))
    for offset in edges:
        for length in (0, 1, 65536, 70_000, None):
            expected = content[offset:] if length is None else content[offset : offset + length]
            assert data.get_object("p", "files", "k", offset=offset, length=length)[1] == expected
    with pytest.raises(InvalidInputError):
        data.get_object("p", "files", "k", offset=size + 1)


@pytest.mark.parametrize(
    "bad",
    [{"offset": -1}, {"length": -1}, {"length": MAX_PART + 1}, {"offset": True}, {"revision": 0}],
)
def test_ranges_that_are_none(data: Data, bad) -> None:
    data.put_object("p", "files", "k", b"x")
    with pytest.raises(InvalidInputError):
        data.get_object("p", "files", "k", **bad)


def test_conditions(data: Data) -> None:
    with pytest.raises(ConflictError):
        data.put_object("p", "files", "k", b"1", if_revision=1)
    assert data.put_object("p", "files", "k", b"1", if_revision=0).revision == 1
    with pytest.raises(ConflictError):
        data.put_object("p", "files", "k", b"2", if_revision=0)
    assert data.put_object("p", "files", "k", b"2", if_revision=1).revision == 2
    with pytest.raises(ConflictError):
        data.delete_object("p", "files", "k", if_revision=1)
    assert data.get_object("p", "files", "k")[1] == b"2"
    data.delete_object("p", "files", "k", if_revision=2)
    with pytest.raises(NotFoundError):
        data.get_object("p", "files", "k")
    data.delete_object("p", "files", "k")
    data.delete_object("p", "files", "k", if_revision=0)
    with pytest.raises(ConflictError):
        data.delete_object("p", "files", "k", if_revision=2)


def test_a_refused_change_leaves_no_file(data: Data) -> None:
    data.put_object("p", "files", "k", b"x" * 50_000)
    with pytest.raises(ConflictError):
        data.put_object("p", "files", "k", b"y" * 50_000, if_revision=7)
    assert len(data.files()) == 1


def test_revisions_are_never_used_twice(data: Data) -> None:
    for _ in range(3):
        last = data.put_object("p", "files", "k", b"x").revision
    data.delete_object("p", "files", "k")
    assert data.put_object("p", "files", "k", b"x").revision > last
    data.delete_object("p", "files", "k")
    data.reopen()
    assert data.put_object("p", "files", "k", b"x").revision > last + 1


def test_versions_are_kept_and_the_others_go_with_their_files(data: Data) -> None:
    for number in range(5):
        data.put_object("p", "kept", "k", bytes([number]) * 40_000)
    found = data.object_revisions("p", "kept", "k")
    assert [info.revision for info in found] == [5, 4, 3]
    assert data.get_object("p", "kept", "k", revision=3)[1] == bytes([2]) * 40_000
    with pytest.raises(NotFoundError):
        data.get_object("p", "kept", "k", revision=2)
    assert len(data.files()) == 3
    assert len(data.list_objects("p", "kept").objects) == 1
    data.ensure("p", Resources(buckets=(BucketSpec(name="kept", versions=1),)))
    assert [info.revision for info in data.object_revisions("p", "kept", "k")] == [5]
    assert len(data.files()) == 1
    data.delete_object("p", "kept", "k")
    assert data.files() == []


def test_limits(data: Data) -> None:
    with pytest.raises(LimitError, match="101 bytes"):
        data.put_object("p", "small", "k", b"x" * 101)
    data.put_object("p", "small", "a", b"x" * 100)
    data.put_object("p", "small", "b", b"x" * 100)
    with pytest.raises(LimitError):
        data.put_object("p", "small", "c", b"x" * 51)
    data.put_object("p", "small", "c", b"x" * 50)
    data.put_object("p", "small", "a", b"x" * 99)
    data.delete_object("p", "small", "b")
    data.put_object("p", "small", "d", b"x" * 100)
    with pytest.raises(InvalidInputError):
        data.put_object("p", "files", "k", b"x" * (MAX_PART + 1))


def test_the_total_holds_when_many_write_at_once(data: Data) -> None:
    async def race() -> list[object]:
        return await asyncio.gather(
            *(data.port.put_object("p", "small", f"k{n}", b"x" * 60) for n in range(30)),
            return_exceptions=True,
        )

    results = data.run(race())
    assert sum(1 for result in results if not isinstance(result, Exception)) == 4
    assert all(isinstance(r, LimitError) for r in results if isinstance(r, Exception))
    assert sum(info.size for info in data.list_objects("p", "small").objects) == 240


def test_one_of_many_with_the_same_condition_wins(data: Data) -> None:
    async def race() -> list[object]:
        return await asyncio.gather(
            *(
                data.port.put_object("p", "files", "k", str(n).encode() * 9000, if_revision=0)
                for n in range(20)
            ),
            return_exceptions=True,
        )

    results = data.run(race())
    assert sum(1 for result in results if not isinstance(result, Exception)) == 1
    assert len(data.object_revisions("p", "files", "k")) == 1


def test_pages(data: Data) -> None:
    keys = [f"{folder}/{number:02}" for folder in "abc" for number in range(7)]
    for key in keys:
        data.put_object("p", "files", key, b"")
    found, after = [], None
    while True:
        page = data.list_objects("p", "files", after=after, limit=4)
        found += [info.key for info in page.objects]
        after = page.after
        if after is None:
            break
    assert found == keys
    assert data.list_objects("p", "files", limit=21).after is None
    page = data.list_objects("p", "files", prefix="b/", limit=7)
    assert [info.key for info in page.objects] == keys[7:14]
    assert page.after is None


def test_a_delimiter_groups(data: Data) -> None:
    for key in ("a", "a/1", "a/2/3", "b/", "b/1", "c", "d/x\u00e9/1"):
        data.put_object("p", "files", key, b"")
    page = data.list_objects("p", "files", delimiter="/")
    assert [info.key for info in page.objects] == ["a", "c"]
    assert page.prefixes == ("a/", "b/", "d/")
    page = data.list_objects("p", "files", prefix="b/", delimiter="/")
    assert [info.key for info in page.objects] == ["b/", "b/1"]
    seen: list[str] = []
    after = None
    while True:
        page = data.list_objects("p", "files", delimiter="/", limit=1, after=after)
        seen += [*(info.key for info in page.objects), *page.prefixes]
        after = page.after
        if after is None:
            break
    assert seen == ["a", "a/", "b/", "c", "d/"]


def test_groups_are_jumped_over(data: Data) -> None:
    """What a listing costs depends on what it returns, not on what it groups."""
    for number in range(300):
        data.put_object("p", "files", f"many/{number}", b"")
    data.put_object("p", "files", "z", b"")
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    async def ask():
        from casemate.data import objects

        opened = data.opened()
        bucket = opened.resource("bucket", "files")

        def question(connection):
            connection.set_progress_handler(count, 1)
            try:
                return objects.page(
                    connection, bucket, prefix="", after=None, limit=10, delimiter="/"
                )
            finally:
                connection.set_progress_handler(None, 1)

        return await opened.read(question)

    page = data.run(ask())
    assert page.prefixes == ("many/",)
    assert [info.key for info in page.objects] == ["z"]
    assert steps < 300


@pytest.mark.parametrize(
    "bad",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": True},
        {"prefix": "\0"},
        {"prefix": "\ud800"},
        {"delimiter": ""},
        {"after": "\0"},
    ],
)
def test_pages_that_are_none(data: Data, bad) -> None:
    with pytest.raises(InvalidInputError):
        data.list_objects("p", "files", **bad)


@pytest.mark.parametrize(
    "kind", ["text", "text/", "a/b\r\nX: y", "a/b\n", "ä/b", "a/b" * 100, 5, ""]
)
def test_content_types_that_are_none(data: Data, kind) -> None:
    with pytest.raises(InvalidInputError):
        data.put_object("p", "files", "k", b"", content_type=kind)


@pytest.mark.parametrize(
    "metadata", [{"a": 1}, {1: "a"}, {"": "a"}, {"a": "\0"}, {"a": "x" * 9000}, [("a", "b")]]
)
def test_metadata_that_is_none(data: Data, metadata) -> None:
    with pytest.raises(InvalidInputError):
        data.put_object("p", "files", "k", b"", metadata=metadata)


def test_a_cancelled_caller_leaves_all_or_nothing(data: Data) -> None:
    async def cancel() -> None:
        for pause in (0, 0.0005, 0.002, 0.01):
            task = asyncio.ensure_future(
                data.port.put_object("p", "files", f"k{pause}", b"x" * 100_000)
            )
            await asyncio.sleep(pause)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    data.run(cancel())
    data.reopen()
    data.list_objects("p", "files")
    listed = data.list_objects("p", "files").objects
    assert len(data.files()) == len(listed)
    for info in listed:
        assert data.get_object("p", "files", info.key)[1] == b"x" * 100_000


def test_reading_while_it_is_replaced(data: Data) -> None:
    """A reader gets one whole revision, whichever."""

    async def race() -> None:
        async def write() -> None:
            for number in range(40):
                await data.port.put_object("p", "files", "k", bytes([number]) * 70_000)

        async def read() -> None:
            for _ in range(40):
                info, content = await data.port.get_object("p", "files", "k")
                assert hashlib.sha256(content).hexdigest() == info.sha256

        await data.port.put_object("p", "files", "k", b"\0" * 70_000)
        await asyncio.gather(write(), read(), read())

    data.run(race())


def test_labels_stay_with_the_revision_they_came_with(data: Data) -> None:
    first = data.put_object("p", "kept", "k", b"1", labels=b"one")
    large = data.put_object("p", "kept", "k", b"2" * 100_000, labels=b"two")
    upload = data.begin_object("p", "kept", "u", content_type="text/plain", metadata={})
    data.add_part("p", "kept", upload, b"3")
    data.commit_object("p", "kept", upload, labels=b"three")
    assert (first.labels, large.labels) == (b"one", b"two")
    assert [info.labels for info in data.object_revisions("p", "kept", "k")] == [b"two", b"one"]
    assert data.get_object("p", "kept", "k", revision=1)[0].labels == b"one"
    assert [info.labels for info in data.list_objects("p", "kept").objects] == [b"two", b"three"]
    data.put_object("p", "kept", "k", b"4")
    assert data.head_object("p", "kept", "k").labels == b""
    with pytest.raises(InvalidInputError):
        data.put_object("p", "kept", "k", b"5", labels="text")
