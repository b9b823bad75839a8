"""A process of its own that keeps data and is told by lines what to do, for a disk that fails.

python -m support.faults.child FOLDER    one command a line: ["put", "name"]
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from casemate.model.denial import Denial, DenialKind
from casemate.model.deployment import NewVersion
from casemate.model.errors import CasemateError
from casemate.model.function import FunctionSpec
from casemate.model.grant import BucketSpec, QueueSpec, Resources, TableSpec
from casemate.operations.deployments import KeepVersions
from casemate.operations.functions import ListFunctions
from casemate.operations.records import ListDenials
from casemate.recorder.protocol import DENIED, Take, Told
from casemate.recorder.records.database import RecordsDatabase
from casemate.store.sqlite.store import SqliteStore
from casemate.unwritten import unwritten
from casemate.vault.interface import DataKey, Purpose
from support.data_calls import CalledData

RESOURCES = Resources(
    buckets=(BucketSpec(name="files"),),
    tables=(TableSpec(name="items", key="id"),),
    queues=(QueueSpec(name="jobs"),),
)
STORE_KEY = bytes(range(32))
TESTS = Path(__file__).parents[2]


async def data_key(project: str, purpose: Purpose, version: int | None = None) -> DataKey:
    """Make a key out of names."""
    text = f"{project}/{purpose}/{version or 1}"
    return DataKey(version=version or 1, key=hashlib.sha256(text.encode()).digest())


class Keeper:
    """A project's data and a store below one folder."""

    def __init__(self, folder: Path) -> None:
        self.data = CalledData(folder / "data", data_key)
        self.store = SqliteStore.open(folder / "store", key=STORE_KEY)
        self.records = RecordsDatabase.open(folder / "records", STORE_KEY)
        self.told = 0

    async def ensure(self) -> None:
        await self.data.ensure("p", RESOURCES)

    async def put(self, name: str, size: int = 100) -> None:
        """Keep an item, an object and a message of that name."""
        await self.data.put_item("p", "items", {"id": name, "text": "x" * size})

    async def get(self, name: str) -> bool:
        return await self.data.get_item("p", "items", name) is not None

    async def put_object(self, name: str, size: int) -> None:
        await self.data.put_object("p", "files", name, b"o" * size)

    async def get_object(self, name: str) -> int:
        _, content = await self.data.get_object("p", "files", name)
        return len(content)

    async def send(self, text: str) -> str:
        return await self.data.send("p", "queue", "jobs", json.dumps(text).encode())

    async def many(self, prefix: str, count: int, size: int = 1000) -> None:
        await asyncio.gather(*(self.put(f"{prefix}-{n}", size) for n in range(count)))

    async def all(self, prefix: str, count: int) -> int:
        """Return how many of `many` can be read."""
        found = 0
        for number in range(count):
            try:
                found += await self.get(f"{prefix}-{number}")
            except CasemateError:
                continue
        return found

    async def deploy(self, name: str) -> int:
        spec = FunctionSpec(name=name, handler="a:b", python="3.11")
        new = NewVersion(project="p", function=name, digest="a" * 64, spec=spec)
        (version,) = await self.store.change(KeepVersions(versions=(new,), by="t"))
        return version.number

    async def functions(self) -> int:
        return len((await self.store.read(ListFunctions())).functions)

    async def record(self, again: bool = False) -> int:
        """Have a denied attempt recorded, or the last one once more, as after a refusal."""
        self.told += not again
        denial = Denial(
            at=0.0, kind=DenialKind.REQUEST, by="p", action="a", resource="r", reason=str(self.told)
        )
        told = Told(DENIED, msgspec.msgpack.encode(denial))
        await self.records.keep([Take(1, b"gateway.", self.told, (told,))])
        return self.told

    async def recorded(self) -> list[str]:
        """Return the reasons of what is recorded, oldest first."""
        page = await self.records.page(ListDenials(limit=1000), None)
        return [listed.denial.reason for listed in reversed(page.rows)]

    async def reopen(self) -> None:
        """Forget what is in the caches of the engine."""
        await self.data.close()
        self.data = CalledData(self.data._folder.path, data_key)

    async def unwritten(self) -> list[str]:
        return list(unwritten())

    async def faults(self) -> list[str]:
        return [*self.data.faults(), *self.store.faults(), *self.records.faults()]

    async def close(self) -> None:
        await self.data.close()
        await self.store.close()
        self.records.close()


async def main(folder: Path) -> None:
    keeper = Keeper(folder)
    print(json.dumps(["ok", None]), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, *arguments = json.loads(line)
        try:
            answer: Any = ["ok", await getattr(keeper, name)(*arguments)]
        except CasemateError as error:
            answer = ["error", type(error).__name__, error.retryable, error.message]
        print(json.dumps(answer), flush=True)


class Answer(tuple[Any, ...]):
    """`("ok", value)` or `("error", type, retryable, message)`."""

    __slots__ = ()

    @property
    def ok(self) -> bool:
        return bool(self[0] == "ok")


class Child:
    """Runs `main` in a process with the environment of the faults, and talks to it."""

    def __init__(
        self, folder: Path, environment: dict[str, str], module: str = "support.faults.child"
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=TESTS,
            env={**os.environ, **environment},
        )
        self.opened = self._answer()

    def _answer(self) -> Answer:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return Answer(json.loads(line)) if line else Answer(("ended",))

    def tell(self, name: str, *arguments: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self.process.stdin.flush()

    def __getattr__(self, name: str) -> Callable[..., Answer]:
        def call(*arguments: Any) -> Answer:
            self.tell(name, *arguments)
            return self._answer()

        return call

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
