"""Nodes, projects and one PostgreSQL as discrete events: what many of them would do together.

Nothing here is measured and nothing is known of this machine: service times come from
`bench.cluster_costs` and `bench.cluster_nodes`. The same input gives the same answer, to the last
event. What is modelled is what nodes wait for: processors, the one thread of a gateway at a time,
the lock of each project, which lasts to the end of the commit, and the disk, which commits share.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import Final

Step = Generator["Waiting", None, None]
"""What goes on in time: it yields what it waits for."""


class Waiting:
    """Something that is waited for: `begin` calls its argument once it is over."""

    def begin(self, simulation: Simulation, then: Callable[[], None]) -> None:
        """Wait for it."""
        raise NotImplementedError


class Simulation:
    """The clock, and what happens when."""

    def __init__(self, seed: int = 1) -> None:
        """Start at 0. `random` is for whoever needs to be out of step with others."""
        self.now = 0.0
        self.random = Random(seed)
        self._numbers = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, delay: float, act: Callable[[], None]) -> None:
        """Do something after so many seconds; at one moment, in the order in which it was asked."""
        if delay < 0:
            raise ValueError(f"delay is {delay}: nothing happens in the past")
        heapq.heappush(self._heap, (self.now + delay, next(self._numbers), act))

    def start(self, step: Step, delay: float = 0.0) -> None:
        """Let something go on from then."""

        def go_on() -> None:
            try:
                waiting = next(step)
            except StopIteration:
                return
            waiting.begin(self, go_on)

        self.at(delay, go_on)

    def run(self, until: float) -> None:
        """Let everything happen that happens by then."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, act = heapq.heappop(self._heap)
            act()
        self.now = until


class Pause(Waiting):
    """Time that passes."""

    def __init__(self, seconds: float) -> None:
        """Wait so long."""
        self._seconds = seconds

    def begin(self, simulation: Simulation, then: Callable[[], None]) -> None:
        """See Waiting."""
        simulation.at(self._seconds, then)


class Places:
    """Of which there are so many, such as cores; who finds none waits, first come first served."""

    def __init__(self, simulation: Simulation, count: int) -> None:
        """Have `count`."""
        if count < 1:
            raise ValueError(f"count is {count}: at least one place is expected")
        self._simulation = simulation
        self._free = count
        self._queue: deque[Callable[[], None]] = deque()
        self._count = count
        self._since = 0.0
        self._busy = 0.0

    def take(self, then: Callable[[], None]) -> None:
        """Call `then` once there is a place for it."""
        if self._free:
            self._note()
            self._free -= 1
            then()
        else:
            self._queue.append(then)

    def give_back(self) -> None:
        """Give a place to who waits, or keep it free."""
        if self._queue:
            self._simulation.at(0.0, self._queue.popleft())
        else:
            self._note()
            self._free += 1

    def busy(self) -> float:
        """Return the seconds for which places were taken, of all of them together."""
        self._note()
        return self._busy

    def _note(self) -> None:
        now = self._simulation.now
        self._busy += (now - self._since) * (self._count - self._free)
        self._since = now


class Take(Waiting):
    """A place; whoever has it gives it back."""

    def __init__(self, places: Places) -> None:
        """Of these."""
        self._places = places

    def begin(self, simulation: Simulation, then: Callable[[], None]) -> None:
        """See Waiting."""
        self._places.take(then)


class Use(Waiting):
    """A place of each kind for some time: those of the first are waited for first."""

    def __init__(self, seconds: float, *places: Places) -> None:
        """Have all of `places` for so long."""
        self._seconds, self._places = seconds, places

    def begin(self, simulation: Simulation, then: Callable[[], None]) -> None:
        """See Waiting."""
        if self._seconds <= 0:
            then()
            return

        def next_of(index: int) -> None:
            if index < len(self._places):
                self._places[index].take(lambda: next_of(index + 1))
            else:
                simulation.at(self._seconds, end)

        def end() -> None:
            for one in reversed(self._places):
                one.give_back()
            then()

        next_of(0)


class Disk:
    """Commits that wait at one moment are made durable together."""

    def __init__(self, simulation: Simulation, seconds: float) -> None:
        """Each time takes so long."""
        self._simulation, self._seconds = simulation, seconds
        self._waiting: list[Callable[[], None]] = []
        self._busy = False

    def keep(self, then: Callable[[], None]) -> None:
        """Call `then` once what is written now is durable."""
        self._waiting.append(then)
        if not self._busy:
            self._write()

    def _write(self) -> None:
        together, self._waiting = self._waiting, []
        self._busy = bool(together)
        if together:
            self._simulation.at(self._seconds, lambda: self._written(together))

    def _written(self, together: Sequence[Callable[[], None]]) -> None:
        for then in together:
            then()
        self._write()


class Durable(Waiting):
    """The end of a commit."""

    def __init__(self, disk: Disk) -> None:
        """On this disk."""
        self._disk = disk

    def begin(self, simulation: Simulation, then: Callable[[], None]) -> None:
        """See Waiting."""
        self._disk.keep(then)


class Signal(Waiting):
    """Something that may be told at any time; told before it is waited for, it is not lost."""

    def __init__(self, simulation: Simulation) -> None:
        """Nothing was told yet."""
        self._simulation = simulation
        self._told = False
        self._then: Callable[[], None] | None = None

    def tell(self) -> None:
        """Have who waits go on."""
        if self._then is None:
            self._told = True
        else:
            then, self._then = self._then, None
            self._simulation.at(0.0, then)

    def begin(self, simulation: Simulation, then: Callable[[], None]) -> None:
        """See Waiting."""
        if self._told:
            self._told = False
            simulation.at(0.0, then)
        else:
            self._then = then


MOST_TOGETHER: Final = 256
"""Changes of one transaction, as the writer of a project has it."""
