"""Large objects in an S3-compatible store: nothing lost, nothing left, and what a store may do."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from data_support import Data
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.blobs import BlobsUnreachableError, S3Blobs, S3Store
from casemate.blobs.s3 import SEGMENT_BYTES
from casemate.data import DataCorruptError, DataMediumError, DataOptions, orphans
from casemate.data.files import FileWriter, ObjectFiles
from casemate.model.errors import ConflictError
from support.blob_places import CLUSTER, client
from support.s3 import S3Server

SIZE = 150_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    started = S3Server(tmp_path_factory.mktemp("s3"))
    yield started
    started.close()


class Shared(Data):
    """A project's data whose large objects are in a bucket."""

    def __init__(self, folder: Path, server: S3Server, **more) -> None:
        self.prefix = secrets.token_hex(8)
        self.client = client(server, self.prefix)
        self.store = S3Store(self.client, CLUSTER)
        super().__init__(folder, blobs=lambda name: self.store.blobs(f"objects/{name}"), **more)

    def keys(self, project: str = "p") -> list[str]:
        self.store._deleting.submit(lambda: None).result(10)
        return [key for key, _ in self.store.keys(f"objects/{project}/")]

    def names(self) -> set[str]:
        return {key.split("/")[2] for key in self.keys()}

    def sweep_store(self) -> None:
        """Sweep as is done from time to time, as if all were old."""
        files = self.opened().files
        files._blobs.grace = 0.0
        self.run(self.port._projects._orphans.sweep(self.opened()))

    def finish(self) -> None:
        super().finish()
        self.store.close()


@pytest.fixture
def data(tmp_path: Path, server: S3Server) -> Iterator[Shared]:
    opened = Shared(tmp_path / "data", server)
    yield opened
    opened.finish()


def test_objects_are_read_after_a_start_on_an_empty_folder(data: Shared) -> None:
    content = bytes(range(256)) * (2 * SEGMENT_BYTES // 256 + 9)
    data.put_object("p", "files", "small", b"small")
    data.put_object("p", "files", "large", content[:SIZE])
    upload = data.begin_object("p", "files", "parts")
    for start in range(0, len(content), 1 << 20):
        data.add_part("p", "files", upload, content[start : start + (1 << 20)])
    info = data.commit_object("p", "files", upload)
    assert info.size == len(content)
    assert not (data.folder / "objects" / "p").exists()
    data.reopen()
    assert data.get_object("p", "files", "small")[1] == b"small"
    assert data.get_object("p", "files", "large")[1] == content[:SIZE]
    for offset in (0, SEGMENT_BYTES - 70_000, len(content) - 5):
        piece = data.get_object("p", "files", "parts", offset=offset, length=100_000)[1]
        assert piece == content[offset : offset + 100_000]


def test_what_is_deleted_or_replaced_goes_from_the_bucket(data: Shared) -> None:
    for byte in b"abcd":
        data.put_object("p", "kept", "k", bytes([byte]) * SIZE)
    assert len(data.names()) == 3  # as many revisions as are kept
    data.delete_object("p", "kept", "k")
    upload = data.begin_object("p", "files", "k")
    data.add_part("p", "files", upload, b"x" * SIZE)
    data.abort_object("p", "files", upload)
    with pytest.raises(ConflictError):
        data.put_object("p", "files", "k", b"x" * SIZE, if_revision=7)
    assert data.keys() == []


def test_nothing_of_the_content_is_in_the_bucket(data: Shared) -> None:
    data.put_object("p", "files", "planted-key", b"planted-content" * 10_000)
    (key,) = data.keys()
    assert "planted" not in key
    assert b"planted" not in data.client.get_small(key, 1 << 20)


def test_a_blob_that_was_changed_cut_swapped_or_played_again(data: Shared) -> None:
    content = b"a" * (SEGMENT_BYTES + SIZE)
    for name in "kl":
        upload = data.begin_object("p", "files", name)
        data.add_part("p", "files", upload, content)
        data.commit_object("p", "files", upload)
    data.ensure("q", data.run(data.port.resources("p")))
    data.put_object("q", "files", "k", content)
    key, second, *_ = data.keys()
    whole, end = (data.client.get_small(k, 4 << 20) for k in (key, second))
    others = [data.client.get_small(k, 4 << 20) for k in (data.keys()[2], data.keys("q")[0])]
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 1
    read = lambda: (  # noqa: E731
        data.get_object("p", "files", "k"),
        data.get_object("p", "files", "l"),
    )
    read()
    for bad in (*others, bytes(flipped), whole[:-1], whole + b"x", b"xy", end):
        data.client.put(key, bad)
        with pytest.raises(DataCorruptError):
            read()
    data.client.put(key, whole)
    data.client.put(second, whole[: len(end)])
    with pytest.raises(DataCorruptError):
        read()
    data.client.delete(second)
    with pytest.raises(DataCorruptError, match="missing"):
        read()
    data.client.put(second, end)
    read()


def test_killed_between_blob_and_row_or_between_row_and_deletion(data: Shared) -> None:
    data.put_object("p", "files", "kept", b"k" * SIZE)
    data.put_object("p", "files", "gone", b"g" * SIZE)
    kept = data.names()
    # Killed between its blob and its row, and in the middle of a blob.
    for size in (SIZE, SEGMENT_BYTES + SIZE):
        writer = FileWriter(ObjectFiles(data.blobs("p")))
        writer.write(b"x" * size)
        if size == SIZE:
            writer.finish()
    # Killed between the end of the row and that of the blob.
    data.opened().files._blobs.delete = lambda names: None
    data.delete_object("p", "files", "gone")
    assert len(data.names()) == len(kept) + 2
    data.reopen()
    data.list_objects("p", "files")
    assert len(data.names()) == len(kept) + 2  # too young: each could get its row yet
    data.sweep_store()
    assert len(data.names()) == 1 and data.names() < kept
    assert data.get_object("p", "files", "kept")[1] == b"k" * SIZE


def test_a_blob_that_waited_for_its_row_gets_none_when_it_may_be_swept(
    data: Shared, monkeypatch
) -> None:
    upload = data.begin_object("p", "files", "k")
    data.add_part("p", "files", upload, b"x" * SIZE)
    begun = data.port._uploads._by_id[upload]
    begun.writer.until = time.clock_gettime(time.CLOCK_BOOTTIME) - 1
    with pytest.raises(DataMediumError, match="waited too long"):
        data.commit_object("p", "files", upload)
    assert data.keys() == []


def test_a_sweep_takes_nothing_that_a_backup_still_copies(data: Shared) -> None:
    data.put_object("p", "files", "k", b"x" * SIZE)
    (name,) = data.names()
    files = data.opened().files
    files.hold()
    data.delete_object("p", "files", "k")
    data.sweep_store()
    assert data.names() == {name}
    files.release()
    assert data.names() == set()


def test_a_backup_has_the_files(data: Shared, tmp_path: Path) -> None:
    content = b"x" * (SEGMENT_BYTES + SIZE)
    upload = data.begin_object("p", "files", "k")
    data.add_part("p", "files", upload, content)
    data.commit_object("p", "files", upload)
    data.snapshot(tmp_path / "copy")
    restored = Data(tmp_path / "copy", vault=data.vault, resources=None)
    assert restored.get_object("p", "files", "k", length=100)[1] == b"x" * 100
    assert len(restored.files()) == 1
    restored.finish()


def test_sweeps_run_by_themselves_and_tell_what_fails(
    tmp_path: Path, server: S3Server, monkeypatch
) -> None:
    monkeypatch.setattr(S3Blobs, "grace", 0.001)
    monkeypatch.setattr(orphans, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(orphans, "SWEEP_SECONDS", 0.3)
    data = Shared(tmp_path / "data", server, options=DataOptions(idle_seconds=0.2))
    data.put_object("p", "files", "k", b"x" * SIZE)
    writer = FileWriter(ObjectFiles(data.blobs("p")))
    writer.write(b"x" * SIZE)
    orphan, _ = writer.finish()
    put, identity = data.client, data.client.get_small("casemate-cluster", 4096)
    put.put("casemate-cluster", identity.replace(b"c1", b"d2"))

    async def until(told: bool) -> None:
        import asyncio

        for _ in range(200):
            async with data.port._projects.use("p"):  # nothing is swept of what is closed
                await asyncio.sleep(0.05)
                if bool(data.port.faults()) == told and (told or orphan not in data.names()):
                    return
        raise AssertionError(data.port.faults())

    data.run(until(True))
    assert "belongs to the cluster" in data.port.faults()[0]
    assert orphan in data.names()
    put.put("casemate-cluster", identity)
    data.run(until(False))
    assert data.get_object("p", "files", "k")[1] == b"x" * SIZE
    data.finish()


def test_a_store_that_is_away_takes_only_large_objects_with_it(data: Shared, monkeypatch) -> None:
    data.put_object("p", "files", "large", b"x" * SIZE)

    def away(*_arguments, **_named):
        raise BlobsUnreachableError("The object store cannot be used at the moment.")

    with monkeypatch.context() as patch:
        patch.setattr(data.client, "_ask", away)
        for ask in (
            lambda: data.put_object("p", "files", "k", b"x" * SIZE),
            lambda: data.get_object("p", "files", "large"),
        ):
            with pytest.raises(DataMediumError, match="cannot be used") as caught:
                ask()
            assert caught.value.retryable
        data.reopen()
        data.put_object("p", "files", "small", b"x")
        data.delete_object("p", "files", "large")
        assert data.get_object("p", "files", "small")[1] == b"x"
    data.sweep_store()
    assert data.keys() == []


def test_opening_and_small_objects_do_not_wait_for_a_slow_store(data: Shared, monkeypatch) -> None:
    data.put_object("p", "files", "large", b"x" * SIZE)
    go = threading.Event()
    ask = data.client._ask

    def slow(*arguments, **named):
        go.wait(20)
        return ask(*arguments, **named)

    monkeypatch.setattr(data.client, "_ask", slow)

    async def many() -> None:
        import asyncio

        waiting = [
            asyncio.ensure_future(data.port.get_object("p", "files", "large")) for _ in range(40)
        ]
        began = time.monotonic()
        await data.port.put_object("p", "files", "small", b"x")
        await data.port.resources("other")
        assert time.monotonic() - began < 30
        go.set()
        assert {content for _, content in await asyncio.gather(*waiting)} == {b"x" * SIZE}

    data.run(many())


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_range_of_any_size(server: S3Server, drawn) -> None:
    """One segment is a few chunks here, so that borders meet in all ways."""
    from casemate.blobs import s3
    from casemate.data.files import read_range

    before, s3.SEGMENT_BYTES = s3.SEGMENT_BYTES, drawn.draw(st.integers(70_000, 140_000))
    store = S3Store(client(server, secrets.token_hex(8)), CLUSTER)
    try:
        files = ObjectFiles(store.blobs("objects/p"))
        size = drawn.draw(st.integers(1, 300_000))
        content = (bytes(range(251)) * (size // 251 + 1))[:size]
        writer = FileWriter(files)
        writer.write(content)
        name, key = writer.finish()
        offset = drawn.draw(st.integers(0, size - 1))
        length = drawn.draw(st.integers(0, size - offset))
        found = read_range(files, name, key, size, offset=offset, length=length)
        assert found == content[offset : offset + length]
    finally:
        s3.SEGMENT_BYTES = before
        store.close()
