"""Everything deployed on this node, in memory: what the path looks up, and nothing it computes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import NamedTuple

from casemate.admission.contract import Contracts
from casemate.admission.in_force import is_internal, is_public, narrowed
from casemate.admission.routes import Match, Route, Routes
from casemate.contracts import Violation
from casemate.model.deployment import LIVE, Alias, DeployedFunction, Version
from casemate.model.errors import ConflictError
from casemate.model.path import Request
from casemate.model.trigger import QueueTrigger


class Closure(NamedTuple):
    """Who may call a version of a function, decided by what is live now."""

    is_live: bool
    public: bool
    internal: bool


class _Entry:
    """One function with its aliases resolved to versions and cumulated weights."""

    __slots__ = ("_narrowed", "aliases", "current", "deployed", "live", "versions")

    def __init__(self, deployed: DeployedFunction) -> None:
        self.deployed = deployed
        self.versions = {version.number: version for version in deployed.versions}
        self.aliases = {alias.name: self._resolve(alias) for alias in deployed.aliases}
        self.live = self.aliases.get(LIVE)
        self.current = () if self.live is None else tuple(self.live[0])
        """The versions that `live` leads to."""
        self._narrowed: dict[int, Version] = {}

    def in_force(self, version: Version) -> Version:
        """Return a version with the rights that it has now."""
        if version in self.current:
            return version
        found = self._narrowed.get(version.number)
        if found is None:
            found = self._narrowed[version.number] = narrowed(version, self.current)
        return found

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

    def check_routes(self, project: str, function: str, version: Version) -> None:
        """Raise ConflictError if another function answers to a route of this version already."""
        routes = Routes()
        for (other_project, other), entry in self._functions.items():
            if (other_project, other) != (project, function) and entry.live is not None:
                newest = max(entry.live[0], key=lambda v: v.number)
                for trigger in newest.spec.http:
                    routes.add(Route(trigger.method, trigger.path, other_project, other))
        for trigger in version.spec.http:
            for taken in routes.rivals(Route(trigger.method, trigger.path, project, function)):
                raise ConflictError(
                    f"The route {trigger.method} {trigger.path} belongs to "
                    f"{taken.project}/{taken.function}.",
                    next_step="change the path in casemate.toml, or remove the other function",
                )

    def check_consumers(self, project: str, function: str, version: Version) -> None:
        """Raise ConflictError if another function consumes a queue of this version already."""
        wanted = {t.queue for t in version.spec.triggers if isinstance(t, QueueTrigger)}
        for other in self.declaring():
            if other.project != project or other.function == function:
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
            named = entry.versions.get(int(qualifier)) if len(qualifier) < 10 else None
            return None if named is None else entry.in_force(named)
        else:
            resolved = entry.aliases.get(qualifier)
        if resolved is None:
            return None
        versions, weights = resolved
        chosen = versions[0]
        if len(versions) > 1:
            point = self._choose() * weights[-1]
            pairs = zip(versions, weights, strict=True)
            chosen = next(v for v, weight in pairs if point < weight)
        return chosen if resolved is entry.live else entry.in_force(chosen)

    def closure(self, project: str, function: str, version: Version) -> Closure:
        """Return who may call a version of a function by what is in force now."""
        entry = self._functions.get((project, function))
        if entry is None:
            return Closure(is_live=False, public=False, internal=version.spec.internal)
        is_live = any(one.number == version.number for one in entry.current)
        internal = is_internal(entry.current) or version.spec.internal
        return Closure(
            is_live=is_live, public=is_live and is_public(entry.current), internal=internal
        )

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
