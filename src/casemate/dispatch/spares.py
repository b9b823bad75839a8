"""The instances of one version that are ready and wait for a call."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterator

from casemate.sandbox.instance import Instance


class Spares:
    """In the order in which they began to wait; the newest is taken first: its pages are warm."""

    def __init__(self) -> None:
        """Start with none."""
        self._waiting: deque[tuple[Instance, float]] = deque()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[tuple[Instance, float]]:
        """Go through them, each with the time since which it waits."""
        return iter(self._waiting)

    def add(self, instance: Instance, now: float) -> None:
        """Have one more wait."""
        self._waiting.append((instance, now))

    def take(self, *, by_chance: bool = False) -> Instance:
        """Return the newest, or one that nobody can foresee."""
        if by_chance:
            place = secrets.randbelow(len(self._waiting))
            instance, _ = self._waiting[place]
            del self._waiting[place]
            return instance
        return self._waiting.pop()[0]

    @property
    def oldest_since(self) -> float:
        """Since when the oldest waits; never without one."""
        return self._waiting[0][1] if self._waiting else float("inf")

    def forget(self, instance: Instance) -> float | None:
        """Let go of one that has ended; return since when it waited, None if it did not."""
        since = next((at for spare, at in self._waiting if spare is instance), None)
        if since is not None:
            self._waiting = deque(s for s in self._waiting if s[0] is not instance)
        return since

    def trim(self, most: int, latest: float) -> None:
        """End what is more than so many, the oldest first; but none that waits since `latest`."""
        while len(self._waiting) > most and self.oldest_since < latest:
            self.close_oldest()

    def close_oldest(self) -> None:
        """End the one that has waited longest."""
        self._waiting.popleft()[0].close()

    def close_one(self, chosen: Callable[[Instance], bool]) -> bool:
        """End the first that is chosen; False if there is none."""
        for number, (spare, _) in enumerate(self._waiting):
            if chosen(spare):
                del self._waiting[number]
                spare.close()
                return True
        return False

    def close(self) -> None:
        """End all."""
        while self._waiting:
            self.close_oldest()
