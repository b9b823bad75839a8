"""`PostgresqlStore`: one open store on a server, and the threads that use it.

The writer's thread has one connection, the reader's another, as on SQLite. Other nodes write the
same schema: a lock of the database makes each transaction wait for the others', and a read sees
what any of them has committed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final, Self, TypeVar

import msgspec

from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.nodes import StoreChanges
from casemate.operations.declaration import Operation
from casemate.postgresql.connections import Connections, Place
from casemate.postgresql.fence import Fence
from casemate.postgresql.migrating import Identity
from casemate.postgresql.settings import Settings
from casemate.sqlite import engine
from casemate.sqlite.writer import Writer
from casemate.store.errors import StoreForeignError, StoreMovedError
from casemate.store.postgresql import exclusive
from casemate.store.postgresql.bundles import StoredBundleRows, require_bundles
from casemate.store.postgresql.faults import STORE_SERVER
from casemate.store.postgresql.proofs import (
    FORESEEN,
    MissedChangesError,
    MissingProofKeyError,
    Proofs,
)
from casemate.store.postgresql.proofs.witness import Witness
from casemate.store.postgresql.schema import MIGRATIONS
from casemate.store.postgresql.shared_vault import StoredVaultRows
from casemate.store.postgresql.shipped_records import StoredShippedRecords
from casemate.store.postgresql.told_numbers import StoredNumberRows
from casemate.store.sqlite.performed import PERFORMED
from casemate.store.sqlite.upkeep import PRUNE_SECONDS, StoreDuties
from casemate.vault.interface import DataKey

AnswerT = TypeVar("AnswerT")
KeyOf = Callable[[int], Awaitable[DataKey]]

SCHEMA: Final = "casemate_control"
KIND: Final = "control"
_LOCK: Final = int.from_bytes(b"casemctl")
"""Of all databases with this schema; a lock is of one database anyway."""
_CHANGES_PER_COMMIT: Final = 128
"""Fewer than on SQLite: while they are made, other nodes wait."""
_UNKNOWN: Final = 4
"""How often a question or change is done again with what was not known: keys, changes."""
_CHANGES: Final = """
    SELECT number, NULL FROM revision UNION ALL SELECT revision, name FROM topic WHERE revision > ?
"""
_MOVED: Final = """
    SELECT number FROM revision WHERE number < ?
    UNION ALL SELECT revision FROM topic WHERE revision > ?
    AND name IN (SELECT value FROM json_each(?)) LIMIT 1
"""


class PostgresqlStore:
    """The store of many nodes. Satisfies `casemate.store.interface.Store`.

    `open` opens one. A change whose awaiter is cancelled may still be made. One that raises
    StoreCommitUnsureError may have been made.
    """

    def __init__(self, connections: Connections) -> None:
        """Use `open` instead. Raises StoreError; then `connections` are the caller's to close."""
        self._connections = connections
        self._duties = _Duties()
        self._writer = Writer(
            connections.open_writer(),
            connections,
            self._duties,
            name="casemate-store",
            upkeep_seconds=PRUNE_SECONDS,
            changes_per_commit=_CHANGES_PER_COMMIT,
        )
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="casemate-store-read")
        self._closing = threading.Lock()
        self._closed = False
        self._requires_bundles = False
        self._key_of: KeyOf | None = None

    @classmethod
    def open(cls, settings: Settings, *, cluster: str, fence: Fence | None = None) -> Self:
        """Open the store of a cluster, and make it if the database has none. Blocks.

        `cluster` names it: what all of its nodes, and those of no other, have in common.
        `fence` is what the node remembers of the database, for all that it keeps there; without one
        a server that lost what was acknowledged is noticed by this process alone.

        Raises StoreMediumError if no server answers or those that do are standbys or lack what
        `fence` remembers, StoreForeignError if the schema is another cluster's or another
        program's, StoreVersionError if it is newer than this code, StoreError for a server that is
        not fit, SettingsError for a place that is none.
        """
        if not 0 < len(cluster) <= 128 or not cluster.isprintable():
            raise InvalidInputError(
                f"The cluster {cluster[:80]!r} is not valid: expected 1 to 128 characters that can "
                "be printed."
            )
        place = place_of(settings, Identity(SCHEMA, KIND, cluster), fence or Fence())
        connections = Connections(place, STORE_SERVER)
        try:
            store = cls(connections)
        except BaseException:
            connections.close()
            raise
        store._writer.start()
        return store

    async def read(self, operation: Operation[AnswerT]) -> AnswerT:
        """Answer an operation that changes nothing."""
        question = PERFORMED.reading(operation)

        def ask(connection: engine.Connection) -> AnswerT:
            answer: AnswerT = question(connection, operation)
            return answer

        proofs = self._duties.proofs
        if proofs is None:
            return await self._ask(ask)
        return await self._knowing(lambda: self._ask(lambda c: proofs.read(c, ask)))

    async def prove(self, proofs: Proofs, key_of: KeyOf) -> None:
        """From now on believe, and write, only what nodes can prove.

        Nothing is asked before. `key_of` gives a version of the key; raises NotFoundError. Raises
        StoreProofError for what is there already.
        """
        self._duties.proofs, self._key_of = proofs, key_of
        await self._knowing(lambda: self._writer.submit(proofs.begin_in_writer))

    async def _knowing(self, ask: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """Do what needs to know keys and changes of others, once more for what was not known."""
        proofs, key_of = self._duties.proofs, self._key_of
        for _ in range(_UNKNOWN):
            try:
                return await ask()
            except MissedChangesError:
                continue
            except MissingProofKeyError as missing:
                if proofs is None or key_of is None:
                    raise
                try:
                    proofs.add_key(await key_of(missing.version))
                except NotFoundError as error:
                    raise proofs.has_no_key(missing.version) from error
        return await ask()

    async def change(self, operation: Operation[AnswerT]) -> AnswerT:
        """Do an operation, durably."""
        return await self._knowing(lambda: self._writer.submit(self._making(operation)))

    async def changes_since(self, revision: int) -> StoreChanges:
        """Return the newest revision, and what was changed after an earlier one, by any node."""

        def ask(connection: engine.Connection) -> StoreChanges:
            rows = connection.execute(_CHANGES, (revision,)).fetchall()
            newest = max(int(number) for number, name in rows if name is None)
            topics = frozenset(str(name) for _, name in rows if name is not None)
            return StoreChanges(revision=newest, topics=topics if newest >= revision else None)

        return await self._ask(ask)

    async def change_at(
        self, operation: Operation[AnswerT], revision: int, topics: Iterable[str]
    ) -> AnswerT:
        """Do an operation, durably, if nothing of `topics` was changed after a revision.

        Raises StoreMovedError if something was; then nothing is done.
        """
        make = self._making(operation)
        names = msgspec.json.encode(sorted(topics)).decode()

        def make_there(connection: engine.Connection) -> AnswerT:
            moved = connection.execute(_MOVED, (revision, revision, names)).fetchone()
            if moved is not None:
                raise StoreMovedError(
                    "Another node has changed what this was decided on.", next_step="Try again."
                )
            return make(connection)

        return await self._knowing(lambda: self._writer.submit(make_there))

    def bundle_rows(self) -> StoredBundleRows:
        """Return where it is said which blobs bundles have; from now on every version needs one."""
        self._requires_bundles = True
        return StoredBundleRows(self._ask, self._writer.submit)

    def vault_rows(self) -> StoredVaultRows:
        """Return where the vault is kept that the nodes share."""
        return StoredVaultRows(self._ask, self._writer.submit)

    def shipped_records(self) -> StoredShippedRecords:
        """Return where recorders' batches are stored for the other nodes."""
        return StoredShippedRecords(self._ask, self._writer.submit)

    def number_rows(self) -> StoredNumberRows:
        """Return where nodes leave what they count for each other."""
        return StoredNumberRows(self._ask, self._writer.submit)

    def _making(self, operation: Operation[AnswerT]) -> Callable[[engine.Connection], AnswerT]:
        """Return what does an operation in a transaction, with what has to hold at its end."""
        perform = PERFORMED.changing(operation)

        def make(connection: engine.Connection) -> AnswerT:
            with self._duties.proved(connection) as witnessed:
                answer: AnswerT = perform(witnessed, operation)
                exclusive.follow(connection, operation)
                if self._requires_bundles:
                    require_bundles(connection, operation)
            return answer

        return make

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with the server, in words for the operator."""
        return self._connections.faults()

    async def close(self) -> None:
        """Write what is queued and end the connections."""
        await asyncio.to_thread(self._shut)

    async def _ask(self, question: Callable[[engine.Connection], AnswerT]) -> AnswerT:
        try:
            answer = asyncio.get_running_loop().run_in_executor(
                self._reads, partial(self._connections.read, question)
            )
        except RuntimeError as error:  # the executor has been shut down
            raise STORE_SERVER.closed.of() from error
        return await answer

    def _shut(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            try:
                self._writer.stop()
            finally:
                self._reads.shutdown(wait=True)
                self._connections.close()


class _Duties(StoreDuties):
    """Has what is written proved, once it is known by what. On the writer's thread."""

    proofs: Proofs | None = None

    @contextmanager
    def proved(self, connection: engine.Connection) -> Iterator[engine.Connection]:
        """Give what to write with."""
        if self.proofs is None:
            yield connection
            return
        self.proofs.prepare_in_writer(connection)
        witness = Witness(connection)
        try:
            yield witness.as_engine()
        except FORESEEN:
            raise
        except Exception:
            # Rows that no node has written may be of no form at all.
            self.proofs.require_in_writer(connection, witness)
            raise
        self.proofs.keep_in_writer(connection, witness)

    def begin(self, connection: engine.Connection) -> engine.Connection:
        if self.proofs is not None:
            self.proofs.transaction_begins()
        return super().begin(connection)

    def mark(self, work: engine.Connection) -> int:
        return 0 if self.proofs is None else self.proofs.mark()

    def forget(self, work: engine.Connection, mark: int) -> None:
        if self.proofs is not None:
            self.proofs.undo_to(mark)

    def committed(self, work: engine.Connection) -> None:
        if self.proofs is not None:
            self.proofs.committed()

    def upkeep(self, work: engine.Connection) -> bool:
        with self.proved(work) as witnessed:
            return super().upkeep(witnessed)


def place_of(settings: Settings, identity: Identity, fence: Fence) -> Place:
    """Return where the store of a cluster is."""
    return Place(
        settings=settings,
        identity=identity,
        lock=_LOCK,
        migrations=MIGRATIONS,
        foreign=StoreForeignError,
        fence=fence,
    )
