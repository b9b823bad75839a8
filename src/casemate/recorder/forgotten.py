"""Tells in the journal which records retention has deleted: of whom, how many, and when."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable

import msgspec

from casemate.child.calls import decode_reply
from casemate.model.errors import CasemateError
from casemate.model.facts import RecordsForgotten
from casemate.recorder.protocol import SESSION_BYTES, Take, Told
from casemate.recorder.records_server import RecordsServer

FIRST_SECONDS, TELL_SECONDS = 60.0, 900.0
"""After its start, and from then on."""
MOST = 256
"""Projects and kinds that are told of at once; the others the next time."""
_log = logging.getLogger("casemate.recorder")


class Telling:
    """One of a recorder."""

    def __init__(
        self, records: RecordsServer, take: Callable[[Take, Callable[[bytes], None]], bool]
    ) -> None:
        """Ask `records`; have `take` keep what is told, which is False where it cannot now."""
        self._records = records
        self._take = take
        self._session = os.urandom(SESSION_BYTES)
        self._next = 0

    async def run(self) -> None:
        """Tell again and again. What cannot be told now is told later."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                await self.tell()
            except CasemateError as error:
                _log.warning("what was deleted of the records is told later: %s", error)
            await asyncio.sleep(TELL_SECONDS)

    async def tell(self) -> None:
        """Tell what is not told yet. Raises CasemateError."""
        found = await self._records.untold(MOST)
        if not found:
            return
        now = time.time()
        facts = [
            RecordsForgotten(
                at=now, project=one.project, record=one.kind, count=one.number, total=one.total
            )
            for one in found
        ]
        told = tuple(Told(type(fact).__name__, msgspec.msgpack.encode(fact)) for fact in facts)
        kept: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if not self._take(Take(0, self._session, self._next, told), kept.set_result):
            return
        self._next += len(told)
        if decode_reply(await kept).failure is None:
            await self._records.told(found)
