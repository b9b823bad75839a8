"""Messages that a server pushes, gathered into batches that are handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """A bounded queue whose content is taken in batches."""

    def __init__(self, most: int, most_bytes: int) -> None:
        """Hold `most` messages; a batch has no more than `most_bytes`, or a single message."""
        self._queue: asyncio.Queue[tuple[T, int]] = asyncio.Queue(most)
        self._most_bytes = most_bytes
        self._left: tuple[T, int] | None = None
        self.lost = 0
        """Messages that found no room and were not put, since `take_lost`."""

    async def put(self, message: T, size: int) -> None:
        """Put a message, once there is room."""
        await self._queue.put((message, size))

    def put_or_lose(self, message: T, size: int) -> None:
        """Put a message, or count it as lost if there is no room."""
        try:
            self._queue.put_nowait((message, size))
        except asyncio.QueueFull:
            self.lost += 1

    def take_lost(self) -> int:
        """Return how many were lost, and count anew."""
        lost, self.lost = self.lost, 0
        return lost

    async def batch(self, seconds: float | None = None) -> list[T]:
        """Return what is there, at least one; nothing if nothing came in time."""
        first, self._left = self._left, None
        if first is None:
            try:
                async with asyncio.timeout(seconds):
                    first = await self._queue.get()
            except TimeoutError:
                return []
        found, size = [first[0]], first[1]
        while not self._queue.empty():
            following = self._queue.get_nowait()
            size += following[1]
            if size > self._most_bytes:
                self._left = following
                break
            found.append(following[0])
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
