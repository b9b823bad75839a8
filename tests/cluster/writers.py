"""Nodes that write without end and remember what they were told."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from pathlib import Path

import msgspec

from casemate.data.files import folders_below
from casemate.data.postgresql import PostgresqlProjectData
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.model.deployment import NewVersion
from casemate.model.errors import CasemateError, ConflictError, InvalidInputError, NotFoundError
from casemate.model.function import FunctionSpec, HttpTrigger
from casemate.model.grant import QueueSpec, Resources, TableSpec
from casemate.operations.deployments import KeepVersions
from casemate.operations.items import GetItem, PutItem
from casemate.operations.resources import EnsureResources
from casemate.postgresql.fence import Fence
from casemate.postgresql.settings import Settings
from casemate.sqlite.errors import DatabaseUnsureError
from casemate.store.postgresql.store import PostgresqlStore
from casemate.vault.interface import DataKey, Purpose
from cluster.messages import Messages
from cluster.messages import run as run_messages
from support.histories import LOST, Call, Get, Put

SPEC = FunctionSpec(
    name="f", handler="a:b", python="3.11", http=(HttpTrigger(method="GET", path="/f/{x}"),)
)
REGISTERS = 4
REGISTER_SECONDS = 5
"""How long one is used before another is begun, so that each can be judged."""
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
        self.messages = Messages(number)
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
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
        resources = Resources(tables=(TableSpec(name="t", key="k"),), queues=(QueueSpec(name="q"),))
        await self.data.change(EnsureResources(project="data", resources=resources))

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop."""
        lanes = [self._deploy(stop, lane) for lane in range(2)]
        lanes += [self._put(stop, register) for register in range(REGISTERS)]
        await asyncio.gather(*lanes, run_messages(self.messages, self.data, stop, self._told))

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
        """Write a register that all nodes write, each third time if it is as it was; read it."""
        number, known = 0, 0
        while not stop.is_set():
            number += 1
            # By the time, so that nodes have it in common for a while.
            key = f"{register}-{int(time.monotonic()) // REGISTER_SECONDS}"
            calls = self.calls.setdefault(key, [])
            if not calls:
                known = 0
            value, condition = f"{self.number}/{number}", known if number % 3 == 0 else None
            content = msgspec.json.encode({"k": key, "v": value})
            put = PutItem(project="data", table="t", content=content, if_revision=condition)
            began = time.monotonic()
            try:
                known = (await self.data.change(put)).revision
            except ConflictError:
                calls.append(Put(began, time.monotonic(), value, 0, condition))
            except CasemateError as error:
                if isinstance(error, DatabaseUnsureError):
                    calls.append(Put(began, LOST, value, None, condition))
                await self._failed(error)
                continue
            else:
                calls.append(Put(began, time.monotonic(), value, known, condition))
                self._done()
            if number % 3 == 0:
                known = await self._get(key, calls)
            await asyncio.sleep(0.2)

    async def _get(self, key: str, calls: list[Call]) -> int:
        """Return the revision that is there."""
        began = time.monotonic()
        try:
            item = await self.data.read(GetItem(project="data", table="t", key=key))
        except NotFoundError:
            calls.append(Get(began, time.monotonic(), None, 0))
        except CasemateError as error:
            await self._failed(error)
        else:
            calls.append(Get(began, time.monotonic(), item.value["v"], item.revision))
            return item.revision
        return 0

    async def _told(self, error: CasemateError | None) -> None:
        if error is None:
            self._done()
        else:
            await self._failed(error)

    def _done(self) -> None:
        self.counts["acknowledged"] += 1
        self.done_at.append(time.monotonic())

    async def _failed(self, error: CasemateError) -> None:
        if isinstance(error, ConflictError | InvalidInputError | NotFoundError):
            raise error
        kind = "unsure" if isinstance(error, DatabaseUnsureError) else "failed"
        if LACKS in error.message:
            kind = "refused"
            self.refused.add(error.message)
        self.counts[kind] += 1
        self.errors[type(error).__name__] += 1
        await asyncio.sleep(0.05)

    async def close(self) -> None:
        """End the connections."""
        await self.data.close()
        await self.store.close()
        self.fence.close()


async def key_of(project: str, purpose: Purpose, version: int | None) -> DataKey:
    """Return the same key to all nodes."""
    text = f"{project}/{purpose}".encode()
    return DataKey(version=version or 1, key=hashlib.sha256(text).digest())
