"""The threads that answer questions, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from casemate.data.errors import DataClosedError

T = TypeVar("T")
_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class ReadThreads:
    """A few threads with one queue. Leaner than an executor: half of a small read is the hop."""

    def __init__(self, number: int) -> None:
        """Start the threads."""
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"data-read-{index}", daemon=True)
            for index in range(number)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, question: Callable[[], T]) -> asyncio.Future[T]:
        """Return a future of the answer. Raises DataClosedError."""
        if self._closed:
            raise DataClosedError(next_step="Send the request again once the node has restarted.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((loop, future, question))
        return future

    def close(self) -> None:
        """Answer what is queued and end the threads. Blocks."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            loop, future, question = job
            value: Any = None
            failure: Exception | None = None
            try:
                value = question()
            except Exception as error:  # noqa: BLE001 - carried to whoever asked
                failure = error
            with suppress(RuntimeError):  # a closed loop has nobody left who waits
                loop.call_soon_threadsafe(_deliver, future, value, failure)
            del job, question, value, failure, future


def _deliver(future: asyncio.Future[Any], value: Any, failure: Exception | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(value)
    else:
        future.set_exception(failure)
