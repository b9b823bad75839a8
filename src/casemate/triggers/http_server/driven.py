"""Runs the coroutine of a plain answer without a task: in the callbacks of what it waits for.

A task is made, scheduled, entered and left for what mostly waits once, for one future. What wants
to know its task, or to be cancelled by it, must not be run here: `Destination.plain` says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class NotAFutureError(RuntimeError):
    """What is run without a task waits for something else than a future."""


class Driven:
    """One coroutine that is under way."""

    __slots__ = ("_done", "_steps", "_waits_for", "cancelled", "waited")

    def __init__(
        self,
        awaitable: Awaitable[T],
        done: Callable[[T | None, BaseException | None], None],
    ) -> None:
        """Run nothing before `start`; `done` gets the result, or what was raised."""
        self._steps: Generator[Any, None, T] = awaitable.__await__()
        self._done = done
        self._waits_for: Any = None
        self.cancelled = False
        """True once `cancel` was called."""
        self.waited = False
        """True once it has waited: before that, whoever has started it goes on itself."""

    def start(self) -> None:
        """Run until it first waits, or to its end."""
        self._step()

    def cancel(self) -> None:
        """Have what it waits for end with CancelledError."""
        self.cancelled = True
        if self._waits_for is not None:
            self._waits_for.cancel()

    def _step(self, _future: object = None) -> None:
        self._waits_for = None
        try:
            future = self._steps.send(None)
            if not getattr(future, "_asyncio_future_blocking", False):
                self._steps.close()
                raise NotAFutureError(f"It waits for {future!r}, expected a future.")
        except StopIteration as end:
            self._done(end.value, None)
            return
        except BaseException as error:
            self._done(None, error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            return
        future._asyncio_future_blocking = False
        self._waits_for = future
        self.waited = True
        future.add_done_callback(self._step)
        if self.cancelled:
            future.cancel()
