"""Trials of versions end when their time is over, whoever began them and whatever became of him.

What is kept is in the store: a state of the alias says until when it holds. So a restart changes
nothing, and what ended while the node was away ends as soon as it is back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from casemate.model.deployment import LIVE, Alias, DeployedFunction, Version
from casemate.model.errors import CasemateError, ConflictError
from casemate.model.function import FunctionSpec
from casemate.model.trigger import QueueTrigger
from casemate.set_clock import left_of

LOOK_SECONDS = 30.0
"""How often the clock is looked at, which somebody may have set."""
RETRY_SECONDS = 5.0
_log = logging.getLogger(__name__)
_Key = tuple[str, str, float]


class Trials:
    """Ends them, one after the other. On the event loop only."""

    def __init__(self, end: Callable[[Alias], Awaitable[None]]) -> None:
        """`end` points an alias back; it raises ConflictError where the trial is over already."""
        self._end = end
        self._running: dict[_Key, tuple[Alias, float]] = {}
        """Each with when it is over by the clock that nobody sets."""
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def follow(self, functions: Iterable[DeployedFunction]) -> None:
        """Take over which there are now."""
        loop, before, now = asyncio.get_running_loop(), self._running, time.time()
        self._running = {}
        for function in functions:
            for alias in function.aliases:
                if alias.name != LIVE or alias.trial is None:
                    continue
                key = (function.project, function.name, alias.changed_at)
                left = left_of(alias.changed_at, alias.trial.until, now)
                known = before.get(key)
                self._running[key] = known or (alias, loop.time() + left)
        if self._task is None:
            self._wait(0.0 if self._due() else LOOK_SECONDS)

    def close(self) -> None:
        """End no more of them: they end after the next start."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _due(self) -> list[Alias]:
        clock, now = asyncio.get_running_loop().time(), time.time()
        return [
            alias
            for alias, over in self._running.values()
            if clock >= over or (alias.trial is not None and now >= alias.trial.until)
        ]

    def _wait(self, most: float) -> None:
        """Look again when the next one is over, and within `most` seconds."""
        if self._timer is not None:
            self._timer.cancel()
        if self._closed or not self._running:
            return
        loop = asyncio.get_running_loop()
        first = min(over for _, over in self._running.values())
        pause = min(most, max(0.0, first - loop.time()))
        self._timer = loop.call_later(pause, self._look)

    def _look(self) -> None:
        if self._due():
            self._task = asyncio.ensure_future(self._end_due())
        else:
            self._wait(LOOK_SECONDS)

    async def _end_due(self) -> None:
        failed = False
        for alias in self._due():
            try:
                await self._end(alias)
            except ConflictError:
                self._running.pop((alias.project, alias.function, alias.changed_at), None)
            except CasemateError as error:
                failed = True
                _log.warning(
                    "the trial of %s/%s is over and could not be ended, it is tried again: %s",
                    *(alias.project, alias.function, error),
                )
            except Exception:  # noqa: BLE001 - once failed is no reason for a share that stays
                failed = True
                _log.exception("the trial of %s/%s not ended", alias.project, alias.function)
        self._task = None
        if failed:
            # Not at once: whatever is in the way needs time, and others their turn.
            self._retry()
        else:
            self._wait(LOOK_SECONDS)

    def _retry(self) -> None:
        if not self._closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(RETRY_SECONDS, self._look)


def require_way_back(now: Version, tried: FunctionSpec, number: int = 0) -> None:
    """Raise ConflictError unless what a version has to itself is kept while another is tried.

    The newer of both declares routes and queues. One that it has not could be taken by another
    function meanwhile, and the trial could not end by itself. `number` is 0 for what is not
    deployed yet: it is the newest then.
    """
    if 0 < number < now.number:
        return  # what is live declares them already, and goes on to
    lost = _places(now.spec) - _places(tried)
    if lost:
        raise ConflictError(
            f"The new version of {now.project}/{now.function} has no {min(lost)}, which version "
            f"{now.number} has: what is tried has to leave a way back.",
            next_step="Promote it without --watch, or keep that until it is live.",
        )


def _places(spec: FunctionSpec) -> set[str]:
    queues = {f"consumer of the queue {t.queue}" for t in spec.triggers if type(t) is QueueTrigger}
    return queues | {f"route {t.method} {t.path}" for t in spec.http}
