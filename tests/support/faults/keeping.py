"""What a recorder keeps, in both of its places, in a process whose disk fails.

python -m support.faults.keeping FOLDER    one command a line: ["take", 7, ["fact", "record"]]
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from casemate.journal.verifying import verify
from casemate.model.denial import Denial, DenialKind
from casemate.model.errors import CasemateError
from casemate.model.facts import SignedIn
from casemate.recorder.protocol import DENIED, Take, Told
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.sealing import opening
from casemate.sqlite import engine
from support.faults.child import STORE_KEY
from support.journal import KEY, PRIVATE
from support.monitor import Journal

SESSION = b"gateway."


def told(number: int, kind: str) -> Told:
    """Return what a gateway tells under this number."""
    if kind == "fact":
        fact = SignedIn(at=1.0, by=str(number), method="password")
        return Told("SignedIn", msgspec.msgpack.encode(fact))
    denial = Denial(
        at=0.0, kind=DenialKind.REQUEST, by="p", action="a", resource="r", reason=str(number)
    )
    return Told(DENIED, msgspec.msgpack.encode(denial))


def _every_reason(connection: engine.Connection) -> list[Any]:
    return connection.execute("SELECT reason FROM denial ORDER BY sequence").fetchall()


class Keeping:
    """The journal and the records below one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder / "journal"
        self.journal = Journal(self.folder)
        try:
            self.records = RecordsDatabase.open(folder / "records", STORE_KEY)
        except BaseException:
            self.journal.writer.close()
            raise

    async def begin(self) -> None:
        await self.journal.keys.load()
        self.journal.keeper.remember(self.journal.writer.newest())

    async def take(self, first: int, kinds: Sequence[str]) -> None:
        """Keep what is told from this number on, as the recorder does."""
        every = tuple(told(number, kind) for number, kind in enumerate(kinds, first))
        batches = [Take(1, SESSION, first, every)]
        records = asyncio.ensure_future(self.records.keep(batches))
        try:
            await self.journal.keeper.keep(batches)
        except BaseException:
            await asyncio.wait((records,))
            records.exception()  # of two failures the journal's is answered
            raise
        await records

    async def sign(self) -> int:
        """Make a checkpoint; return its size."""
        return self.journal.writer.checkpoint(PRIVATE.sign).size

    async def kept(self) -> list[list[str]]:
        """Return the numbers of facts and of records that are kept, the oldest first."""
        await self.sign()
        facts = []
        for entry in self.journal.writer.newest():
            clear = opening(entry)
            assert clear is not None and clear.session == SESSION
            facts.append(str(clear.number))
        # A question would be answered with a thousand at the most.
        rows = await self.records._run(
            self.records._reads, self.records._connections.read, _every_reason
        )
        return [facts, [str(reason) for (reason,) in rows]]

    async def findings(self) -> list[str]:
        """Return what is found wrong with the journal."""
        return [str(each) for each in verify(self.folder, KEY).findings]


async def main(folder: Path) -> None:
    try:
        keeping = Keeping(folder)
        await keeping.begin()
    except CasemateError as error:
        print(json.dumps(["error", type(error).__name__, False, error.message]), flush=True)
        return
    print(json.dumps(["ok", None]), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, *arguments = json.loads(line)
        try:
            answer: Any = ["ok", await getattr(keeping, name)(*arguments)]
        except CasemateError as error:
            answer = ["error", type(error).__name__, error.retryable, error.message]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
