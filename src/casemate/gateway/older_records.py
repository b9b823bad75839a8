"""Handing the records that a release before has kept in the store to the recorder, once.

A start does it in the background where it takes long. It goes on where it was after a crash at any
place: the recorder knows which rows it has, and the store forgets its own only once all of them are
there, for good.
"""

from __future__ import annotations

import asyncio
import logging

from casemate.background import Background
from casemate.model.errors import CasemateError
from casemate.recorder.records.client import RecordsClient
from casemate.store.sqlite.store import SqliteStore

RETRY_SECONDS = 30.0
BEFORE_SECONDS = 5.0
"""How long a start waits for them: few are there before anything is answered."""
_PAUSE_SECONDS = 0.005
"""Between two batches: calls have the processor first."""
_log = logging.getLogger(__name__)


class OlderRecords:
    """What the store has of a release before."""

    def __init__(self, store: SqliteStore, records: RecordsClient) -> None:
        """Hand them from `store` to `records`."""
        self._store = store
        self._records = records
        self._highest: dict[str, int] = {}
        self._wanted = False
        self._background = Background()

    async def begin(self) -> None:
        """Leave room for them; what is recorded after this comes after them. CasemateError."""
        self._highest = await self._store.old_records()
        self._wanted = await self._records.begin_taking_over(self._highest)
        if self._wanted and not self._highest:
            await self._records.end_taking_over()
        if self._highest:
            task = self._background.start(self._run())
            await asyncio.wait({task}, timeout=BEFORE_SECONDS)

    async def _run(self) -> None:
        while True:
            try:
                await self.move()
            except CasemateError as error:
                _log.error("older records cannot be taken over yet: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def move(self) -> None:
        """Hand them over, and have the store forget them. Raises CasemateError."""
        if self._wanted:
            for table in self._highest:
                await self._move(table)
            await self._records.end_taking_over()
            self._wanted = False
        left = True
        while left:
            left = await self._store.forget_old_rows()
            await asyncio.sleep(_PAUSE_SECONDS)
        _log.info("the records of the release before are the recorder's now")

    async def _move(self, table: str) -> None:
        after = 0
        while rows := await self._store.old_rows(table, after):
            await self._records.take_over(table, rows)
            after = int(rows[-1][0] or 0)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def close(self) -> None:
        """Go on at the next start."""
        await self._background.close()
