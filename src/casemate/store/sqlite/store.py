"""`SqliteStore`: one open store, its folder, its connections, and the threads that use them.

The writer's thread has one connection, the reader's another. A third thread does what takes long
and happens seldom: copying the database, and encrypting it with another key.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from casemate.operations.declaration import Operation
from casemate.sqlite import engine, left_log
from casemate.sqlite.commit_count import lost_commits
from casemate.sqlite.commit_guard import CommitGuard
from casemate.sqlite.connecting import Room
from casemate.sqlite.connections import Connections
from casemate.sqlite.rekeying import rekey
from casemate.sqlite.scrub import Pace, scrub
from casemate.sqlite.writer import Writer
from casemate.store.errors import StoreCorruptError, StoreError
from casemate.store.sqlite import old_records
from casemate.store.sqlite.connection import open_writer, require_readable
from casemate.store.sqlite.faults import RESTORE, STORE
from casemate.store.sqlite.files import StoreFolder
from casemate.store.sqlite.old_records import Row
from casemate.store.sqlite.performed import PERFORMED
from casemate.store.sqlite.snapshot import copy_database
from casemate.store.sqlite.upkeep import PRUNE_SECONDS, StoreDuties

AnswerT = TypeVar("AnswerT")
P = ParamSpec("P")

_CHANGES_PER_COMMIT = 512


class SqliteStore:
    """The embedded store. Satisfies `casemate.store.interface.Store`, which documents the calls.

    `open` opens one. `scrub`, `rekey` and `snapshot` are of this adapter alone. A change whose
    awaiter is cancelled may still be made. The lock on the folder is inherited by fork: children
    must exec.
    """

    def __init__(
        self,
        folder: StoreFolder,
        connections: Connections,
    ) -> None:
        """Use `open` instead. Raises StoreError; then `connections` are the caller's to close."""
        self._folder = folder
        self._connections = connections
        self._writer = Writer(
            open_writer(folder, connections),
            connections,
            StoreDuties(),
            name="casemate-store",
            upkeep_seconds=PRUNE_SECONDS,
            changes_per_commit=_CHANGES_PER_COMMIT,
        )
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="casemate-store-read")
        self._upkeep = ThreadPoolExecutor(1, thread_name_prefix="casemate-store-upkeep")
        self._closing = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        key: bytes,
        accept_loss: bool = False,
    ) -> Self:
        """Open the store in the folder `path`, which holds nothing else; create it if missing.

        `key` is 32 bytes, the vault's data key for the store. Blocks; call it before serving. The
        folder's mode becomes 0700, that of the files is 0600. Commits that a damaged log has lost
        are accepted as lost with `accept_loss` only.

        Raises StoreLockedError if another node has it open, StoreForeignError if what is there is
        not Casemate's, StoreKeyError if it was written with another key, StoreCorruptError if it
        is damaged, StoreVersionError if it is newer than this code, StoreError if the system
        refuses, InvalidInputError for a key that is none.
        """
        engine.require_key_length(key)
        folder = StoreFolder.acquire(path)
        try:
            if accept_loss:
                _accept_loss(folder.database)
            require_whole_log(folder.database)
            require_readable(folder, key)
            connections = _connections(folder, key)
            try:
                session = cls(folder, connections)
            except BaseException:
                connections.close()
                raise
        except BaseException:
            folder.release(clean=False)
            raise
        session._writer.start()
        return session

    async def read(self, operation: Operation[AnswerT]) -> AnswerT:
        """Answer an operation that changes nothing."""
        question = PERFORMED.reading(operation)

        def ask(connection: engine.Connection) -> AnswerT:
            answer: AnswerT = question(connection, operation)
            return answer

        return await self._run(self._reads, self._connections.read, ask)

    async def change(self, operation: Operation[AnswerT]) -> AnswerT:
        """Do an operation, durably."""
        perform = PERFORMED.changing(operation)
        return await self._writer.submit(lambda connection: perform(connection, operation))

    async def old_records(self) -> dict[str, int]:
        """Return which tables of records a release before has left, each with its end."""
        return await self._run(self._reads, self._connections.read, old_records.tables)

    async def old_rows(self, table: str, after: int) -> list[Row]:
        """Return rows of one of them with a higher sequence, ascending, as many as go at once."""
        return await self._run(
            self._reads, self._connections.read, lambda c: old_records.rows(c, table, after)
        )

    async def forget_old_rows(self) -> bool:
        """Delete some of them, durably; False: none are left."""
        return await self._writer.submit(old_records.forget)

    async def scrub(self, pace: Pace) -> list[str]:
        """Read all of the database; return what is wrong with it."""
        while True:
            key = self._connections.key
            # Not on the thread for upkeep: a backup need not wait for it.
            found = await asyncio.to_thread(scrub, self._connections.guard.file, key, pace)
            if not found or key == self._connections.key:
                return found

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with the store, in words for the operator."""
        return self._connections.faults()

    async def rekey(self, new_key: bytes) -> None:
        """Encrypt the database with another key, page by page in one transaction.

        Other calls wait meanwhile, about ten seconds for each GiB. After a crash the database has
        the one key or the other, never both; `open` with the wrong one raises StoreKeyError.
        Needs as much free disk space as the database has; StoreFullError leaves the old key.
        """
        engine.require_key_length(new_key)
        await self._run(self._upkeep, self._rekey, new_key)

    async def snapshot(self, path: Path) -> None:
        """Write a consistent copy of the database to the new file `path`, durably.

        It has the same key, holds every change answered before the call, and is a store's
        `records.db`. Other calls go on meanwhile. Raises ConflictError if `path` exists.
        """
        await self._run(self._upkeep, self._snapshot, path)

    async def close(self) -> None:
        """Write what is queued and release the files."""
        await asyncio.to_thread(self._shut)

    async def _run(
        self, executor: Executor, call: Callable[P, AnswerT], *args: P.args, **kwargs: P.kwargs
    ) -> AnswerT:
        try:
            answer = asyncio.get_running_loop().run_in_executor(
                executor, partial(call, *args, **kwargs)
            )
        except RuntimeError as error:  # the executor has been shut down
            raise STORE.closed.of() from error
        return await answer

    def _rekey(self, new_key: bytes) -> None:
        if not rekey(self._connections, self._writer, self._reads, new_key):
            raise StoreError(
                "The store's database did not take the new key; the old one still holds.",
                next_step="Try again; nothing was changed.",
            )

    def _snapshot(self, path: Path) -> None:
        copy_database(self._folder.database, path, self._connections.key, lambda: self._closed)

    def _shut(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            # The upkeep ends first: it needs the writer and the reader.
            self._upkeep.shutdown(wait=True)
            clean = False
            try:
                self._writer.stop()
                clean = True
            finally:
                self._reads.shutdown(wait=True)
                self._connections.close()
                self._folder.release(clean=clean)


def _accept_loss(database: Path) -> None:
    try:
        left_log.accept_loss(database)
    except OSError as error:
        raise StoreError(
            f"What is left of {database} cannot be kept aside: {error.strerror}.",
            next_step="Make room on that file system and check its rights.",
        ) from error


def require_whole_log(database: Path) -> None:
    """Refuse a database whose log has lost commits. Raises StoreCorruptError, StoreError."""
    try:
        lost = lost_commits(database)
    except OSError as error:
        raise StoreError(
            f"The log of {database} cannot be read: {error.strerror}.",
            next_step="Check the disk and that this user owns the file.",
        ) from error
    if lost is not None:
        raise StoreCorruptError(
            f"The store has lost what was acknowledged: {lost}. Nothing was changed.",
            next_step=f"{RESTORE} To continue with what is left: "
            "casemate serve --accept-loss store",
        )


def _connections(folder: StoreFolder, key: bytes) -> Connections:
    try:
        guard = CommitGuard(folder.database)
    except OSError as error:
        raise StoreError(
            f"{folder.database} cannot be examined: {error.strerror}.",
            next_step="Make room on that file system and check its rights.",
        ) from error
    return Connections("the store", guard, key, STORE, Room())
