"""Calls in a queue, and when those that find no place in it are to come again."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from itertools import islice

from casemate.model.invocation import Outcome
from casemate.model.path import RefusedError
from casemate.sandbox.instance import Instance

QUEUE_FULL = "The function's queue is full."
_LONGEST_SECONDS = 60.0
_SECONDS_EACH = 0.01
"""What a call that waits before another is taken to cost, divided by those that run."""
_SPREAD = 3
"""Over how many times the least wait clients come back: all at once would find no place again."""
_turns = itertools.count()


class Waiter:
    """A call in the queue."""

    __slots__ = ("future", "latest", "since")

    def __init__(self, future: asyncio.Future[Instance], since: float, latest: float) -> None:
        """Wait on `future` until the pool refuses the call; never beyond `latest`."""
        self.future = future
        self.since = since
        self.latest = latest


class CallQueue:
    """The calls that wait for an instance of one version, first come, first served."""

    def __init__(self) -> None:
        """Start empty."""
        self._waiting: deque[Waiter] = deque()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def __contains__(self, waiter: Waiter) -> bool:
        """Tell whether a call waits."""
        return waiter in self._waiting

    def is_among(self, waiter: Waiter, first: int) -> bool:
        """Tell whether a call is one of the first so many."""
        return any(each is waiter for each in islice(self._waiting, first))

    def add(self, waiter: Waiter) -> None:
        """Have one more call wait."""
        self._waiting.append(waiter)

    def remove(self, waiter: Waiter) -> None:
        """Let go of a call."""
        self._waiting.remove(waiter)

    @property
    def longest_since(self) -> float:
        """Since when the call waits that waits longest; never without one."""
        return self._waiting[0].since if self._waiting else float("inf")

    def next(self) -> Waiter | None:
        """Take the call that waits longest, None if there is none that still does."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.future.done():
                return waiter
        return None

    def refuse_next(self, refusal: RefusedError) -> None:
        """Refuse the call that waits longest."""
        if (waiter := self.next()) is not None:
            waiter.future.set_exception(refusal)

    def refuse_all(self, refusal: RefusedError) -> None:
        """Refuse every call."""
        while self._waiting:
            self.refuse_next(again(refusal))


def throttled(message: str, waiting: int, busy: int) -> RefusedError:
    """Return the refusal of a call, with the seconds after which to try again.

    They are spread evenly over those who are refused.
    """
    least = math.ceil(min(_LONGEST_SECONDS, max(1.0, waiting * _SECONDS_EACH / max(1, busy))))
    seconds = least + next(_turns) % (_SPREAD * least)
    return RefusedError(Outcome.THROTTLED, message, retry_after=seconds)


def again(refusal: RefusedError) -> RefusedError:
    """Return a copy: an exception raised in many calls would keep the frames of all of them."""
    return RefusedError(
        refusal.outcome,
        refusal.message,
        status=refusal.status,
        retry_after=refusal.retry_after,
        failure=refusal.failure,
    )
