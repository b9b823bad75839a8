"""The rows of what nodes count. Who writes to the database may write anything: it opens nothing."""

from __future__ import annotations

from functools import partial
from typing import Final

from casemate.sqlite import engine
from casemate.store.postgresql.bundles import Run
from casemate.store.told_numbers import MAX_CONTENT_BYTES, MAX_TOLD, ToldNumbers

_WANT: Final = "UPDATE numbers_wanted SET at = unixepoch('subsec')"
_KEEP: Final = """
    INSERT INTO node_numbers (node, at, content) VALUES (?, unixepoch('subsec'), ?)
    ON CONFLICT (node) DO UPDATE SET at = excluded.at, content = excluded.content
"""
_OLD: Final = "DELETE FROM node_numbers WHERE at < unixepoch('subsec') - ?"
_TOLD: Final = """
    SELECT node, unixepoch('subsec') - at,
        CASE WHEN length(content) <= ? THEN content ELSE x'' END
    FROM node_numbers WHERE at > unixepoch('subsec') - ? AND length(node) BETWEEN 1 AND 64
    ORDER BY node LIMIT ?
"""
_OLD_SECONDS: Final = 86_400.0


class StoredNumberRows:
    """Satisfies `casemate.store.told_numbers.NumberRows`."""

    def __init__(self, ask: Run, change: Run) -> None:
        """`ask` only reads, `change` is durable once awaited."""
        self._ask = ask
        self._change = change

    async def want(self) -> None:
        """Have all nodes know that their numbers are wanted now."""
        await self._change(_want)

    async def keep(self, node: str, content: bytes) -> None:
        """Keep what a node tells, in the place of what it told before."""
        await self._change(partial(_keep, node=node, content=content))

    async def told(self, latest: float) -> list[ToldNumbers]:
        """Return what was told in the last so many seconds; a bounded number."""
        values = (MAX_CONTENT_BYTES, latest, MAX_TOLD)
        return await self._ask(
            lambda connection: [
                ToldNumbers(str(node), max(0.0, float(age)), bytes(content))
                for node, age, content in connection.execute(_TOLD, values)
            ]
        )


def _want(connection: engine.Connection) -> None:
    connection.execute(_WANT)
    # Of nodes that are no more; nobody else would ever forget them.
    connection.execute(_OLD, (_OLD_SECONDS,))


def _keep(connection: engine.Connection, *, node: str, content: bytes) -> None:
    connection.execute(_KEEP, (node, content))
