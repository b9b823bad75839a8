"""Nodes that write without end and remember what they were told; and what is looked for later."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections import Counter
from pathlib import Path
from typing import Any

from casemate.data.files import folders_below
from casemate.data.postgresql import PostgresqlProjectData
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.model.deployment import NewVersion
from casemate.model.errors import CasemateError, ConflictError, NotFoundError
from casemate.model.function import FunctionSpec, HttpTrigger
from casemate.model.grant import Resources, TableSpec
from casemate.operations.deployments import KeepVersions
from casemate.operations.items import GetItem, PutItem
from casemate.operations.resources import EnsureResources
from casemate.postgresql.connections import Connections, Place
from casemate.postgresql.fence import Fence
from casemate.postgresql.migrating import Identity
from casemate.postgresql.settings import Settings
from casemate.sqlite.errors import DatabaseUnsureError
from casemate.store.errors import StoreForeignError
from casemate.store.postgresql.faults import STORE_SERVER
from casemate.store.postgresql.schema import MIGRATIONS
from casemate.store.postgresql.store import SCHEMA, PostgresqlStore
from casemate.vault.interface import DataKey, Purpose
from support.histories import LOST, Call, Get, HistoryError, Put, require_register

SPEC = FunctionSpec(
    name="f", handler="a:b", python="3.11", http=(HttpTrigger(method="GET", path="/f/{x}"),)
)
REGISTERS = 4
REGISTER_SECONDS = 5
"""How long one is used before another is begun, so that each can be judged."""
_COUNTS = "SELECT project, count(*) FROM version GROUP BY project"
LACKS = "lacks what was acknowledged"


class Node:
    """One node: a store, the data of a project, and a memory of the database for both."""

    def __init__(self, number: int, url: str, folder: Path) -> None:
        """Nothing is connected yet."""
        self.number = number
        self.fence = Fence(folder / f"fence{number}")
        self.versions: dict[str, int] = {}
        """The highest version of which this node was told, by project."""
        self.calls: dict[str, list[Call]] = {}
        self.counts: Counter[str] = Counter()
        self.done_at: list[float] = [time.monotonic()]
        """When each change was acknowledged: the longest gap is how long nobody could write."""
        self.refused: set[str] = set()
        self._settings = Settings.of_url(url, weak_tls_accepted=True)
        self._folder = folder

    async def open(self) -> None:
        """Connect."""
        self.store = await asyncio.to_thread(
            PostgresqlStore.open, self._settings, cluster="tests", fence=self.fence
        )
        cluster = Cluster(
            self._settings, "tests", Holder(f"n{self.number}", f"l{time.time_ns()}"), self.fence
        )
        self.data = await PostgresqlProjectData.open(
            cluster, folders_below(self._folder / "objects"), key_of
        )
        table = Resources(tables=(TableSpec(name="t", key="k"),))
        await self.data.change(EnsureResources(project="data", resources=table))

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop."""
        lanes = [self._deploy(stop, lane) for lane in range(2)]
        lanes += [self._put(stop, register) for register in range(REGISTERS)]
        await asyncio.gather(*lanes)

    async def _deploy(self, stop: asyncio.Event, lane: int) -> None:
        project = f"p{self.number}-{lane}"
        while not stop.is_set():
            new = NewVersion(project=project, function="f", digest="a" * 64, spec=SPEC)
            try:
                (version,) = await self.store.change(KeepVersions(versions=(new,), by="k"))
            except CasemateError as error:
                await self._failed(error)
                continue
            self.versions[project] = max(version.number, self.versions.get(project, 0))
            self._done()
            await asyncio.sleep(0.05)

    async def _put(self, stop: asyncio.Event, register: int) -> None:
        """Write a register that all nodes write, and read it."""
        number = 0
        while not stop.is_set():
            number += 1
            # By the time, so that nodes have it in common for a while.
            key = f"{register}-{int(time.time()) // REGISTER_SECONDS}"
            calls = self.calls.setdefault(key, [])
            value = f"{self.number}/{number}"
            began = time.monotonic()
            try:
                put = PutItem(project="data", table="t", value={"k": key, "v": value})
                item = await self.data.change(put)
            except CasemateError as error:
                if isinstance(error, DatabaseUnsureError):
                    calls.append(Put(began, LOST, value, None))
                await self._failed(error)
                continue
            calls.append(Put(began, time.monotonic(), value, item.revision))
            self._done()
            if number % 3 == 0:
                await self._get(key, calls)
            await asyncio.sleep(0.2)

    async def _get(self, key: str, calls: list[Call]) -> None:
        began = time.monotonic()
        try:
            item = await self.data.read(GetItem(project="data", table="t", key=key))
            calls.append(Get(began, time.monotonic(), item.value["v"], item.revision))
        except NotFoundError:
            calls.append(Get(began, time.monotonic(), None, 0))
        except CasemateError as error:
            await self._failed(error)

    def _done(self) -> None:
        self.counts["acknowledged"] += 1
        self.done_at.append(time.monotonic())

    async def _failed(self, error: CasemateError) -> None:
        if isinstance(error, ConflictError):
            raise error
        kind = "unsure" if isinstance(error, DatabaseUnsureError) else "failed"
        if LACKS in error.message:
            kind = "refused"
            self.refused.add(error.message)
        self.counts[kind] += 1
        await asyncio.sleep(0.05)

    async def close(self) -> None:
        """End the connections."""
        await self.data.close()
        await self.store.close()
        self.fence.close()


def gap(nodes: list[Node], since: float, until: float) -> float:
    """Return for how long nobody was told of any change, between two moments."""
    told = sorted(t for node in nodes for t in node.done_at if since <= t <= until)
    moments = [since, *told, until]
    return max(b - a for a, b in itertools.pairwise(moments))


async def missing(nodes: list[Node], url: str, folder: Path) -> tuple[int, int]:
    """Return how many acknowledged changes are not there, to whoever remembers nothing.

    Also how many registers have too many calls at once to be judged. Raises HistoryError for one
    that no order explains.
    """
    settings = Settings.of_url(url, weak_tls_accepted=True)
    found = dict(await asyncio.to_thread(_versions, settings))
    lost = sum(
        max(0, told - found.get(project, 0))
        for node in nodes
        for project, told in node.versions.items()
    )
    unjudged = 0
    cluster = Cluster(settings, "tests", Holder("reader", f"l{time.time_ns()}"))
    data = await PostgresqlProjectData.open(cluster, folders_below(folder / "objects"), key_of)
    try:
        for key in {key for node in nodes for key in node.calls}:
            calls = [call for node in nodes for call in node.calls.get(key, ())]
            last = await _last_of(data, key)
            newer = [c for c in calls if isinstance(c, Put) and (c.revision or 0) > last.revision]
            lost += len(newer)
            if not newer:
                unjudged += not _is_judged([*calls, last])
    finally:
        await data.close()
    return lost, unjudged


def _versions(settings: Settings) -> list[Any]:
    """Return how many versions each project has; there may be too many to list."""
    place = Place(
        settings=settings,
        identity=Identity(SCHEMA, "control", "tests"),
        lock=1,
        migrations=MIGRATIONS,
        foreign=StoreForeignError,
    )
    connections = Connections(place, STORE_SERVER)
    try:
        return connections.read(lambda c: c.execute(_COUNTS).fetchall())
    finally:
        connections.close()


async def _last_of(data: Any, key: str) -> Get:
    began = time.monotonic()
    try:
        item = await data.read(GetItem(project="data", table="t", key=key))
    except NotFoundError:
        return Get(began, time.monotonic(), None, 0)
    return Get(began, time.monotonic(), item.value["v"], item.revision)


def _is_judged(calls: list[Call]) -> bool:
    try:
        require_register(calls)
    except HistoryError as error:
        if "too much to be judged" in str(error):
            return False
        raise
    return True


async def key_of(project: str, purpose: Purpose, version: int | None) -> DataKey:
    """Return the same key to all nodes."""
    text = f"{project}/{purpose}".encode()
    return DataKey(version=version or 1, key=hashlib.sha256(text).digest())
