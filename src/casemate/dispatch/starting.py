"""Instances of one version that were asked for and are not ready yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from casemate.sandbox.instance import Instance

LONG_SECONDS = 0.1
"""Who has waited for so long gets another instance, however many are at work."""
SECONDS_LEAST = 10.0
"""An instance has at least this long to get ready: with trust = "low" it imports the module."""


class Starting:
    """Since when each of them is under way. On the event loop only."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, *, slow: bool = False
    ) -> None:
        """Give each so many seconds. `slow`: any may take as long as that to be ready."""
        self.seconds = seconds
        self._slow = slow
        self.early: Instance | None = None
        """The first call's, asked for together with its zygote."""
        self._loop = loop
        self._since: dict[Instance, float] = {}

    def __len__(self) -> int:
        """Return how many are under way."""
        return len(self._since)

    def __iter__(self) -> Iterator[Instance]:
        """Go through them, the oldest first."""
        return iter(self._since)

    def add(self, instance: Instance) -> None:
        """Begin with one."""
        self._since[instance] = self._loop.time()

    def take(self, instance: Instance) -> bool:
        """Have one be under way no more, however it ended; False if it was not."""
        if instance is self.early:
            self.early = None
        return self._since.pop(instance, None) is not None

    def since(self, earliest: float) -> int:
        """Return how many were asked for after that, by the loop's clock."""
        return sum(since > earliest for since in self._since.values())

    def in_time(self) -> int:
        """Return how many there are that may be ready soon.

        One that is to be restored hangs if who restores it has just ended.
        """
        if self._slow:
            return len(self._since)
        return self.since(self._loop.time() - LONG_SECONDS)

    def renew_early(self) -> None:
        """Give the early one all of its time from now on: its zygote has imported only now."""
        if self.early in self._since:
            self._since[self.early] = self._loop.time()

    def drop_early(self) -> None:
        """Let go of an instance whose zygote came to nothing."""
        early = self.early
        if early is not None and self.take(early):
            early.close()

    def close(self) -> None:
        """End all: none of them has failed to start."""
        for instance in list(self._since):
            self.take(instance)
            instance.close()

    def tend(self, now: float) -> None:
        """End those that take too long."""
        for instance, since in list(self._since.items()):
            if now - since > self.seconds:
                instance.expire()
