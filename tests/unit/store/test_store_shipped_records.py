"""Where recorders' batches are stored: once under each number, and for as long as others need."""

from __future__ import annotations

import asyncio

from casemate.postgresql.settings import Settings
from casemate.store.postgresql.store import PostgresqlStore
from casemate.store.shipped_records import KEPT_SECONDS, Batch, Stream

CLUSTER = "tests"
STREAM, LATER = bytes(16), b"\x01" * 16


def test_a_number_is_stored_once_and_read_in_order(database: str) -> None:
    async def run() -> None:
        store = PostgresqlStore.open(Settings.of_url(database), cluster=CLUSTER)
        try:
            rows = store.shipped_records()
            for number in (2, 1):
                assert await rows.keep(Batch("a", STREAM, number, b"%d" % number))
            # Sent again after a kill it is the same; another one is not taken.
            assert await rows.keep(Batch("a", STREAM, 2, b"2"))
            assert not await rows.keep(Batch("a", STREAM, 2, b"other"))
            assert await rows.keep(Batch("b", LATER, 1, b"b"))
            streams = await rows.streams()
            assert streams == [Stream("a", STREAM, 2), Stream("b", LATER, 1)]
            found = await rows.after(streams[0], 0, 9)
            assert found == [Batch("a", STREAM, 1, b"1"), Batch("a", STREAM, 2, b"2")]
            assert await rows.after(streams[0], 1, 9) == found[1:]
            assert await rows.after(streams[0], 0, 1) == found[:1]
            assert await rows.forget() == 0
            await store._writer.submit(
                lambda c: c.execute(
                    "UPDATE shipped_records SET at = at - ? WHERE node = 'a'", (KEPT_SECONDS + 1,)
                )
            )
            assert await rows.forget() == 2
            assert await rows.streams() == [Stream("b", LATER, 1)]
        finally:
            await store.close()

    asyncio.run(run())
