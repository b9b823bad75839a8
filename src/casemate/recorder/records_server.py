"""What the recorder does with its database of records, for the gateway that asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from casemate.recorder import protocol
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.reading_protocol import Lend, Lent
from casemate.recorder.records import forgetting, questions
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.errors import RecordsError, RecordsKeyError
from casemate.recorder.records.keeping_cost import KeepingCost
from casemate.recorder.records.opening import FOLDER
from casemate.recorder.shipping import Journal, Shipping, TakeOwn
from casemate.vault.recorder_client import RecorderVault

_encode = msgspec.msgpack.Encoder().encode


class RecordsServer:
    """Answers by one database, whose keys are those of one vault."""

    def __init__(self, folder: Path, database: RecordsDatabase, vault: RecorderVault) -> None:
        """Use `open`."""
        self._folder = folder
        self._database = database
        self._vault = vault

    @classmethod
    async def open(cls, home: Path, vault: RecorderVault, *, accept_loss: bool) -> RecordsServer:
        """Open the records below the recorder's folder, made where there were none.

        Raises RecordsMissingError where there were some, RecordsError, VaultError.
        """
        folder = home / FOLDER
        expected = await vault.records_kept()
        newest = await vault.records_key()
        key = newest
        while True:
            try:
                database = RecordsDatabase.open(folder, key.key, expected=expected)
                break
            except RecordsKeyError:
                # Records that were not yet encrypted anew have a key before the newest.
                if key.version > 1:
                    key = await vault.records_key(key.version - 1)
                    continue
                if not accept_loss:
                    raise
            except RecordsError:
                if not accept_loss:
                    raise
            database = RecordsDatabase.open(folder, key.key, accept_loss=True)
            break
        server = cls(folder, database, vault)
        try:
            if not expected:
                # After they were made: a crash in between makes them again, and misses nothing.
                await vault.keep_records()
            await database.rekey(newest.key)
        except BaseException:
            await server.close()
            raise
        return server

    def shipping(self, journal: Journal, take: TakeOwn) -> Shipping:
        """Return what tells other nodes of these records, and keeps theirs."""
        return Shipping(self._database, self._vault, journal, take)

    async def keep(
        self, batches: Sequence[protocol.Take], costs: Sequence[KeepingCost] = ()
    ) -> int:
        """See RecordsDatabase."""
        return await self._database.keep(batches, costs)

    async def copy(self, descriptor: int) -> None:
        """Write a copy to an open file."""
        await self._database.copy(self._folder, descriptor)

    async def result(self, request: protocol.Request) -> object:
        """Return what is asked for. Raises CasemateError."""
        match request:
            case protocol.RekeyRecords():
                await self._database.rekey((await self._vault.records_key()).key)
            case protocol.CheckRecords():
                return [*self._database.faults(), *await self._database.scrub(request.rate)]
            case protocol.CountRecords():
                return await self._database.count()
            case protocol.BeginTakingOver():
                return await self._database.begin_taking_over(request.highest)
            case protocol.TakeOver():
                await self._database.take_over(request.table, request.rows)
            case protocol.HoldRecords():
                return await self._database.hold(request)
            case protocol.ReleaseRecords():
                await self._database.release(request.id)
            case protocol.EndTakingOver():
                await self._database.end_taking_over()
            case _:
                raise RecorderInputError("The recorder does not answer this.")
        return None

    async def page(self, request: protocol.Ask) -> protocol.PageOfRecords:
        """Return one page of an answer. Raises CasemateError."""
        operation = questions.decode(request.kind, request.question)
        page = await self._database.page(operation, request.at)
        return protocol.PageOfRecords(msgspec.Raw(_encode(page.rows)), page.at)

    async def lent(self, request: Lend) -> Lent:
        """Return records from a place on. Raises RecordsError."""
        found = await self._database.lent(request.what, request.after)
        rows = msgspec.Raw(_encode(found.rows))
        return Lent(rows, len(found.rows), found.next, found.newest)

    async def untold(self, limit: int) -> list[forgetting.Forgotten]:
        """See RecordsDatabase."""
        return await self._database.untold(limit)

    async def told(self, every: Sequence[forgetting.Forgotten]) -> None:
        """See RecordsDatabase."""
        await self._database.told(every)

    async def close(self) -> None:
        """Close the database."""
        await asyncio.to_thread(self._database.close)
