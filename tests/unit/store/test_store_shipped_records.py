"""Where recorders' batches are stored: once under each number, and for as long as others need."""

from __future__ import annotations

import asyncio

from casemate.postgresql.settings import Settings
from casemate.recorder import shipping as recorders
from casemate.recorder.shipment import MAX_SHIPPED_BYTES
from casemate.store.postgresql.store import PostgresqlStore
from casemate.store.shipped_records import KEPT_SECONDS, MAX_BATCH_BYTES, Batch, Stream

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


def test_what_can_be_no_batch_gets_no_further_than_the_database(database: str) -> None:
    """Who writes to it may write anything: a message that is refused would end the recorder."""

    async def run() -> None:
        store = PostgresqlStore.open(Settings.of_url(database), cluster=CLUSTER)
        try:
            rows = store.shipped_records()
            await rows.keep(Batch("a", STREAM, 1, b"1"))
            await rows.keep(Batch("a", STREAM, 2, bytes(MAX_BATCH_BYTES + 1)))
            await rows.keep(Batch("a", STREAM, 1 << 57, b"far"))
            await rows.keep(Batch("a" * 65, STREAM, 1, b"name"))
            await rows.keep(Batch("", STREAM, 1, b"no name"))
            await rows.keep(Batch("a", b"short", 1, b"stream"))
            [stream] = await rows.streams()
            assert stream[:2] == ("a", STREAM)
            found = await rows.after(stream, 0, 9)
            assert found == [Batch("a", STREAM, 1, b"1"), Batch("a", STREAM, 2, b"")]
        finally:
            await store.close()

    asyncio.run(run())


def test_the_store_and_recorders_agree_on_how_large_and_how_old_a_batch_is() -> None:
    assert MAX_BATCH_BYTES == MAX_SHIPPED_BYTES
    assert recorders.KEPT_SECONDS == KEPT_SECONDS
