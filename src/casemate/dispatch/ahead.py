"""Zygotes that are opened before a call needs them, one after the other.

Those of functions that keep instances ready, and those that take the place of one that is due to
be replaced. Whoever is called opens its own at once and never waits for these.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from casemate.dispatch.pool import Pool


class Ahead:
    """Opens for pools, at most one at a time: an import takes a core, which calls want as well."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open none yet."""
        self._loop = loop
        self._task: asyncio.Task[None] | None = None

    def look(self, pools: Iterable[Pool]) -> None:
        """Begin with the pools that need one, unless it goes on already."""
        if self._task is not None and not self._task.done():
            return
        now = self._loop.time()
        due = [pool for pool in pools if pool.needs_zygote(now)]
        if due:
            self._task = self._loop.create_task(self._open(_in_order(due)))

    async def _open(self, due: list[Pool]) -> None:
        for pool in due:
            if pool.needs_zygote(self._loop.time()):
                await pool.open_ahead()

    def close(self) -> None:
        """Open no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None


def _in_order(due: list[Pool]) -> list[Pool]:
    """Return them with those first that a call would wait for now, then projects in turns.

    However many functions one has, and however long they take to import, others are not late.
    """
    turns = Counter[str]()
    placed: list[tuple[bool, int, Pool]] = []
    for pool in due:
        project = pool.version.project
        placed.append((pool.has_zygote, turns[project], pool))
        turns[project] += 1
    placed.sort(key=lambda one: one[:2])
    return [pool for _, _, pool in placed]
