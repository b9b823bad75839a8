"""Everything deployed on this node, in memory: what the path looks up, and nothing it computes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from casemate.admission.contract import Contracts
from casemate.admission.routes import Match, Route, Routes
from casemate.contracts import Violation
from casemate.model.deployment import LIVE, Alias, DeployedFunction, Version
from casemate.model.errors import ConflictError
from casemate.model.path import Request
from casemate.model.trigger import QueueTrigger


class _Entry:
    """One function with its aliases resolved to versions and cumulated weights."""

    __slots__ = ("aliases", "deployed", "live", "versions")

    def __init__(self, deployed: DeployedFunction) -> None:
        self.deployed = deployed
        self.versions = {version.number: version for version in deployed.versions}
        self.aliases = {alias.name: self._resolve(alias) for alias in deployed.aliases}
        self.live = self.aliases.get(LIVE)

    def _resolve(self, alias: Alias) -> tuple[list[Version], list[int]]:
        targets = [t for t in alias.targets if t.weight > 0]
        return (
            [self.versions[t.version] for t in targets],
            list(accumulate(t.weight for t in targets)),
        )


class Catalogue:
    """Functions by name and by route. Replaced whole by `replace`, so readers never see half."""

    def __init__(self, choose: Callable[[], float] = random.random) -> None:
        """`choose` returns a number in [0, 1) that picks a version of a weighted alias."""
        self._choose = choose
        self._functions: dict[tuple[str, str], _Entry] = {}
        self._routes = Routes()
        self._contracts = Contracts()

    def replace(self, functions: Iterable[DeployedFunction]) -> None:
        """Take over what is stored. The routes are those of each function's live versions."""
        entries = {(f.project, f.name): _Entry(f) for f in functions}
        routes = Routes()
        for (project, name), entry in sorted(entries.items()):
            if entry.live is not None:
                # The newest of the live versions declares the routes.
                newest = max(entry.live[0], key=lambda v: v.number)
                for trigger in newest.spec.http:
                    routes.add(
                        Route(trigger.method, trigger.path, project, name, trigger.asynchronous)
                    )
        self._contracts.replace(v for e in entries.values() for v in e.versions.values())
        self._functions, self._routes = entries, routes

    def _beside(
        self, project: str, function: str, together: Iterable[Version]
    ) -> Iterator[Version]:
        """Yield what declares routes and triggers of all other functions.

        `together` are versions that become live at the same time, in place of those of now.
        """
        coming = {(version.project, version.function): version for version in together}
        for version in self.declaring():
            name = (version.project, version.function)
            if name != (project, function) and name not in coming:
                yield version
        yield from (version for name, version in coming.items() if name != (project, function))

    def check_routes(
        self, project: str, function: str, version: Version, together: Iterable[Version] = ()
    ) -> None:
        """Raise ConflictError if another function answers to a route of this version already.

        Or will, if it is among `together`, which are deployed at the same time.
        """
        routes = Routes()
        for other in self._beside(project, function, together):
            for trigger in other.spec.http:
                routes.add(Route(trigger.method, trigger.path, other.project, other.function))
        for trigger in version.spec.http:
            for taken in routes.rivals(Route(trigger.method, trigger.path, project, function)):
                raise ConflictError(
                    f"The route {trigger.method} {trigger.path} belongs to "
                    f"{taken.project}/{taken.function}.",
                    next_step="change the path in casemate.toml, or remove the other function",
                )

    def check_consumers(
        self, project: str, function: str, version: Version, together: Iterable[Version] = ()
    ) -> None:
        """Raise ConflictError if another function consumes a queue of this version already."""
        wanted = {t.queue for t in version.spec.triggers if isinstance(t, QueueTrigger)}
        for other in self._beside(project, function, together):
            if other.project != project:
                continue
            for trigger in other.spec.triggers:
                if isinstance(trigger, QueueTrigger) and trigger.queue in wanted:
                    raise ConflictError(
                        f"The queue {trigger.queue} is consumed by {project}/{other.function}.",
                        next_step="send to a topic, which each subscribed function gets, or "
                        "remove the other trigger first",
                    )

    def find(self, project: str, function: str, qualifier: str | None = None) -> Version | None:
        """Return the version a call goes to, None if there is no such function or qualifier."""
        entry = self._functions.get((project, function))
        if entry is None:
            return None
        if qualifier is None:
            resolved = entry.live
        elif qualifier.isascii() and qualifier.isdigit():
            return entry.versions.get(int(qualifier)) if len(qualifier) < 10 else None
        else:
            resolved = entry.aliases.get(qualifier)
        if resolved is None:
            return None
        versions, weights = resolved
        if len(versions) == 1:
            return versions[0]
        point = self._choose() * weights[-1]
        return next(v for v, weight in zip(versions, weights, strict=True) if point < weight)

    def most_live(self, project: str, function: str) -> Version | None:
        """Return the version that most callers of `live` are sent to, the newest of equals."""
        entry = self._functions.get((project, function))
        alias = entry and next((a for a in entry.deployed.aliases if a.name == LIVE), None)
        if not entry or not alias or not alias.targets:
            return None
        most = max(alias.targets, key=lambda target: (target.weight, target.version))
        return entry.versions[most.version]

    def route(self, method: str, path: str) -> Match | frozenset[str] | None:
        """Return the match of a route; see `Routes.match`."""
        return self._routes.match(method, path)

    def violation(self, version: Version, request: Request) -> Violation | None:
        """Return what a request breaks of its contract; see `Contracts`."""
        return self._contracts.violation(version, request)

    def digests(self) -> set[str]:
        """Return the digests that some version of some function refers to."""
        return {v.digest for e in self._functions.values() for v in e.versions.values()}

    def functions_of(self, digest: str) -> set[tuple[str, str]]:
        """Return project and name of the functions with a version of that bundle."""
        return {
            name
            for name, entry in self._functions.items()
            for version in entry.versions.values()
            if version.digest == digest
        }

    def live_versions(self) -> list[Version]:
        """Return every version that the alias `live` of its function leads to."""
        return [v for e in self._functions.values() if e.live is not None for v in e.live[0]]

    def declaring(self) -> list[Version]:
        """Return for each function the version whose triggers are in force: the newest live one."""
        return [
            max(entry.live[0], key=lambda version: version.number)
            for entry in self._functions.values()
            if entry.live is not None and entry.live[0]
        ]

    def projects(self) -> list[str]:
        """Return the projects that have functions, by name."""
        return sorted({project for project, _ in self._functions})

    def __len__(self) -> int:
        """Return the number of functions."""
        return len(self._functions)
