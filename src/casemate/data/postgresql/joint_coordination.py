"""What this node is to the others, of several databases: in each of them, for its own projects."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from casemate.data.coordination import Watcher
from casemate.data.postgresql.binding import MAIN
from casemate.data.postgresql.coordinator import Coordinator


class JointCoordination:
    """Satisfies `Coordination`, which documents the calls. Belongs to one event loop."""

    def __init__(self, main: Coordinator, database_of: Callable[[str], str]) -> None:
        """Begin with the main one; `database_of` tells where a project lives."""
        self._main = main
        self._database_of = database_of
        self._all: dict[str, Coordinator | None] = {MAIN: main}
        self._refusal: Callable[[], str] | None = None
        self._followed: tuple[str, ...] = ()
        self._sought: dict[str, tuple[str, ...]] = {}
        self._watchers: list[Watcher] = []

    def add(self, name: str, found: Coordinator | None) -> None:
        """Have the one of a database, or None while that cannot be used."""
        self._all[name] = found
        if found is None:
            return
        for watcher in self._watchers:
            found.watch(watcher)
        if self._refusal is not None:
            found.heed(self._refusal)
        self.share_out()
        for watcher in self._watchers:
            watcher.changed()

    def share_out(self) -> None:
        """Tell each of what is to be followed and led by it: projects may live elsewhere now."""
        followed = self._by_database(self._followed)
        sought = {kind: self._by_database(names) for kind, names in self._sought.items()}
        for name, found in self._all.items():
            if found is None:
                continue
            found.follow(followed.get(name, ()))
            for kind, wanted in sought.items():
                found.seek(kind, wanted.get(name, ()))

    def _by_database(self, projects: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for project in projects:
            found.setdefault(self._database_of(project), []).append(project)
        return found

    def _of(self, project: str) -> Coordinator | None:
        return self._all.get(self._database_of(project))

    def fault(self, name: str) -> str:
        """Return why nothing of a database may be leased; empty if it may."""
        found = self._all.get(name)
        return "It cannot be used." if found is None else found.refusal("")

    def clock(self) -> float:
        """See Coordination: schedules go by the main one's, wherever their projects are."""
        return self._main.clock()

    def refusal(self, project: str) -> str:
        """See Coordination."""
        found = self._of(project)
        return "The database of its data cannot be used." if found is None else found.refusal("")

    def heed(self, refusal: Callable[[], str]) -> None:
        """See Coordination."""
        self._refusal = refusal
        for found in self._all.values():
            if found is not None:
                found.heed(refusal)

    def look(self) -> None:
        """See Coordination."""
        for found in self._all.values():
            if found is not None:
                found.look()

    def follow(self, projects: Iterable[str]) -> None:
        """See Coordination."""
        self._followed = tuple(projects)
        self.share_out()

    def seek(self, kind: str, projects: Iterable[str]) -> None:
        """See Coordination."""
        self._sought[kind] = tuple(projects)
        self.share_out()

    def leads(self, kind: str, project: str) -> bool:
        """See Coordination."""
        found = self._of(project)
        return found is not None and found.leads(kind, project)

    def share(self, project: str, function: str, limit: int) -> int:
        """See Coordination."""
        found = self._of(project)
        return 0 if found is None else found.share(project, function, limit)

    def watch(self, watcher: Watcher) -> None:
        """See Coordination."""
        self._watchers.append(watcher)
        for found in self._all.values():
            if found is not None:
                found.watch(watcher)
