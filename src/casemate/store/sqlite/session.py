"""One open store: its folder, its connections, and the threads that use them.

The writer's thread has one connection, the reader's another. A third thread does what takes long
and happens seldom: copying the database, and encrypting it with another key.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from casemate.model.errors import CasemateError, InvalidInputError
from casemate.sqlite import engine
from casemate.sqlite.commit_count import forget, lost_commits
from casemate.sqlite.commit_guard import CommitGuard, is_condemned
from casemate.sqlite.scrub import Pace, scrub
from casemate.store.errors import (
    AFTER_RESTART,
    StoreClosedError,
    StoreCorruptError,
    StoreError,
)
from casemate.store.sqlite.connection import open_reader, open_writer, reopen_writer
from casemate.store.sqlite.copying import change_key, copy_database
from casemate.store.sqlite.faults import RESTORE, translated
from casemate.store.sqlite.files import StoreFolder
from casemate.store.sqlite.medium import StoreMedium
from casemate.store.sqlite.options import SqliteOptions
from casemate.store.sqlite.writer import Writer

T = TypeVar("T")
P = ParamSpec("P")

MAX_LIMIT = 100_000
"""Most rows one call returns."""


class StoreSession:
    """What all methods of the store stand on: `_change`, `_read`, and the store's own upkeep.

    A change whose awaiter is cancelled may still be made. The lock on the folder is inherited by
    fork: children must exec.
    """

    def __init__(
        self,
        folder: StoreFolder,
        connection: engine.Connection,
        key: bytes,
        options: SqliteOptions,
    ) -> None:
        """Use `open` instead. Raises StoreError; then the connection is the caller's to close."""
        self._folder = folder
        self._key = key
        self._reader: engine.Connection | None = None
        self._medium = _medium(folder, lambda: self._key)
        self._writer = Writer(connection, self._medium, options)
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="casemate-store-read")
        self._upkeep = ThreadPoolExecutor(1, thread_name_prefix="casemate-store-upkeep")
        self._closing = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls,
        path: Path,
        options: SqliteOptions | None = None,
        *,
        key: bytes,
        accept_loss: bool = False,
    ) -> Self:
        """Open the store in the folder `path`, which holds nothing else; create it if missing.

        `key` is 32 bytes, the vault's data key for the store. A store of the release before
        encryption is converted. Blocks; call it before serving. The folder's mode becomes 0700,
        that of the files is 0600. Commits that a damaged log has lost are accepted as lost with
        `accept_loss` only.

        Raises StoreLockedError if another node has it open, StoreForeignError if what is there is
        not Casemate's, StoreKeyError if it was written with another key, StoreCorruptError if it
        is damaged, StoreVersionError if it is newer than this code, StoreError if the system
        refuses, InvalidInputError for a key that is none.
        """
        engine.require_key_length(key)
        folder = StoreFolder.acquire(path)
        try:
            if accept_loss:
                forget(folder.database)
            require_whole_log(folder.database)
            connection = open_writer(folder, key)
            try:
                session = cls(folder, connection, key, options or SqliteOptions())
            except BaseException:
                connection.close()
                raise
        except BaseException:
            folder.release(clean=False)
            raise
        session._writer.start()
        return session

    async def scrub(self, pace: Pace) -> list[str]:
        """Read all of the database; return what is wrong with it."""
        await self._writer.flush()
        while True:
            key = self._key
            # Not on the thread for upkeep: a backup need not wait for it.
            found = await asyncio.to_thread(scrub, self._medium.guard.file, key, pace)
            if not found or key == self._key:
                return found

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with the store, in words for the operator."""
        return self._medium.faults()

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
        await self._writer.flush()
        await self._run(self._upkeep, self._snapshot, path)

    async def flush(self) -> None:
        """Return once everything recorded before this call is durable."""
        await self._writer.flush()

    async def close(self) -> None:
        """Write what is queued and release the files; StoreError if it could not be written."""
        await asyncio.to_thread(self._shut)

    async def _change(
        self,
        change: Callable[Concatenate[engine.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        return await self._writer.submit(lambda connection: change(connection, *args, **kwargs))

    async def _read(
        self,
        question: Callable[Concatenate[engine.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        def ask(connection: engine.Connection) -> T:
            return question(connection, *args, **kwargs)

        return await self._run(self._reads, self._ask, ask)

    async def _run(
        self, executor: Executor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            answer = asyncio.get_running_loop().run_in_executor(
                executor, partial(call, *args, **kwargs)
            )
        except RuntimeError as error:  # the executor has been shut down
            raise StoreClosedError(next_step=AFTER_RESTART) from error
        return await answer

    def _ask(self, question: Callable[[engine.Connection], T]) -> T:
        try:
            return self._ask_once(question)
        except CasemateError as error:
            if not is_condemned(error):
                raise
        try:  # by a new connection: what this one met may have passed
            return self._ask_once(question)
        except CasemateError as error:
            raise self._medium.explain(error) from error

    def _ask_once(self, question: Callable[[engine.Connection], T]) -> T:
        try:
            with translated():
                self._medium.guard.check()
                if self._reader is None:
                    self._reader = open_reader(self._folder, self._key)
                return question(self._reader)
        except CasemateError as error:
            if is_condemned(error):
                self._close_reader()
            raise

    def _close_reader(self) -> None:
        if self._reader is not None:
            with suppress(engine.Error):
                self._reader.close()
            self._reader = None

    def _rekey(self, new_key: bytes) -> None:
        resume = threading.Event()
        try:
            self._pause(resume)
            change_key(self._folder.database, self._key, new_key)
            self._key = new_key
        finally:
            resume.set()

    def _pause(self, resume: threading.Event) -> None:
        """Return once the writer and the reader have no connection, until `resume` is set."""
        writer_paused, reader_paused = threading.Event(), threading.Event()
        self._writer.pause(writer_paused, resume)

        def step_aside() -> None:
            self._close_reader()
            reader_paused.set()
            resume.wait()

        self._reads.submit(step_aside)
        writer_paused.wait()
        reader_paused.wait()

    def _snapshot(self, path: Path) -> None:
        copy_database(self._folder.database, path, self._key, lambda: self._closed)

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
                self._close_reader()
                self._medium.guard.close()
                self._folder.release(clean=clean)


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
            next_step=f"{RESTORE} To go on with what is left: casemate serve --accept-loss store",
        )


def _medium(folder: StoreFolder, key: Callable[[], bytes]) -> StoreMedium:
    try:
        guard = CommitGuard(folder.database)
    except OSError as error:
        raise StoreError(
            f"{folder.database} cannot be looked at: {error.strerror}.",
            next_step="Make room on that file system and check its rights.",
        ) from error
    medium = StoreMedium(guard, key, lambda: reopen_writer(folder, key()))
    try:
        medium.attach()
    except BaseException:
        guard.close()
        raise
    return medium


def require_range(what: str, value: int, highest: int) -> None:
    """Raise InvalidInputError unless `value` is a whole number from 0 to `highest`."""
    if type(value) is not int or not 0 <= value <= highest:
        raise InvalidInputError(f"{what} is {value!r}; expected a number from 0 to {highest}.")
