"""What is done beside everything else on an event loop, until it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Background:
    """One task at a time, which ends with whoever has it."""

    def __init__(self) -> None:
        """Nothing is done yet."""
        self.task: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do `work` on the running loop from now on; what was done before has ended."""
        self.task = asyncio.get_running_loop().create_task(work)
        return self.task

    def shared(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Return what is being done, or do `work`: who asks meanwhile shares it."""
        if self.task is None or self.task.done():
            return self.start(work())
        return self.task

    async def close(self) -> None:
        """Break it off, and wait for its end, whatever that is."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
