"""A small node's state in a data folder, and what moves it, in this process."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from casemate.blobs import Blobs, FolderBlobs
from casemate.data import Fate, Message, NewMessage, Settlement, Subscription
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.folder.folders import Folders
from casemate.migration.place import Keys
from casemate.migration.postgresql_place import PostgresqlSource, PostgresqlTarget
from casemate.migration.sequence import Move, Outcome
from casemate.migration.sqlite_place import SqliteSource, SqliteTarget
from casemate.model.deployment import NewVersion
from casemate.model.function import FunctionSpec, HttpTrigger
from casemate.model.grant import BucketSpec, QueueSpec, Resources, TableIndex, TableSpec
from casemate.model.trigger import TopicTrigger
from casemate.operations.deployments import KeepVersions
from casemate.operations.node import KeepNodeValue
from casemate.postgresql.settings import Settings
from casemate.store.postgresql.proofs import Proofs, SeenFile
from casemate.store.postgresql.store import PostgresqlStore
from casemate.store.sqlite.store import SqliteStore
from casemate.vault.interface import DataKey, Purpose
from support.data_calls import CalledData, CalledSharedData
from support.database import Server
from support.proved_store import proved

CLUSTER = "c1" * 16
INBOX = ("shop", "inbox", "f")
SECRET = "mauve-giraffe"
DIGEST = hashlib.sha256(b"bundle").hexdigest()
RESOURCES = Resources(
    buckets=(BucketSpec(name="files"), BucketSpec(name="kept", versions=3)),
    tables=(
        TableSpec(
            name="sorted",
            key="id",
            sort="at",
            indexes=(TableIndex(name="by-colour", key="colour"),),
        ),
    ),
    queues=(QueueSpec(name="jobs"),),
    topics=(QueueSpec(name="news"),),
)


class FakeKeys:
    """Makes keys out of names; `newest` is the newest version of each."""

    def __init__(self, seed: str = "seed") -> None:
        self.seed = seed
        self.newest = 1

    def __call__(self, project: str, purpose: Purpose, version: int | None = None) -> DataKey:
        version = version or self.newest
        text = f"{self.seed}/{project}/{purpose}/{version}"
        return DataKey(version=version, key=hashlib.sha256(text.encode()).digest())

    async def data_key(self, project: str, purpose: Purpose, version: int | None = None) -> DataKey:
        return self(project, purpose, version)


class Place:
    """Where a state is: asked and changed by its ports, from tests that are not asynchronous."""

    def __init__(self, keys: FakeKeys) -> None:
        self.keys = keys
        self.runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def _data(self) -> Any:
        raise NotImplementedError

    def store(self) -> Any:
        raise NotImplementedError

    def with_data(self, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        async def done() -> Any:
            data = await self._data()
            try:
                return await work(data)
            finally:
                await data.close()

        return self.run(done())

    def with_store(self, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        store = self.store()

        async def done() -> Any:
            try:
                return await work(store)
            finally:
                await store.close()

        return self.run(done())


class Folder(Place):
    """A data folder."""

    def __init__(self, path: Path, keys: FakeKeys) -> None:
        super().__init__(keys)
        self.folders = Folders(path)
        self.place = str(path)
        self.folders.make(None, None, None)

    async def _data(self) -> Any:
        return CalledData(self.folders.projects, self.keys.data_key)

    def store(self) -> Any:
        return SqliteStore.open(self.folders.store, key=self.keys("", Purpose.STORE).key)

    def bundle(self, digest: str = DIGEST, content: bytes = b"sealed" * 1000) -> Path:
        path = self.folders.bundles / f"{digest}.sealed"
        path.write_bytes(content)
        return path

    def source(self, to: str, keys: Keys | None = None) -> SqliteSource:
        return SqliteSource(self.folders, keys or self.keys, ignored, place=self.place, to=to)

    def target(self) -> SqliteTarget:
        return SqliteTarget(self.folders, self.keys, ignored, place=self.place)


class Shared(Place):
    """A database, and a folder of blobs."""

    def __init__(self, server: Server, name: str, blobs: Path, keys: FakeKeys) -> None:
        super().__init__(keys)
        self.server = server
        self.name = name
        self.settings = Settings.of_url(server.url(self.name))
        self.path = blobs
        self.cluster = CLUSTER
        self.life = 0

    def blobs(self, kind: str) -> Blobs:
        path = self.path / kind
        path.parent.mkdir(parents=True, exist_ok=True)
        return FolderBlobs(path)

    def clear(self, kind: str) -> None:
        shutil.rmtree(self.path / kind, ignore_errors=True)

    async def _data(self) -> Any:
        self.life += 1
        cluster = Cluster(self.settings, self.cluster, Holder("one", str(self.life)))
        return await CalledSharedData.open(
            cluster, lambda name: self.blobs(f"objects/{name}"), self.keys.data_key
        )

    def store(self) -> Any:
        key = self.keys("", Purpose.PROOFS)
        store = PostgresqlStore.open(self.settings, cluster=self.cluster)
        return proved(store, Proofs(key, SeenFile()))

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with self.server.connect(self.name) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def schemas(self) -> set[str]:
        """Return what is there of ours."""
        return {
            name
            for (name,) in self.sql(
                "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(casemate|p_|q_)'"
            )
        }

    def stop(self) -> None:
        """Have nobody have been seen of late."""
        self.sql(
            "UPDATE p_shop.holder SET seen_at = 0; UPDATE casemate_control.node SET seen_at = 0"
        )

    def target(self) -> PostgresqlTarget:
        return PostgresqlTarget(
            self.settings, self.cluster, self.blobs, self.clear, self.keys, ignored
        )

    def source(self, *, resumes: bool = False) -> PostgresqlSource:
        return PostgresqlSource(
            self.settings, self.cluster, self.blobs, self.keys, ignored, resumes=resumes
        )


def ignored(*_: object) -> None:
    """Take what is told of a move."""


def to_server(
    folder: Folder, shared: Shared, shown: Callable[[str, int], None] = ignored
) -> Outcome:
    """Move a folder's state to a server."""
    target = shared.target()
    try:
        source = folder.source(target.place)
        try:
            return Move(source, target, folder.keys, shown).run()
        finally:
            source.close()
    finally:
        target.close()


def to_folder(
    shared: Shared,
    folder: Folder,
    shown: Callable[[str, int], None] = ignored,
    *,
    resumes: bool = False,
) -> Outcome:
    """Move it back."""
    source = shared.source(resumes=resumes)
    try:
        target = folder.target()
        try:
            return Move(source, target, folder.keys, shown).run()
        finally:
            target.close()
    finally:
        source.close()


def end_of(message: Message, fate: Fate, **fields: Any) -> Settlement:
    """Return the end of the attempt that a lease of a message was for."""
    return Settlement(
        id=message.id, fence=message.fence, attempt=message.attempts, fate=fate, **fields
    )


async def fill_store(store: Any) -> None:
    """Keep a version and a value."""
    spec = FunctionSpec(
        name="thumbs",
        handler="app.main:handler",
        python="3.11",
        public=True,
        http=(HttpTrigger(method="GET", path="/thumbs/{id}"),),
    )
    new = NewVersion(project="shop", function="thumbs", digest=DIGEST, spec=spec)
    await store.change(KeepVersions(versions=(new,), by="k1"))
    await store.change(KeepVersions(versions=(new,), by="k1"))
    await store.change(KeepNodeValue(name="a value", value=b"\0\xff" * 10))


async def fill_data(data: Any) -> None:
    """Keep something of every kind in the project `shop`."""
    await data.ensure("shop", RESOURCES)
    await data.subscribe(
        "shop", [Subscription(function="f", trigger=TopicTrigger(name="t", topic="news"))]
    )
    for number in range(5):
        item = {"id": "a" if number % 2 else 7 + number / 2, "at": number, "colour": "red"}
        await data.put_item("shop", "sorted", item, labels=SECRET.encode())
    for size in (0, 10, 40_000, 200_000):
        content = bytes(range(251)) * (size // 251 + 1)
        await data.put_object("shop", "files", f"o{size}", content[:size], metadata={"m": SECRET})
    for text in (b"one", b"two"):
        await data.put_object("shop", "kept", "k", text)
    for name, fate in (("i1", Fate.DEAD), ("i2", Fate.DONE), ("i3", None), ("i4", None)):
        new = NewMessage(
            body=f'{{"x":"{name}"}}'.encode(),
            key=SECRET if name != "i2" else "",
            deduplication=SECRET + name,
            invocation=name,
            caller="user:ada",
            labels=SECRET.encode(),
            attributes={"a": SECRET},
        )
        await data.send_many(*INBOX, [new])
        if fate is not None:
            (found,) = await data.lease(*INBOX, limit=9, lease=60.0)
            end = end_of(found, fate, reason=SECRET, result=b"{}", content_type="text/plain")
            assert await data.settle(*INBOX, [end]) == 1
    await data.lease(*INBOX, limit=9, lease=60.0)
    await data.begin_invocation("shop", "f", SECRET, SECRET, "i5")
    await data.advance("shop", "tick", SECRET.encode(), None, ())
    await data.send_many("shop", "queue", "jobs", [NewMessage(body=b"1", delay=1000.0)])


async def answers(data: Any) -> dict[str, Any]:
    """Return what the ports answer about all of it; nothing is changed."""
    found: dict[str, Any] = {"resources": await data.resources("shop")}
    for index in (None, "by-colour"):
        key = None if index is None else "red"
        page = await data.query_items("shop", "sorted", key, index=index)
        found[f"items {index}"] = page.items
    for bucket in ("files", "kept"):
        for info in (await data.list_objects("shop", bucket)).objects:
            content = await data.get_object("shop", bucket, info.key)
            revisions = await data.object_revisions("shop", bucket, info.key)
            found[f"{bucket} {info.key}"] = (content, revisions)
    for kind, name in (("queue", "jobs"), ("topic", "news"), ("inbox", "f")):
        info = await data.queue_info("shop", kind, name)
        found[f"{kind} {name}"] = (info.waiting, info.dead)
    letters = await data.dead_letters(*INBOX)
    found["letters"] = [await data.dead_letter("shop", letter.id) for letter in letters]
    for name in ("i1", "i2"):
        found[name] = await data.invocation_status("shop", name)
    found["position"] = await data.position("shop", "tick")
    return found


async def used_up(data: Any) -> list[Any]:
    """Return what messages, tokens and claims lead to; they are used up."""
    await data.resume("shop")
    leased = await data.lease(*INBOX, limit=9, lease=60.0)
    again = NewMessage(body=b"2", deduplication=f"{SECRET}i4", invocation="i9")
    (number,) = await data.send_many(*INBOX, [again])
    claimed = await data.begin_invocation("shop", "f", SECRET, SECRET, "i5")
    (fresh,) = await data.send_many("shop", "queue", "jobs", [NewMessage(body=b"3")])
    return [leased, number, claimed, fresh]
