"""Files of objects that somebody with access to the disk has changed, moved or replaced."""

from __future__ import annotations

import os
import shutil
import time

import pytest
from data_support import RESOURCES, Data
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.data import DataCorruptError, DataError, DataFullError
from casemate.data.content import (
    CHUNK_BYTES,
    ChunkCipher,
    ObjectKey,
    chunk_count,
    context_of,
    file_size,
)
from casemate.data.files import FileWriter, ObjectFiles, open_folder, read_range
from casemate.model.errors import NotFoundError
from casemate.unwritten import unwritten
from casemate.vault.interface import DataKey

SIZE = 150_000
KEY = ObjectKey(DataKey(version=1, key=b"k" * 32))


def put(data: Data, key: str, byte: bytes, bucket: str = "files", project: str = "p"):
    before = set(data.files(project))
    data.put_object(project, bucket, key, byte * SIZE)
    (file,) = set(data.files(project)) - before
    return file


def refused(data: Data, key: str = "k") -> None:
    with pytest.raises(DataCorruptError):
        data.get_object("p", "files", key)


def test_content_is_not_on_the_disk(data: Data, tmp_path) -> None:
    marks = [b"planted-small-content", b"planted-large-content", b"planted-key", b"planted-value"]
    data.put_object("p", "files", "planted-key", marks[0])
    data.put_object("p", "files", "large", marks[1] * 5000, metadata={"m": "planted-value"})
    data.put_item("p", "plain", {"id": "planted-key", "v": "planted-value"})
    data.send("p", "queue", "jobs", b'"planted-value"')
    for file in (path for path in data.folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        assert not any(mark in content for mark in marks), file
    assert any(path.name.endswith("-wal") for path in data.folder.iterdir())


def test_a_file_of_another_key(data: Data) -> None:
    first, second = put(data, "k", b"a"), put(data, "other", b"b")
    shutil.copyfile(second, first)
    refused(data)


def test_a_file_of_another_project(data: Data) -> None:

    data.ensure("q", RESOURCES)
    mine, theirs = put(data, "k", b"a"), put(data, "k", b"a", project="q")
    shutil.copyfile(theirs, mine)
    refused(data)


def test_an_older_revisions_file(data: Data) -> None:
    old = put(data, "k", b"a", bucket="kept")
    new = put(data, "k", b"b", bucket="kept")
    shutil.copyfile(old, new)
    with pytest.raises(DataCorruptError):
        data.get_object("p", "kept", "k")
    assert data.get_object("p", "kept", "k", revision=1)[1] == b"a" * SIZE


@pytest.mark.parametrize("cut", [1, 16, CHUNK_BYTES + 16, SIZE])
def test_a_cut_file(data: Data, cut: int) -> None:
    file = put(data, "k", b"a")
    os.truncate(file, file.stat().st_size - cut)
    refused(data)


def test_an_extended_file(data: Data) -> None:
    file = put(data, "k", b"a")
    with file.open("ab") as stream:
        stream.write(b"\0")
    refused(data)


def test_exchanged_chunks(data: Data) -> None:
    file = put(data, "k", b"a")
    sealed = file.read_bytes()
    step = CHUNK_BYTES + 16
    file.write_bytes(sealed[step : 2 * step] + sealed[:step] + sealed[2 * step :])
    refused(data)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, file_size(SIZE) - 1), st.integers(0, 7))
def test_a_flipped_bit(tmp_path_factory, position: int, bit: int) -> None:
    folder = tmp_path_factory.mktemp("files")
    files = ObjectFiles(open_folder(folder))
    try:
        writer = FileWriter(files)
        writer.write(b"a" * SIZE)
        name, key = writer.finish()
        path = folder / name
        sealed = bytearray(path.read_bytes())
        sealed[position] ^= 1 << bit
        path.write_bytes(sealed)
        with pytest.raises(DataCorruptError):
            read_range(files, name, key, SIZE, offset=0, length=SIZE)
    finally:
        files.close()


def test_a_link_where_a_file_should_be(data: Data, tmp_path) -> None:
    file = put(data, "k", b"a")
    elsewhere = tmp_path / "copy"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    refused(data)


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), os.mkfifo])
def test_something_else_where_a_file_should_be(data: Data, make) -> None:
    file = put(data, "k", b"a")
    file.unlink()
    make(file)
    refused(data)


def test_a_missing_file(data: Data) -> None:
    put(data, "k", b"a").unlink()
    refused(data)
    data.put_object("p", "files", "k", b"again")
    assert data.get_object("p", "files", "k")[1] == b"again"


def test_the_folder_of_objects_is_a_link(tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "objects").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError):
        open_folder(tmp_path / "objects")


@pytest.mark.parametrize("name", ["../x", "a" * 31, "A" * 32, "a" * 32 + "\n", "", "/etc/passwd"])
def test_names_that_are_no_files(tmp_path, name: str) -> None:
    files = ObjectFiles(open_folder(tmp_path))
    with pytest.raises(DataCorruptError):
        files.read(name, 10, 0, 10)
    files.close()


def test_orphans_go_at_the_start(data: Data) -> None:
    kept = put(data, "k", b"a")
    for name in ("0" * 32, "leftover.tmp"):
        (kept.parent / name).write_bytes(b"x")
    data.reopen()
    data.list_objects("p", "files")
    assert data.files() == [kept]


@pytest.mark.parametrize("lost", [lambda p: p.write_bytes(b""), lambda p: p.unlink()])
def test_no_object_goes_because_the_database_is_empty_or_gone(data: Data, lost) -> None:
    """Beside a new database all of them would be orphans."""
    put(data, "k", b"a")
    before = data.files()
    data.run(data.port.close())
    (database,) = data.folder.glob("p@*.db")
    whole = database.read_bytes()
    lost(database)
    data.open()
    with pytest.raises((DataCorruptError, NotFoundError)):
        data.get_object("p", "files", "k")
    with pytest.raises(DataCorruptError, match="Nothing was changed"):
        data.ensure("p", RESOURCES)
    assert data.files() == before
    database.write_bytes(whole)
    assert data.get_object("p", "files", "k")[1] == b"a" * SIZE


def test_the_older_database_stays_until_the_newer_one_has_opened(data: Data) -> None:
    """A rotation that was killed before it deleted the old one, and whose new one is damaged."""
    put(data, "k", b"a")
    data.run(data.port.close())
    old = data.folder / "p@1.db"
    content = old.read_bytes()
    (data.folder / "p@2.db").write_bytes(content[:100])
    data.vault.newest = 2
    data.open()
    with pytest.raises(DataError):
        data.get_object("p", "files", "k")
    assert old.read_bytes() == content
    (data.folder / "p@2.db").unlink()
    assert data.get_object("p", "files", "k")[1] == b"a" * SIZE


def test_a_full_disk(data: Data, monkeypatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    put(data, "k", b"a")
    with monkeypatch.context() as patch:
        patch.setattr("casemate.blobs.folder.write_all", full)
        with pytest.raises(DataFullError) as caught:
            data.put_object("p", "files", "k", b"b" * SIZE)
    assert caught.value.retryable
    assert data.get_object("p", "files", "k")[1] == b"a" * SIZE
    assert len(data.files()) == 1
    data.put_object("p", "files", "k", b"b" * SIZE)


def test_the_database_may_not_grow_beyond_its_bound(tmp_path) -> None:
    from casemate.data import DataOptions

    data = Data(tmp_path / "d", options=DataOptions(max_project_bytes=300_000))
    with pytest.raises(DataFullError):
        for number in range(100):
            data.put_object("p", "files", f"k{number}", b"x" * 20_000)
    time.sleep(1.5)
    assert unwritten() == (), "the disk takes writes: it is the project that has used up its share"
    kept = data.list_objects("p", "files").objects
    assert kept
    data.delete_object("p", "files", kept[0].key)
    data.put_object("p", "files", "again", b"x" * 1000)
    data.finish()


def test_deleting_waits_while_files_are_held(tmp_path) -> None:
    files = ObjectFiles(open_folder(tmp_path))
    writer = FileWriter(files)
    writer.write(b"x" * SIZE)
    name, key = writer.finish()
    files.hold()
    files.hold()
    files.delete([name])
    files.release()
    assert read_range(files, name, key, SIZE, offset=0, length=3) == b"xxx"
    files.release()
    assert files.count() == 0
    files.close()


@given(st.integers(0, 10 * CHUNK_BYTES))
def test_sizes(size: int) -> None:
    assert chunk_count(size) == max(1, (size + CHUNK_BYTES - 1) // CHUNK_BYTES)
    assert file_size(size) == size + 16 * chunk_count(size)


CONTEXT = ("p", "files", "k", 1)


@pytest.mark.parametrize(
    "other",
    [
        ("q", "files", "k", 1),
        ("p", "other", "k", 1),
        ("p", "files", "K", 1),
        ("p", "files", "k", 2),
        ("p", "file", "sk", 1),
    ],
)
def test_content_belongs_to_its_place(other) -> None:
    sealed = KEY.seal(b"content", context_of(*CONTEXT), file=False)
    assert KEY.open(sealed, context_of(*CONTEXT), file=False) == b"content"
    with pytest.raises(DataCorruptError):
        KEY.open(sealed, context_of(*other), file=False)
    with pytest.raises(DataCorruptError):
        KEY.open(sealed, context_of(*CONTEXT), file=True)


@given(st.binary(max_size=60))
def test_what_is_not_sealed_does_not_open(text: bytes) -> None:
    with pytest.raises(DataCorruptError):
        KEY.open(text, b"context", file=False)
    with pytest.raises(DataCorruptError):
        ChunkCipher(b"k" * 32, "a" * 32).open(0, text, last=True)


def test_a_chunk_belongs_to_its_number_and_end() -> None:
    cipher = ChunkCipher(b"k" * 32, "a" * 32)
    sealed = cipher.seal(1, b"x", last=False)
    assert cipher.open(1, sealed, last=False) == b"x"
    for number, last in ((0, False), (2, False), (1, True)):
        with pytest.raises(DataCorruptError):
            cipher.open(number, sealed, last=last)


def test_keys_are_not_shown(data: Data) -> None:
    data.list_objects("p", "files")
    opened = data.opened()
    shown = f"{opened!r} {opened.newest_key!r} {DataKey(version=1, key=opened.page_key)!r}"
    assert opened.page_key.hex() not in shown
    assert repr(opened.page_key) not in shown
