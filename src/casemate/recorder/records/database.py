"""`RecordsDatabase`: the open file, the thread that writes to it, and the one that reads.

A third thread does what takes long and happens seldom: copying the database, and encrypting it
with another key.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from casemate.kernel.durability import write_all
from casemate.kernel.volume import beside_reserve, whole
from casemate.model.errors import CasemateError
from casemate.operations.declaration import Operation
from casemate.operations.usage import ReadUsage
from casemate.recorder.protocol import HoldRecords, Take
from casemate.recorder.reading_protocol import RecordKind
from casemate.recorder.records import (
    forgetting,
    holding,
    keeping,
    lending,
    opening,
    questions,
    received,
    shipping,
    taking_over,
    usage,
)
from casemate.recorder.records.errors import RecordsError, UnstorableRecordError
from casemate.recorder.records.faults import RECORDS, UNSTORABLE
from casemate.recorder.records.keeping_cost import KeepingCost
from casemate.recorder.records.options import RecordsOptions
from casemate.recorder.records.retention import free_bytes, prune
from casemate.recorder.records.rows import Page
from casemate.recorder.records.unshipped import Unshipped
from casemate.set_clock import DeletingClock
from casemate.sqlite import engine
from casemate.sqlite.connections import Connections
from casemate.sqlite.copying import copy_pages
from casemate.sqlite.duties import Duties
from casemate.sqlite.rekeying import rekey
from casemate.sqlite.scrub import Pace, scrub
from casemate.sqlite.transaction import savepoint
from casemate.sqlite.writer import Writer

T = TypeVar("T")

PRUNE_SECONDS = 60.0
_PRUNE_AFTER_ROWS = 10_000
_LOOK_SECONDS = 0.5
"""Between looks at the volume: few enough for the reserve to hold what is written meanwhile."""
_PLENTY_BYTES = 1 << 30
_PART_OF_VOLUME = 4
"""Records take one part in so many of their volume at the most."""
_PRUNE_BATCH = 1000
_PRUNE_BATCH_MOST = 20_000
_CHANGES_PER_COMMIT = 64
_SEND_BYTES = 1 << 20
_log = logging.getLogger("casemate.recorder")


def _within_volume(options: RecordsOptions, folder: Path) -> RecordsOptions:
    """Return bounds under which records alone do not fill a small volume: anybody causes some."""
    with suppress(OSError):
        most = whole(folder) // _PART_OF_VOLUME
        return msgspec.structs.replace(options, max_bytes=min(options.max_bytes, most))
    return options


class _Duties(Duties[engine.Connection]):
    """Deletes what is beyond a bound."""

    def __init__(self, options: RecordsOptions, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._clock = DeletingClock()
        self._look_due = 0.0
        self.unpruned = 0
        """Rows written since the last time that old ones were deleted."""
        self.unshipped = Unshipped()

    def now(self) -> float:
        """Return the time by which is deleted."""
        return self._clock.now()

    def running(self) -> float:
        """Return the time from which on a hold holds."""
        return self._clock.running()

    def begin(self, connection: engine.Connection) -> engine.Connection:
        self.unshipped.begin()
        return connection

    def mark(self, work: engine.Connection) -> int:
        return self.unshipped.mark()

    def forget(self, work: engine.Connection, mark: int) -> None:
        self.unshipped.forget(mark)

    def committed(self, work: engine.Connection) -> None:
        self.unshipped.committed()

    def hurries(self) -> bool:
        if self.unpruned >= _PRUNE_AFTER_ROWS:
            return True
        now = time.monotonic()
        if not self.unpruned or now < self._look_due:
            return False
        self._look_due = now + _LOOK_SECONDS
        return (self._beside() or 0) < 0

    def room(self, connection: engine.Connection) -> int | None:
        """Return how many bytes lines may take: of the volume, and in the file what is deleted."""
        beside = self._beside()
        if beside is None or beside > _PLENTY_BYTES:
            return None
        return beside + free_bytes(connection)

    def _beside(self) -> int | None:
        with suppress(OSError):  # what cannot be asked leaves the bound that there always is
            return beside_reserve(self._folder)
        return None

    def upkeep(self, work: engine.Connection) -> bool:
        # Twice what was written, so that the bounds hold however fast records come.
        batch = min(max(_PRUNE_BATCH, 2 * self.unpruned), _PRUNE_BATCH_MOST)
        self.unpruned = 0
        usage.count(work)  # before their records may go
        now, beside = self.now(), self._beside()
        usage.prune(work, now)
        return prune(work, self._options, now=now, batch=batch, beside=beside)

    def upkeep_failed(self, error: CasemateError) -> None:
        self.unpruned = 0
        _log.error("old records could not be deleted: %s", error)


class RecordsDatabase:
    """The records of a node. Calls are of one event loop; none of them blocks it."""

    def __init__(self, connections: Connections, options: RecordsOptions, folder: Path) -> None:
        """Use `open`."""
        self._connections = connections
        self._options = options
        self._duties = _Duties(options, folder)
        self._writer = Writer(
            opening.open_writer(connections),
            connections,
            self._duties,
            name="records",
            upkeep_seconds=PRUNE_SECONDS,
            changes_per_commit=_CHANGES_PER_COMMIT,
        )
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="records-read")
        self._upkeep = ThreadPoolExecutor(1, thread_name_prefix="records-upkeep")
        self._ending = threading.Event()

    @classmethod
    def open(
        cls,
        folder: Path,
        key: bytes,
        options: RecordsOptions | None = None,
        *,
        expected: bool = False,
        accept_loss: bool = False,
    ) -> Self:
        """Open the records in a folder of their own, made where there were none. Blocks.

        `expected`: there were some. Raises RecordsMissingError, RecordsKeyError,
        RecordsCorruptError, RecordsVersionError, RecordsError.
        """
        connections = opening.connections(folder, key, expected=expected, accept_loss=accept_loss)
        try:
            opened = cls(connections, _within_volume(options or RecordsOptions(), folder), folder)
        except BaseException:
            connections.close()
            raise
        opened._writer.start()
        return opened

    async def keep(self, batches: Sequence[Take], costs: Sequence[KeepingCost] = ()) -> int:
        """Have the records of these batches durable; return how many no column takes.

        `costs` are what keeping earlier ones took.

        Raises RecorderInputError for what is no record, RecordsError.
        """
        if not costs and not keeping.holds_records(batches):
            return 0

        def change(connection: engine.Connection, *, together: bool) -> keeping.Kept:
            kept = keeping.keep(
                connection,
                batches,
                time.time(),
                lambda: self._duties.room(connection),
                costs=costs,
                together=together,
                unshipped=self._duties.unshipped,
            )
            self._duties.unpruned += kept.rows
            return kept

        try:
            return (await self._writer.submit(partial(change, together=True))).lost
        except UnstorableRecordError:  # the writer has undone it
            return (await self._writer.submit(partial(change, together=False))).lost

    async def page(self, operation: Operation[object], at: int | None) -> Page:
        """Return one page of what is asked for. Raises NotFoundError, RecordsError."""
        if isinstance(operation, ReadUsage) and at is None:
            await self._count()

        def find(connection: engine.Connection) -> Page:
            return questions.page(connection, operation, at)

        return await self._run(self._reads, self._connections.read, find)

    async def _count(self) -> None:
        """Have all records in the sums; where nothing can be written, as far as they are."""
        if await self._run(self._reads, self._connections.read, usage.uncounted) > 0:
            try:
                await self._writer.submit(usage.count)
            except RecordsError as error:
                # Sums without the last calls tell more than none: budgets are counted by them.
                _log.error("the last records are not in the sums of use: %s", error)

    async def lent(self, what: RecordKind, after: int | None) -> lending.Lent:
        """Return records from a place on, for who exports them. Raises RecordsError."""

        def find(connection: engine.Connection) -> lending.Lent:
            return lending.lent(connection, what, after)

        return await self._run(self._reads, self._connections.read, find)

    async def count(self) -> int:
        """Return how many records were ever kept: it never goes back. Raises RecordsError."""

        def find(connection: engine.Connection) -> int:
            (kept,) = connection.execute("SELECT total(seq) FROM sqlite_sequence").fetchone()
            return int(kept)

        return await self._run(self._reads, self._connections.read, find)

    async def begin_taking_over(self, highest: dict[str, int]) -> bool:
        """Leave room for what an older store has; False: all of it was taken over before."""
        return await self._writer.submit(lambda c: taking_over.begin(c, highest))

    async def take_over(self, table: str, rows: Sequence[taking_over.Row]) -> None:
        """Have rows of an older store durable, each once. Raises RecorderInputError."""
        await self._writer.submit(lambda c: taking_over.take(c, table, rows))

    async def end_taking_over(self) -> None:
        """Take nothing over any more, for good."""
        await self._writer.submit(taking_over.end)

    async def hold(self, wanted: HoldRecords) -> tuple[int, int]:
        """Have records under hold; return how many, and their bytes. RecorderInputError."""

        def change(connection: engine.Connection) -> tuple[int, int]:
            return holding.hold(
                connection,
                wanted.id,
                wanted.functions,
                since=wanted.since,
                until=wanted.until,
                expires_at=wanted.expires_at,
                now=time.time(),
                deleting=self._duties.running(),
                max_bytes=self._options.max_bytes,
            )

        return await self._writer.submit(change)

    async def release(self, id: str) -> None:
        """End a hold."""
        await self._writer.submit(lambda c: holding.release(c, id))

    async def untold(self, limit: int) -> list[forgetting.Forgotten]:
        """Return what was deleted and is not in the journal yet. Raises RecordsError."""

        def find(connection: engine.Connection) -> list[forgetting.Forgotten]:
            return forgetting.untold(connection, limit)

        return await self._run(self._reads, self._connections.read, find)

    async def told(self, every: Sequence[forgetting.Forgotten]) -> None:
        """Take note of what the journal has. Raises RecordsError."""
        await self._writer.submit(lambda c: forgetting.told(c, every))

    async def outgoing(
        self,
        name: str,
        node: str,
        *,
        told: bool,
        stored: tuple[bytes, int] | None = None,
        most: int,
    ) -> shipping.Outgoing | None:
        """Return what is to be stored next for the other nodes. Raises RecordsError."""
        return await self._writer.submit(
            lambda c: shipping.outgoing(
                c,
                self._duties.unshipped,
                name,
                node,
                time.time(),
                told=told,
                stored=stored,
                most=most,
            )
        )

    async def entries_told(self) -> int:
        """Return up to where the journal was told the other nodes. Raises RecordsError."""
        return await self._run(self._reads, self._connections.read, shipping.entries_told)

    async def claim(self, draft: shipping.Draft, sealed: shipping.Sealed) -> bool:
        """Keep a batch as it is stored; see `shipping.claim`."""
        return await self._writer.submit(lambda c: shipping.claim(c, draft, sealed))

    async def waiting(self) -> shipping.Waiting | None:
        """Return the batch that waits to be stored for the other nodes. Raises RecordsError."""
        return await self._run(self._reads, self._connections.read, shipping.waiting)

    async def begin_stream(
        self, stream: bytes, batch: tuple[shipping.Draft, shipping.Sealed] | None
    ) -> None:
        """Begin another stream for the other nodes, with what waited under the one before."""

        def change(connection: engine.Connection) -> None:
            if batch is None:
                shipping.begin(connection, stream)
            else:
                shipping.begin_with(connection, *batch)

        await self._writer.submit(change)

    async def nodes(self) -> list[received.Other]:
        """Return what is known of the nodes. Raises RecordsError."""
        return await self._run(self._reads, self._connections.read, received.nodes)

    async def receive(self, node: received.Other, every: Sequence[received.Rows]) -> bool:
        """Keep what another node has told, with how far it was read.

        False if only that was kept: the rows are not as they should be. Raises RecordsError.
        """

        def change(connection: engine.Connection) -> bool:
            number = received.keep_node(connection, node).number
            try:
                with savepoint(connection):
                    rows = received.insert(connection, number, every, time.time())
            except UNSTORABLE:
                return False
            self._duties.unpruned += rows
            return True

        return await self._writer.submit(change)

    async def rekey(self, new_key: bytes) -> None:
        """Encrypt the database with another key. Other calls wait meanwhile. RecordsError."""
        if new_key == self._connections.key:
            return
        done = await self._run(
            self._upkeep, rekey, self._connections, self._writer, self._reads, new_key
        )
        if not done:
            raise RecordsError(
                "The records did not take the new key; the old one still holds.",
                next_step="Try again; nothing was changed.",
            )

    async def copy(self, folder: Path, descriptor: int) -> None:
        """Write a consistent copy of the database to an open file. Raises RecordsError."""
        await self._run(self._upkeep, self._copy, folder, descriptor)

    def _copy(self, folder: Path, descriptor: int) -> None:
        draft = folder / opening.COPY
        try:
            draft.unlink(missing_ok=True)
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            with (
                RECORDS.translated(),
                closing(self._connections.open_copy_source()) as source,
            ):
                copy_pages(source, draft, self._connections.key, self._step)
            with draft.open("rb", buffering=0) as file:
                while piece := file.read(_SEND_BYTES):
                    self._step()
                    write_all(descriptor, piece)
            os.fsync(descriptor)
        except OSError as error:
            raise RecordsError(
                f"The records cannot be copied: {error.strerror}.",
                next_step="Make room on that file system: a backup needs the records twice.",
            ) from error
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def _step(self) -> None:
        if self._ending.is_set():
            raise RECORDS.closed.of()

    async def scrub(self, rate: int) -> list[str]:
        """Read all of the database, `rate` bytes a second; return what is wrong with it."""
        guard = self._connections.guard
        return await asyncio.to_thread(scrub, guard.file, self._connections.key, self._pace(rate))

    def _pace(self, rate: int) -> Pace:
        def pace(read: int) -> None:
            if rate:
                self._ending.wait(read / rate)
            self._step()

        return pace

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with the file, in words."""
        return self._connections.faults()

    async def _run(self, executor: Executor, call: Callable[..., T], *args: object) -> T:
        try:
            answer = asyncio.get_running_loop().run_in_executor(executor, partial(call, *args))
        except RuntimeError as error:  # the executor has been shut down
            raise RECORDS.closed.of() from error
        return await answer

    def close(self) -> None:
        """Write what is queued and close the file. Blocks."""
        self._ending.set()
        # The upkeep ends first: it needs the writer and the reader.
        self._upkeep.shutdown(wait=True)
        self._writer.stop()
        self._reads.shutdown(wait=True)
        self._connections.close()
