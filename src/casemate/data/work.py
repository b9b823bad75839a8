"""What a change to a project works with, and what its writer does around each transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from casemate.data.recent import RecentObjects
from casemate.data.registry import Resource
from casemate.model.errors import CasemateError
from casemate.model.messages import NewMessage
from casemate.model.tracing import AMBIENT
from casemate.sqlite.duties import Duties
from casemate.sqlite.engine import Connection

_LOG = logging.getLogger(__name__)


class Work:
    """What a change works with."""

    __slots__ = ("_after", "connection", "gathered", "hints", "recent", "trace")

    def __init__(self, connection: Connection, recent: RecentObjects) -> None:
        self.connection = connection
        self.recent = recent
        """What changes an object has to drop it there before the commit."""
        self.hints: set[tuple[str, str]] = set()
        """Kind and name of queues and inboxes that may have something to lease."""
        self.trace = ""
        """`TraceContext.kept` under which the change at hand is made; empty for none."""
        self.gathered: dict[int, tuple[Resource, list[NewMessage]]] | None = None
        """By inbox what it is told of at the end of what is made together; None: at once."""
        self._after: list[Callable[[], None]] = []

    def after_commit(self, action: Callable[[], None]) -> None:
        """Call `action` on the writer's thread once the change is durable, before its answer."""
        self._after.append(action)

    def hint(self, kind: str, name: str) -> None:
        """Have those who watch told, after the commit, that a message can be leased or will be."""
        self.hints.add((kind, name))

    def mark(self) -> int:
        """Return how many actions wait, for `forget`."""
        return len(self._after)

    def forget(self, mark: int) -> None:
        """Forget the actions of a change that was undone."""
        del self._after[mark:]

    def committed(self) -> None:
        """Run the actions. None may fail the commit that already happened."""
        for action in self._after:
            try:
                action()
            except Exception:  # noqa: BLE001 - a dead thread would answer nobody
                _LOG.exception("What follows a commit failed.")


T = TypeVar("T")


def in_trace(change: Callable[[Work], T]) -> Callable[[Work], T]:
    """Return a change with which events know of which trace they come.

    To be called where the change is asked for: it is made on another thread.
    """
    trace = AMBIENT.get()
    if not trace:
        return change

    def made(work: Work) -> T:
        work.trace = trace
        try:
            return change(work)
        finally:
            work.trace = ""

    return made


Announce = Callable[[set[tuple[str, str]]], None]


class ProjectDuties(Duties[Work]):
    """What a project's writer does beside changes."""

    def __init__(
        self, recent: RecentObjects, sweep: Callable[[Work], bool], announce: Announce
    ) -> None:
        """Sweep from time to time; `announce` gets the hints of each transaction that has any."""
        self._recent = recent
        self._sweep = sweep
        self._announce = announce
        self._upkeep_fails = False

    def begin(self, connection: Connection) -> Work:
        """Let nothing be remembered that is read while this transaction runs."""
        self._recent.begin()
        return Work(connection, self._recent)

    def end(self) -> None:
        """Remember again what is read."""
        self._recent.end()

    def mark(self, work: Work) -> int:
        """Return how many actions wait."""
        return work.mark()

    def forget(self, work: Work, mark: int) -> None:
        """Forget the actions of a change that was undone."""
        work.forget(mark)

    def committed(self, work: Work) -> None:
        """Run the actions, tell those who watch."""
        work.committed()
        if work.hints:
            self._announce(work.hints)

    def begin_job(self) -> None:
        """Let nothing be remembered that is read while the job runs."""
        self._recent.begin()

    def end_job(self) -> None:
        """Forget all: it may have changed anything."""
        self._recent.clear()
        self._recent.end()

    def upkeep(self, work: Work) -> bool:
        """Delete what expired."""
        more = self._sweep(work)
        self._upkeep_fails = False
        return more

    def upkeep_failed(self, error: CasemateError) -> None:
        """Say so, once until it works again: a server that is away is away for every project."""
        if not self._upkeep_fails:
            _LOG.error("Expired data could not be deleted: %s", error)
        self._upkeep_fails = True
