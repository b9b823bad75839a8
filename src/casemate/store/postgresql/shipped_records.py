"""The rows of recorders' batches. What is wrong with them their readers find, nobody here."""

from __future__ import annotations

from functools import partial
from typing import Final

from casemate.sqlite import engine
from casemate.store.postgresql.bundles import Run
from casemate.store.shipped_records import KEPT_SECONDS, MAX_BATCH_BYTES, Batch, Stream

# One way there and back: other nodes' changes wait for the lock that is held meanwhile.
_KEEP: Final = """
    WITH made AS (
        INSERT INTO shipped_records (node, stream, number, at, content)
        VALUES (?, ?, ?, unixepoch('subsec'), ?) ON CONFLICT (node, stream, number) DO NOTHING
        RETURNING node, stream, number
    )
    INSERT INTO shipped_stream (node, stream, last) SELECT node, stream, number FROM made WHERE true
    ON CONFLICT (node, stream) DO UPDATE SET last = excluded.last
    WHERE shipped_stream.last < excluded.last
    RETURNING last
"""
_SAME: Final = """
    SELECT content FROM shipped_records WHERE node = ? AND stream = ? AND number = ?
"""
# Who writes to the database may write anything: what is no batch, or larger than one can be,
# never gets as far as the recorder, and fills no memory here.
_STREAMS: Final = """
    SELECT node, stream, last FROM shipped_stream
    WHERE length(stream) = 16 AND length(node) BETWEEN 1 AND 64 ORDER BY node, stream LIMIT 256
"""
_AFTER: Final = """
    SELECT node, stream, number, CASE WHEN length(content) <= ? THEN content ELSE x'' END
    FROM shipped_records
    WHERE node = ? AND stream = ? AND number > ? AND number < 72057594037927936
    ORDER BY number LIMIT ?
"""
_OLD: Final = """
    SELECT node, stream, number FROM shipped_records WHERE at < unixepoch('subsec') - ?
    ORDER BY at LIMIT ?
"""
_FORGET: Final = "DELETE FROM shipped_records WHERE node = ? AND stream = ? AND number = ?"
_ENDED: Final = """
    DELETE FROM shipped_stream WHERE node = ? AND stream = ? AND NOT EXISTS (
        SELECT 1 FROM shipped_records AS kept
        WHERE kept.node = shipped_stream.node AND kept.stream = shipped_stream.stream
    )
"""
_AT_ONCE: Final = 256


class StoredShippedRecords:
    """Satisfies `casemate.store.shipped_records.ShippedRecords`."""

    def __init__(self, ask: Run, change: Run) -> None:
        """`ask` only reads, `change` is durable once awaited."""
        self._ask = ask
        self._change = change

    async def keep(self, batch: Batch) -> bool:
        """Store a batch, durably; False and nothing if another is there under its number."""
        return await self._change(partial(_keep, batch=batch))

    async def streams(self) -> list[Stream]:
        """Return all, those of a node in their order."""
        return await self._ask(
            lambda connection: [
                Stream(str(node), bytes(stream), int(last))
                for node, stream, last in connection.execute(_STREAMS)
            ]
        )

    async def after(self, stream: Stream, number: int, most: int) -> list[Batch]:
        """Return batches of a stream with higher numbers, in order."""
        values = (MAX_BATCH_BYTES, stream.node, stream.stream, number, most)
        return await self._ask(
            lambda connection: [
                Batch(str(node), bytes(name), int(at), bytes(content))
                for node, name, at, content in connection.execute(_AFTER, values)
            ]
        )

    async def forget(self) -> int:
        """Delete some that are old; return how many."""
        return await self._change(_forget)


def _keep(connection: engine.Connection, *, batch: Batch) -> bool:
    if connection.execute(_KEEP, batch).fetchone() is not None:
        return True
    # Another one was there, or this one, or a later one of the stream.
    there = connection.execute(_SAME, batch[:3]).fetchone()
    return there is not None and bytes(there[0]) == batch.content


def _forget(connection: engine.Connection) -> int:
    old = connection.execute(_OLD, (KEPT_SECONDS, _AT_ONCE)).fetchall()
    for row in old:
        connection.execute(_FORGET, row)
    for stream in {(node, bytes(name)) for node, name, _ in old}:
        connection.execute(_ENDED, stream)
    return len(old)
