"""Tells in the journal which records retention has deleted: of whom, how many, and when."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from casemate.child.calls import decode_reply
from casemate.model.errors import CasemateError
from casemate.model.facts import RecordsForgotten
from casemate.recorder.own_facts import OwnFacts
from casemate.recorder.protocol import Take
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
        self._own = OwnFacts()

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
        kept: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if not self._take(self._own.take(*facts), kept.set_result):
            return
        if decode_reply(await kept).failure is None:
            await self._records.told(found)
