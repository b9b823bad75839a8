"""`SqliteStore`: the port's methods, each handed to the writer or to the reader."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from casemate.model.deployment import Alias, AliasTarget, DeployedFunction, Key, Version
from casemate.model.errors import InvalidInputError
from casemate.model.function import FunctionSpec
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
from casemate.store.errors import AFTER_RESTART, StoreClosedError
from casemate.store.sqlite import deployments, keys, records
from casemate.store.sqlite.connection import open_reader, open_writer
from casemate.store.sqlite.faults import translated
from casemate.store.sqlite.files import StoreFolder
from casemate.store.sqlite.options import SqliteOptions
from casemate.store.sqlite.writer import Writer

T = TypeVar("T")
P = ParamSpec("P")

MAX_LIMIT = 100_000
"""Most rows one call returns."""


class SqliteStore:
    """The embedded store. Satisfies `casemate.store.interface.Store`, which documents the calls.

    A change whose awaiter is cancelled may still be made. Two threads belong to it: the writer's
    and the reader's. The lock on its folder is inherited by fork: children must exec.
    """

    def __init__(
        self,
        folder: StoreFolder,
        connection: sqlite3.Connection,
        reader: sqlite3.Connection,
        options: SqliteOptions,
    ) -> None:
        """Use `SqliteStore.open` instead."""
        self._folder = folder
        self._connection = connection
        self._reader = reader
        self._writer = Writer(connection, options)
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="casemate-store-read")
        self._closing = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, path: Path, options: SqliteOptions | None = None) -> Self:
        """Open the store in the folder `path`, which holds nothing else; create it if missing.

        Blocks; call it before serving. The folder's mode becomes 0700, that of the files is 0600.

        Raises StoreLockedError if another node has it open, StoreForeignError if what is there is
        not Casemate's, StoreCorruptError if it is damaged, StoreVersionError if it is newer than
        this code, StoreError if the system refuses.
        """
        folder = StoreFolder.acquire(path)
        try:
            connection = open_writer(folder)
            try:
                store = cls(folder, connection, open_reader(folder), options or SqliteOptions())
            except BaseException:
                connection.close()
                raise
        except BaseException:
            folder.release(clean=False)
            raise
        store._writer.start()
        return store

    async def add_version(
        self, *, project: str, function: str, digest: str, spec: FunctionSpec, created_by: str
    ) -> Version:
        """Record the next version of a function."""
        return await self._change(
            deployments.add_version,
            project=project,
            function=function,
            digest=digest,
            spec=spec,
            created_by=created_by,
        )

    async def set_alias(
        self, project: str, function: str, name: str, targets: Sequence[AliasTarget]
    ) -> Alias:
        """Point an alias at versions."""
        return await self._change(deployments.set_alias, project, function, name, tuple(targets))

    async def deploy(
        self, *, project: str, function: str, digest: str, spec: FunctionSpec, created_by: str
    ) -> Version:
        """Add a version and point `live` at it."""
        return await self._change(
            deployments.deploy,
            project=project,
            function=function,
            digest=digest,
            spec=spec,
            created_by=created_by,
        )

    async def functions(self) -> tuple[DeployedFunction, ...]:
        """Return every function."""
        return await self._read(deployments.functions)

    async def alias_history(
        self, project: str, function: str, name: str, limit: int = 20
    ) -> tuple[Alias, ...]:
        """Return the states an alias has had, newest first."""
        _require_range("limit", limit, MAX_LIMIT)
        return await self._read(deployments.alias_history, project, function, name, limit)

    async def remove_function(self, project: str, function: str) -> tuple[str, ...]:
        """Forget a function (NotFoundError if there is none); its records stay until pruned."""
        return await self._change(deployments.remove_function, project, function)

    async def add_key(self, key: Key) -> None:
        """Keep a key."""
        await self._change(keys.add_key, key)

    async def keys(self) -> tuple[Key, ...]:
        """Return every key."""
        return await self._read(keys.keys)

    async def revoke_key(self, key_id: str) -> Key:
        """Mark a key revoked."""
        return await self._change(keys.revoke_key, key_id)

    def record(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None = None,
        log: Sequence[LogLine] = (),
    ) -> None:
        """Queue what an invocation left behind. After `close` it counts as lost."""
        self._writer.record(invocation, error, log)

    @property
    def lost_records(self) -> int:
        """Number of `record` calls since the start whose content could not be kept."""
        return self._writer.lost

    async def invocation(self, invocation_id: str) -> InvocationRecord | None:
        """Return one invocation."""
        return await self._read(records.invocation, invocation_id)

    async def invocations(
        self, *, project: str | None = None, function: str | None = None, limit: int = 100
    ) -> tuple[InvocationRecord, ...]:
        """Return the newest invocations."""
        _require_range("limit", limit, MAX_LIMIT)
        return await self._read(records.invocations, project, function, limit)

    async def error(self, error_id: str) -> ErrorRecord | None:
        """Return one error."""
        return await self._read(records.error, error_id)

    async def logs(
        self,
        *,
        project: str | None = None,
        function: str | None = None,
        invocation: str | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> tuple[LogLine, ...]:
        """Return log lines."""
        _require_range("limit", limit, MAX_LIMIT)
        _require_range("after", after, 2**63 - 1)
        return await self._read(
            records.logs,
            project=project,
            function=function,
            invocation=invocation,
            after=after,
            limit=limit,
        )

    async def flush(self) -> None:
        """Return once everything recorded before this call is durable."""
        await self._writer.flush()

    async def close(self) -> None:
        """Write what is queued and release the files; StoreError if it could not be written."""
        await asyncio.to_thread(self._shut)

    async def _change(
        self,
        change: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        return await self._writer.submit(lambda connection: change(connection, *args, **kwargs))

    async def _read(
        self,
        question: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        ask = partial(question, self._reader, *args, **kwargs)
        try:
            answer = asyncio.get_running_loop().run_in_executor(self._reads, _translated, ask)
        except RuntimeError as error:  # the executor has been shut down
            raise StoreClosedError(next_step=AFTER_RESTART) from error
        return await answer

    def _shut(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            clean = False
            try:
                self._writer.stop()
                clean = True
            finally:
                self._reads.shutdown(wait=True)
                self._reader.close()
                self._connection.close()
                self._folder.release(clean=clean)


def _translated(ask: Callable[[], T]) -> T:
    with translated():
        return ask()


def _require_range(what: str, value: int, highest: int) -> None:
    if type(value) is not int or not 0 <= value <= highest:
        raise InvalidInputError(f"{what} is {value!r}; expected a number from 0 to {highest}.")
