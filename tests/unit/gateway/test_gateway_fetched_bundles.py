"""Bundles in a shared store: what several nodes do at once, what a store may do, and crashes."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from casemate.blobs import BlobsUnreachableError, FolderBlobs, S3Blobs, S3Store
from casemate.gateway.bundles import BundleStore
from casemate.gateway.fetched_bundles import MAX_SEALED_BYTES, BundleRow, FetchedBundles
from casemate.gateway.sealed_bundles import SealedFolder
from casemate.model.errors import NotFoundError, UnavailableError
from support.archives import Keys, bundle_archive
from support.blob_places import CLUSTER, client
from support.s3 import S3Server

CODE = b"code-of-the-function"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    started = S3Server(tmp_path_factory.mktemp("s3"))
    yield started
    started.close()


class Rows:
    """The rows that nodes share, and the versions that need them."""

    def __init__(self) -> None:
        self.all: dict[str, BundleRow] = {}
        self.versions: set[str] = set()
        self.broken = False

    async def find(self, digest: str) -> BundleRow | None:
        return self.all.get(digest)

    async def keep(self, row: BundleRow) -> BundleRow | None:
        if self.broken:
            raise UnavailableError("the store is away")
        before = self.all.get(row.digest)
        self.all[row.digest] = row
        return before

    async def forget(self, digest: str, blob: str) -> bool:
        row = self.all.get(digest)
        if row is None or row.blob != blob or digest in self.versions:
            return False
        del self.all[digest]
        return True

    async def rows(self) -> list[BundleRow]:
        return list(self.all.values())


class Node:
    """A node: its memory, its cache, and what it shares."""

    def __init__(self, cluster: Cluster, root: Path, capacity: int) -> None:
        self.cache, self.unpacked = root / "cache", root / "memory"
        for folder in (self.cache, self.unpacked):
            folder.mkdir(parents=True, exist_ok=True)
        self.sealed = FetchedBundles(
            SealedFolder(self.cache), cluster.blobs, cluster.rows, capacity=capacity
        )
        self.told: list[tuple[str, str]] = []
        self.store = BundleStore(
            self.sealed,
            self.unpacked,
            cluster.keys,
            capacity=0,
            on_tampered=lambda *told: self.told.append(told),
        )

    async def runs(self, digest: str) -> bytes:
        """Acquire a bundle as who starts it does; return its code."""
        await self.store.acquire(digest)
        try:
            return (self.store.folder(digest) / "code" / "app.py").read_bytes()
        finally:
            self.store.release(digest)

    def cached(self) -> list[Path]:
        return sorted(self.cache.iterdir())


class Cluster:
    """Nodes that share rows and blobs."""

    def __init__(self, root: Path, blobs: FolderBlobs | S3Blobs) -> None:
        self.root = root
        self.blobs = blobs
        self.rows = Rows()
        self.keys = Keys()
        self.fetched: list[str] = []
        copy = blobs.copy

        def noted(name: str, size: int, target: Path) -> None:
            self.fetched.append(name)
            copy(name, size, target)

        blobs.copy = noted  # type: ignore[method-assign]
        (root / "made").mkdir()

    def node(self, name: str = "a", capacity: int = 1 << 20) -> Node:
        return Node(self, self.root / name, capacity)

    def bundle(self, code: bytes = CODE) -> tuple[str, Path]:
        return bundle_archive(self.root / "made", code)

    def names(self) -> set[str]:
        if isinstance(self.blobs, S3Blobs):
            self.blobs._store._deleting.submit(lambda: None).result(10)
        return {each.name for each in self.blobs.listed()}

    def file(self, digest: str) -> Path:
        """Return the blob of a bundle, where they are in a folder."""
        assert isinstance(self.blobs, FolderBlobs)
        return self.blobs.path / self.rows.all[digest].blob


Scene = Callable[[Cluster], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[[Scene], None]]:
    blobs = FolderBlobs(tmp_path / "blobs")

    async def run(scene: Scene) -> None:
        await scene(Cluster(tmp_path, blobs))

    yield lambda scene: asyncio.run(run(scene))
    blobs.close()


def test_bundles_over_a_start_on_an_empty_folder(tmp_path: Path, server: S3Server) -> None:
    store = S3Store(client(server, secrets.token_hex(8)), CLUSTER)

    async def scene() -> None:
        cluster = Cluster(tmp_path, store.blobs("bundles"))
        node = cluster.node()
        digest, archive = cluster.bundle()
        await node.store.put(digest, archive)
        assert await node.runs(digest) == CODE and cluster.fetched == []
        (name,) = cluster.names()
        assert digest not in name and len(name) == 32
        other = cluster.node("b")
        assert await other.runs(digest) == CODE
        assert cluster.fetched == [name]
        again = cluster.node("b")  # what was fetched is still there
        assert await again.runs(digest) == CODE and cluster.fetched == [name]
        await node.store.remove(digest)
        assert cluster.names() == set()
        with pytest.raises(NotFoundError, match="has no bundle"):
            await cluster.node("c").runs(digest)

    asyncio.run(scene())
    store.close()


def test_many_that_need_it_fetch_it_once(play) -> None:
    async def scene(cluster: Cluster) -> None:
        digest, archive = cluster.bundle()
        await cluster.node().store.put(digest, archive)
        node = cluster.node("b")
        asked = [asyncio.ensure_future(node.runs(digest)) for _ in range(20)]
        opened = [asyncio.ensure_future(node.sealed.open(digest)) for _ in range(20)]
        await asyncio.sleep(0)
        asked[0].cancel()  # who asked first and went away takes nobody with it
        assert set(await asyncio.gather(*asked[1:])) == {CODE}
        for stream in await asyncio.gather(*opened):
            stream.close()
        assert len(cluster.fetched) == 1

    play(scene)


def test_the_loop_goes_on_while_a_slow_store_is_read(play) -> None:
    async def scene(cluster: Cluster) -> None:
        digest, archive = cluster.bundle()
        await cluster.node().store.put(digest, archive)
        fast, begun, go = cluster.blobs.copy, threading.Event(), threading.Event()

        def slow(*arguments) -> None:
            begun.set()
            go.wait(30)
            fast(*arguments)

        cluster.blobs.copy = slow  # type: ignore[method-assign]
        asked = asyncio.ensure_future(cluster.node("b").runs(digest))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        assert await asyncio.to_thread(lambda: 7) == 7
        assert not asked.done()
        go.set()
        assert await asked == CODE

    play(scene)


def test_the_cache_is_bounded_and_lets_go_of_what_was_used_longest_ago(play) -> None:
    async def scene(cluster: Cluster) -> None:
        digests = []
        for number in range(4):
            digest, archive = cluster.bundle(CODE + bytes([number]) * 5000)
            await cluster.node().store.put(digest, archive)
            digests.append(digest)
        size = max(row.size for row in cluster.rows.all.values())
        node = cluster.node("b", capacity=2 * size + size // 2)
        for digest in (*digests[:2], digests[0], digests[2]):
            await node.runs(digest)
        assert {file.stem for file in node.cached()} == {digests[0], digests[2]}
        tiny = cluster.node("c", capacity=0)
        for digest in digests:
            assert (await tiny.runs(digest)).startswith(CODE)
        assert len(tiny.cached()) == 1
        # Read while it is let go: who has it open goes on.
        stream = await tiny.sealed.open(digests[0])
        await tiny.runs(digests[1])
        with stream:
            assert len(stream.read()) == cluster.rows.all[digests[0]].size

    play(scene)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:3],
        lambda data: b"",
        lambda data: data + b"x",
        lambda data: data[:90] + bytes([data[90] ^ 1]) + data[91:],
        lambda data: bytes([0, 0, 0, 9]) + data[4:],
    ],
)
def test_a_damaged_copy_is_fetched_anew_and_a_damaged_blob_is_told(play, damage) -> None:
    async def scene(cluster: Cluster) -> None:
        digest, archive = cluster.bundle()
        await cluster.node().store.put(digest, archive)
        node = cluster.node("b")
        await node.runs(digest)
        (copy,) = node.cached()
        content = copy.read_bytes()
        copy.unlink()  # it is a link where both are in folders
        copy.write_bytes(damage(content))
        fresh = cluster.node("b")
        assert await fresh.runs(digest) == CODE
        assert len(cluster.fetched) == 2 and fresh.told == []
        blob = cluster.file(digest)
        blob.write_bytes(damage(blob.read_bytes()))
        other = cluster.node("c")
        with pytest.raises(NotFoundError):
            await other.runs(digest)
        if digest in other.store.damaged:
            assert not await other.store.is_kept(digest)
        await other.store.put(digest, archive)
        assert await cluster.node("d").runs(digest) == CODE
        assert len(cluster.names()) == 1

    play(scene)


def test_a_blob_of_another_bundle_or_an_older_one_is_refused(play) -> None:
    async def scene(cluster: Cluster) -> None:
        node = cluster.node()
        one, archive = cluster.bundle()
        two, second = cluster.bundle(b"evil-of-the-function")
        await node.store.put(one, archive)
        await node.store.put(two, second)
        cluster.file(one).write_bytes(cluster.file(two).read_bytes())
        row = cluster.rows.all[one]
        cluster.rows.all[one] = row._replace(size=cluster.rows.all[two].size)
        for name in "bc":
            other = cluster.node(name)
            with pytest.raises(NotFoundError, match="damaged"):
                await other.runs(one)
            assert other.told and other.told[0][0] == one
        cluster.rows.all[one] = cluster.rows.all[two]._replace(digest=one)
        with pytest.raises(NotFoundError, match="damaged"):
            await cluster.node("d").runs(one)

    play(scene)


@pytest.mark.parametrize("size", [0, -1, MAX_SEALED_BYTES + 1, 10 << 30])
def test_a_row_with_an_impossible_size_fetches_nothing(play, size: int) -> None:
    async def scene(cluster: Cluster) -> None:
        digest, archive = cluster.bundle()
        await cluster.node().store.put(digest, archive)
        cluster.rows.all[digest] = cluster.rows.all[digest]._replace(size=size)
        with pytest.raises(UnavailableError, match="impossible size"):
            await cluster.node("b").runs(digest)
        assert cluster.fetched == []

    play(scene)


def test_a_row_that_names_no_blob(play) -> None:
    async def scene(cluster: Cluster) -> None:
        digest, archive = cluster.bundle()
        await cluster.node().store.put(digest, archive)
        for name in ("../../made/x", "/etc/passwd", "0" * 32):
            cluster.rows.all[digest] = cluster.rows.all[digest]._replace(blob=name)
            with pytest.raises(NotFoundError):
                await cluster.node("b").runs(digest)

    play(scene)


def test_killed_between_blob_and_row_and_between_row_and_deletion(play) -> None:
    async def scene(cluster: Cluster) -> None:
        node = cluster.node()
        digest, archive = cluster.bundle()
        cluster.rows.broken = True
        with pytest.raises(UnavailableError, match="away"):
            await node.store.put(digest, archive)
        # Whether the row is there is not known, so the blob stays.
        assert len(cluster.names()) == 1 and node.cached() == []
        cluster.rows.broken = False
        await node.store.put(digest, archive)
        other, second = cluster.bundle(b"other")
        await node.store.put(other, second)
        cluster.blobs.delete = lambda names: None  # type: ignore[method-assign]
        await node.store.remove(other)
        del cluster.blobs.delete
        assert len(cluster.names()) == 3
        cluster.blobs.grace = 3600.0
        assert await node.sealed.sweep() == 0
        cluster.blobs.grace = 0.0
        assert await node.sealed.sweep() == 2
        assert cluster.names() == {cluster.rows.all[digest].blob}
        assert await cluster.node("b").runs(digest) == CODE

    play(scene)


def test_two_nodes_that_put_and_seal_anew_at_once(play) -> None:
    async def scene(cluster: Cluster) -> None:
        one, two = cluster.node("a"), cluster.node("b")
        digest, archive = cluster.bundle()
        await asyncio.gather(*(node.store.put(digest, archive) for node in (one, two)))
        assert len(cluster.names()) == 1
        cluster.keys.rotate()
        await asyncio.gather(*(node.store.rekey() for node in (one, two)))
        assert cluster.names() == {cluster.rows.all[digest].blob}
        del cluster.keys.versions[1]
        for node in (cluster.node("a"), cluster.node("c")):
            assert await node.runs(digest) == CODE

    play(scene)


def test_a_blob_that_is_replaced_while_it_is_fetched(play) -> None:
    async def scene(cluster: Cluster) -> None:
        one, two = cluster.node("a"), cluster.node("b")
        digest, archive = cluster.bundle()
        await one.store.put(digest, archive)
        old, find, asked = cluster.rows.all[digest], cluster.rows.find, []

        async def late(digest: str) -> BundleRow | None:
            asked.append(digest)
            return old if len(asked) == 1 else await find(digest)

        cluster.keys.rotate()
        await one.store.rekey()
        cluster.rows.find = late  # type: ignore[method-assign]
        assert await two.runs(digest) == CODE
        assert len(asked) == 2

    play(scene)


def test_nothing_that_a_version_needs_is_removed(play) -> None:
    """One node finds a bundle unused while another deploys it."""

    async def scene(cluster: Cluster) -> None:
        one = cluster.node("a")
        digest, archive = cluster.bundle()
        await one.store.put(digest, archive)
        cluster.rows.versions.add(digest)
        await one.store.remove(digest)
        assert await one.store.load(set(), time.time() + 10) == {}
        assert await cluster.node("b").runs(digest) == CODE

    play(scene)


def test_a_start_removes_what_nobody_deployed_and_tells_what_waits(play) -> None:
    async def scene(cluster: Cluster) -> None:
        node = cluster.node()
        kept, archive = cluster.bundle()
        waits, second = cluster.bundle(b"waits")
        gone, third = cluster.bundle(b"gone")
        for digest, file in ((kept, archive), (waits, second), (gone, third)):
            await node.store.put(digest, file)
        cluster.rows.all[gone] = cluster.rows.all[gone]._replace(at=1.0)
        (node.cache / f".{kept}.new").write_bytes(b"cut")
        (node.cache / f"{'9' * 64}.sealed").write_bytes(b"of another cluster")
        again = cluster.node()
        loaded = await again.store.load({kept}, time.time() - 60)
        assert loaded == {waits: cluster.rows.all[waits].size}
        assert {file.stem for file in again.cached()} == {kept, waits}
        assert len(cluster.names()) == 2
        assert await again.store.missing({kept, gone}) == {gone}

    play(scene)


def test_a_store_that_is_away_is_no_damage(play) -> None:
    async def scene(cluster: Cluster) -> None:
        digest, archive = cluster.bundle()
        await cluster.node().store.put(digest, archive)
        copy, node = cluster.blobs.copy, cluster.node("b")

        def away(*_arguments) -> None:
            raise BlobsUnreachableError("The object store cannot be used at the moment.")

        cluster.blobs.copy = away  # type: ignore[method-assign]
        with pytest.raises(UnavailableError, match="cannot be used"):
            await node.runs(digest)
        assert node.store.damaged == {} and node.cached() == []
        cluster.blobs.copy = copy  # type: ignore[method-assign]
        assert await node.runs(digest) == CODE

    play(scene)


def test_a_full_disk_while_it_is_fetched(play) -> None:
    async def scene(cluster: Cluster) -> None:
        digest, archive = cluster.bundle()
        await cluster.node().store.put(digest, archive)
        copy, node = cluster.blobs.copy, cluster.node("b")

        def full(_name: str, _size: int, target: Path) -> None:
            target.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        cluster.blobs.copy = full  # type: ignore[method-assign]
        with pytest.raises(UnavailableError, match="No space left"):
            await node.runs(digest)
        assert node.cached() == []
        cluster.blobs.copy = copy  # type: ignore[method-assign]
        assert await node.runs(digest) == CODE

    play(scene)
