"""The events of one function that are on their way: leased, in batches, waiting for a slot."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from casemate.delivery.leased import Batch, Leased, Place, batching
from casemate.model.deployment import Version

_MOST_AT_ONCE = 200
"""Messages of one lease, at most."""
_MOST_KEPT_HERE = 1000
"""Events that wait here without ever having been read from where they are kept, at most: as large
together as those of one lease may be."""
_AHEAD_SECONDS = 0.25
"""For so long there should be something to run while the next ones are leased."""
_LEAST_COST = 0.0005
_WEIGHT_OF_NEWEST = 0.2


class Lane:
    """Lives only while there is something to do for its function."""

    def __init__(self, project: str, function: str) -> None:
        """Start with nothing."""
        self.project = project
        self.function = function
        self.more: dict[Place, None] = {}
        """Places that may have messages to lease, in turn."""
        self.places: set[Place] = set()
        """Those to be looked at once all is done: they were leased from, or something was given
        back. What was kept for this lane and run leaves nothing that is not known already."""
        self.ready: deque[Batch] = deque()
        self.running = 0
        self.slots = 0
        """How many may be held here at a time."""
        self.filling = False
        self.cost = 0.05
        """Seconds that an event or batch takes, as far as is known."""
        self.refused_until = 0.0
        """Monotonic time until which nothing is run because there was no instance."""
        self._partial: dict[tuple[Place, str, str], tuple[Batch, float, int]] = {}
        """Batches that wait for company, until when, and how many messages they take."""

    @property
    def wants(self) -> bool:
        """True if a slot would be used."""
        return bool(self.ready or (self.more and not self.filling))

    @property
    def idle(self) -> bool:
        """True if nothing is left to do."""
        return not (self.ready or self.more or self.running or self._partial or self.filling)

    def next_place(self) -> Place | None:
        """Return the place to lease from next; it is taken off the list."""
        for place in self.more:
            del self.more[place]
            return place
        return None

    def appetite(self, version: Version) -> int:
        """Return how many messages to lease: for every slot there may be, and for a little while.

        What is leased and not run when a node is killed has used up an attempt for nothing, and
        nobody else can get it: so it is not more than that.
        """
        return min(_MOST_AT_ONCE, self._runs_soon(version))

    def _runs_soon(self, version: Version) -> int:
        most = max((batching(t)[0] for t in version.spec.triggers), default=1)
        soon = self.slots * _AHEAD_SECONDS / self.cost
        return int(most * max(1, self.slots - self.running, soon))

    def has_room(self, version: Version, count: int) -> bool:
        """Tell whether so many that are kept only now may follow what is here.

        They may not while others are to be leased, which came before. A lease that is on its way
        is made before they are kept, and is here before them; what it leaves, they are kept behind.
        """
        waits = (self.more and not self.filling) or self.refused_until
        most = min(_MOST_KEPT_HERE, self._runs_soon(version))
        return not waits and len(self.ready) + count <= most

    def ran(self, seconds: float) -> None:
        """Note how long a slot was held."""
        self.cost += (max(seconds, _LEAST_COST) - self.cost) * _WEIGHT_OF_NEWEST

    def is_low(self, version: Version) -> bool:
        """Tell whether to lease more before all that is ready has run."""
        return (
            bool(self.more) and not self.filling and 2 * len(self.ready) <= self.appetite(version)
        )

    def add(self, leased: Leased, version: Version, now: float) -> None:
        """Put a message into its batch, which is ready when it is full or does not wait."""
        trigger = leased.event.trigger if leased.event is not None else ""
        declared = version.spec.trigger(trigger) if trigger else None
        size, window = batching(declared)
        batch = Batch(leased.place, trigger, leased.message.qualifier, [leased], size > 1)
        if size == 1 or leased.event is None:
            self.ready.append(batch)
            return
        partial = self._partial.get(batch.key)
        if partial is None:
            self._partial[batch.key] = (batch, now + window, size)
        else:
            batch = partial[0]
            batch.messages.append(leased)
        if len(batch.messages) >= size or self._is_large(batch, version):
            del self._partial[batch.key]
            self.ready.append(batch)

    def complete(self, now: float) -> float | None:
        """Make batches ready that have waited long enough; return when the next one has."""
        for key, (batch, until, _size) in list(self._partial.items()):
            if until <= now:
                del self._partial[key]
                self.ready.append(batch)
        return min((until for _, until, _ in self._partial.values()), default=None)

    def unfinished(self) -> Iterator[Leased]:
        """Give every message that waits, and forget it."""
        batches = [*self.ready, *(batch for batch, _, _ in self._partial.values())]
        self.ready.clear()
        self._partial.clear()
        for batch in batches:
            yield from batch.messages

    @staticmethod
    def _is_large(batch: Batch, version: Version) -> bool:
        """Tell whether another message as large as its own would not fit into one request."""
        size = sum(len(leased.message.body) for leased in batch.messages)
        largest = max(len(leased.message.body) for leased in batch.messages)
        return size + largest > version.spec.limits.request
