"""What the nodes that share a project's data have to agree on: who is there, and who leads what.

A node that has its data for itself agrees with nobody (`Alone`). Nodes that share an engine are
told of each other by it (`casemate.data.postgresql.coordinator`). What is asked here is in memory,
and the last that the engine has said; what may be done only once is guarded by the data itself:
leases have fences, positions are compared before they are set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

SCHEDULES: Final = "schedules"
SOURCES: Final = "sources"
"""What one node of all does for a project."""


def _nothing() -> None:
    pass


def _nothing_in(_project: str) -> None:
    pass


class Watcher(NamedTuple):
    """Who is told, on the loop. None may raise."""

    changed: Callable[[], None] = _nothing
    """What this node leads, or its share, may be another one, or it may take events again."""
    orphaned: Callable[[str], None] = _nothing_in
    """A node that is gone has leased messages of a project (`ResumeDelivery`)."""
    returned: Callable[[], None] = _nothing
    """This node was not seen for so long that others may have what it has leased. Called before
    it may take events again."""


class Coordination(Protocol):
    """What a node is to the others. All of it is called on the event loop."""

    def clock(self) -> float:
        """Return the time by which all nodes go."""
        ...

    def refusal(self, project: str) -> str:
        """Return why nothing of a project may be leased: the others may take this node for gone.

        Empty if it may.
        """
        ...

    def heed(self, refusal: Callable[[], str]) -> None:
        """Take events, but while this gives a reason: others do then, and lead. Any thread."""
        ...

    def look(self) -> None:
        """Learn and tell at once what is usually learnt and told after a moment."""
        ...

    def follow(self, projects: Iterable[str]) -> None:
        """Have messages of these projects looked for, in case that a hint was lost."""
        ...

    def seek(self, kind: str, projects: Iterable[str]) -> None:
        """Lead these projects as to a kind of work as soon as no other node does."""
        ...

    def leads(self, kind: str, project: str) -> bool:
        """Tell whether this node is the one that does a kind of work for a project."""
        ...

    def share(self, project: str, function: str, limit: int) -> int:
        """Return how many of `limit` events of a function this node may run at a time, perhaps 0.

        Those of all nodes are never more than the limit together, and the limit once they agree on
        who is there. A node that begins to take events has none for some seconds.
        """
        ...

    def watch(self, watcher: Watcher) -> None:
        """Tell somebody of changes, on the running loop."""
        ...


class Alone:
    """A node that shares its data with none."""

    def clock(self) -> float:
        """Return the time of this machine."""
        return time.time()

    def refusal(self, project: str) -> str:
        """Return nothing."""
        return ""

    def heed(self, refusal: Callable[[], str]) -> None:
        """Nobody would take over."""

    def look(self) -> None:
        """There is nothing to learn."""

    def follow(self, projects: Iterable[str]) -> None:
        """No hint of this process is lost."""

    def seek(self, kind: str, projects: Iterable[str]) -> None:
        """It leads all."""

    def leads(self, kind: str, project: str) -> bool:
        """Return True."""
        return True

    def share(self, project: str, function: str, limit: int) -> int:
        """Return all of it."""
        return limit

    def watch(self, watcher: Watcher) -> None:
        """Nothing changes."""


ALONE: Final = Alone()
