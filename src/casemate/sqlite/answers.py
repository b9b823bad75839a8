"""Carrying results from the writer's thread to the event loops that wait for them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import Any


class Waiter:
    """A future and the loop it belongs to."""

    __slots__ = ("future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    @classmethod
    def of_running_loop(cls) -> Waiter:
        """Return a waiter of the loop that runs the caller. Raises RuntimeError without one."""
        return cls(asyncio.get_running_loop())


class Answers:
    """Answers of one transaction; `send` wakes each loop once, however many there are."""

    def __init__(self) -> None:
        self._by_loop: defaultdict[
            asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any, Exception | None]]
        ] = defaultdict(list)

    def add(self, waiter: Waiter, value: Any) -> None:
        """Answer with a result."""
        self._by_loop[waiter.loop].append((waiter.future, value, None))

    def add_error(self, waiter: Waiter, error: Exception) -> None:
        """Answer with an error."""
        self._by_loop[waiter.loop].append((waiter.future, None, error))

    def send(self) -> None:
        """Deliver. A loop that is closed has nobody left who waits."""
        for loop, answers in self._by_loop.items():
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_deliver, answers)


def _deliver(answers: list[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
    for future, value, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
