"""Messages that a server pushes, gathered into batches that are handed over."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """A queue, bounded in number and bytes, whose content is taken in batches."""

    def __init__(self, most: int, most_bytes: int, held_bytes: int = 0) -> None:
        """Hold `most` messages and `held_bytes` of them; without a number, two batches.

        A batch has no more than `most_bytes`. Of both bounds a single message may be larger.
        """
        self._most = most
        self._most_bytes = most_bytes
        self._held_bytes = held_bytes or 2 * most_bytes
        self._held: deque[tuple[T, int]] = deque()
        self._size = 0
        self._came, self._went = asyncio.Event(), asyncio.Event()
        self._in_turn = asyncio.Lock()
        self.lost = 0
        """Messages that found no room and were not put, since `take_lost`."""

    def _has_room(self, size: int) -> bool:
        fits = len(self._held) < self._most and self._size + size <= self._held_bytes
        return fits or not self._held

    def _add(self, message: T, size: int) -> None:
        self._held.append((message, size))
        self._size += size
        self._came.set()

    async def put(self, message: T, size: int) -> None:
        """Put a message, once there is room."""
        async with self._in_turn:
            while not self._has_room(size):
                self._went.clear()
                await self._went.wait()
            self._add(message, size)

    def put_or_lose(self, message: T, size: int) -> None:
        """Put a message, or count it as lost if there is no room."""
        if self._has_room(size):
            self._add(message, size)
        else:
            self.lost += 1

    def take_lost(self) -> int:
        """Return how many were lost, and count anew."""
        lost, self.lost = self.lost, 0
        return lost

    async def batch(self, seconds: float | None = None) -> list[T]:
        """Return what is there, at least one; nothing if nothing came in time."""
        try:
            async with asyncio.timeout(seconds):
                while not self._held:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            return []
        found: list[T] = []
        taken = 0
        while self._held and (not found or taken + self._held[0][1] <= self._most_bytes):
            message, size = self._held.popleft()
            found.append(message)
            taken += size
        self._size -= taken
        self._went.set()
        return found


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until the first of them ends; cancel the others and raise what it raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
