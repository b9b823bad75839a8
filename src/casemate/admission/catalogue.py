"""Everything deployed on this node, in memory: what the path looks up, and nothing it computes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from casemate.admission.contract import Contracts
from casemate.admission.in_force import is_direct, is_internal, is_public, narrowed
from casemate.admission.routes import Match
from casemate.admission.spaces import Declaring, Spaces
from casemate.contracts import Violation
from casemate.model.deployment import LIVE, Alias, DeployedFunction, Version
from casemate.model.errors import ConflictError
from casemate.model.path import Request
from casemate.model.principal import Resource, ResourceKind
from casemate.model.route import RouteClaim, first_segment
from casemate.model.trigger import QueueTrigger, TriggerKind

DIRECT = TriggerKind.INVOKE.value
"""What brings a call by `/invoke/PROJECT/FUNCTION`, as `RawInvocation.trigger` has it."""


def names_version(qualifier: str | None) -> bool:
    """Tell whether a call names a version by its number."""
    return qualifier is not None and qualifier.isdigit()


class Closure(NamedTuple):
    """Who may call a version of a function, decided by what is live now."""

    is_live: bool
    public: bool
    internal: bool
    direct: bool = True
    """Whether all callers of one that is public may call it past its routes, too."""

    def is_open(self, trigger: str) -> bool:
        """Tell whether callers without a token may call it, as what brings the call is named."""
        return self.public and (self.direct or trigger != DIRECT)

    def resource(self, project: str, function: str, trigger: str) -> Resource:
        """Return what whoever calls a function is asked about, by what brings the call."""
        return Resource(
            kind=ResourceKind.FUNCTION,
            project=project,
            name=function,
            internal=self.internal,
            public=self.is_open(trigger),
        )

    def needs_own_right(self, qualifier: str | None) -> bool:
        """Tell whether a call needs `function:invoke-version`: it names what is not live.

        That was replaced, perhaps for a reason.
        """
        return not self.is_live and names_version(qualifier)


class _Entry:
    """One function with its aliases resolved to versions and cumulated weights."""

    __slots__ = (
        "_narrowed",
        "aliases",
        "closures",
        "current",
        "deployed",
        "live",
        "most_live",
        "versions",
    )

    def __init__(self, deployed: DeployedFunction) -> None:
        self.deployed = deployed
        self.versions = {version.number: version for version in deployed.versions}
        self.aliases = {alias.name: self._resolve(alias) for alias in deployed.aliases}
        self.live = self.aliases.get(LIVE)
        self.current = () if self.live is None else tuple(self.live[0])
        """The versions that `live` leads to."""
        self.most_live = self._most_live()
        """The one that most callers of `live` are sent to."""
        self._narrowed: dict[int, Version] = {}
        self.closures: dict[int, tuple[Version, Closure]] = {}
        """What was told of versions, by their number."""

    def closure(self, version: Version) -> Closure:
        """Return who may call a version now."""
        is_live = any(one.number == version.number for one in self.current)
        found = Closure(
            is_live=is_live,
            public=is_live and is_public(self.current),
            internal=is_internal(self.current) or version.spec.internal,
            direct=is_direct(self.current),
        )
        self.closures[version.number] = version, found
        return found

    def _most_live(self) -> Version | None:
        alias = next((a for a in self.deployed.aliases if a.name == LIVE), None)
        if alias is None or not alias.targets:
            return None
        most = max(alias.targets, key=lambda target: (target.weight, target.version))
        return self.versions[most.version]

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


def _declaring(entries: dict[tuple[str, str], _Entry]) -> Iterator[Declaring]:
    """Yield the functions that are live; the newest of the live versions declares the routes."""
    for (project, name), entry in entries.items():
        if entry.current:
            newest = max(entry.current, key=lambda version: version.number)
            since = min(version.created_at for version in entry.versions.values())
            yield Declaring(project, name, newest, since)


class Catalogue:
    """Functions by name and by route. Replaced whole by `replace`, so readers never see half."""

    def __init__(self, choose: Callable[[], float] = random.random) -> None:
        """`choose` returns a number in [0, 1) that picks a version of a weighted alias."""
        self._choose = choose
        self._functions: dict[tuple[str, str], _Entry] = {}
        self._spaces = Spaces()
        self._contracts = Contracts()
        self.revision = 0
        """Counts up with every change of what is deployed."""
        self._projects: frozenset[str] = frozenset()
        """Those that have functions, or routes that were given to them."""
        self._only: str | None = None
        """The one project that has functions; None if there are several, or none."""
        self.on_replaced: Callable[[], None] = lambda: None
        """Called whenever something else may be in force, before anything is done by it."""

    def replace(
        self,
        functions: Iterable[DeployedFunction],
        claims: tuple[RouteClaim, ...] | None = None,
    ) -> None:
        """Take over what is stored; with None the claims stay as they are.

        The routes are those of each function's live versions.
        """
        entries = {(f.project, f.name): _Entry(f) for f in functions}
        if claims is None:
            claims = self._spaces.claims
        self._spaces = Spaces(_declaring(entries), claims)
        self._contracts.replace(v for e in entries.values() for v in e.versions.values())
        self._functions = entries
        self.revision += 1
        projects = {project for project, _ in entries}
        self._projects = frozenset(projects).union(claim.project for claim in claims)
        self._only = projects.pop() if len(projects) == 1 else None
        self.on_replaced()

    @property
    def claims(self) -> tuple[RouteClaim, ...]:
        """What was given to projects."""
        return self._spaces.claims

    def check_claim(self, claim: RouteClaim) -> None:
        """Raise ConflictError if a project cannot be given this; see `Spaces`."""
        self._spaces.require_claimable(claim)

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
        """Raise ConflictError if a route of this version is the node's, or overlaps with another's.

        Within a project that is a route of the same shape; another project's first segment too.
        `together` are deployed at the same time.
        """
        others = (
            Declaring(v.project, v.function, v, v.created_at)
            for v in self._beside(project, function, together)
        )
        Spaces(others, self._spaces.claims).require_free(project, function, version)

    def has_host(self, host: str) -> bool:
        """Tell whether a host name was given to a project."""
        return self._spaces.has_host(host)

    def owns_origin(self, project: str, host: str) -> bool:
        """Tell whether nothing but a project, and the node, answers on a host."""
        if self._spaces.owns_origin(project, host):
            return True
        # A node with one project is that project's.
        return not self._spaces.claims and self._only == project

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
                        next_step="Send to a topic, which each subscribed function gets, or "
                        "remove the other trigger first.",
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

    def in_force(self, version: Version) -> Version:
        """Return a version that a call began with, with the rights that it has now.

        One that was removed meanwhile is not live; of a function that was nothing is in force.
        """
        entry = self._functions.get((version.project, version.function))
        if entry is None:
            return narrowed(version, ())
        stored = entry.versions.get(version.number)
        if stored is None or stored.digest != version.digest:
            return narrowed(version, entry.current)
        return entry.in_force(stored)

    def is_one(self, project: str, function: str, qualifier: str | None = None) -> bool:
        """Tell whether `find` always returns the same for this revision: no share is chosen."""
        entry = self._functions.get((project, function))
        alias = None if entry is None else entry.aliases.get(qualifier or LIVE)
        return alias is None or len(alias[0]) == 1

    def closure(self, project: str, function: str, version: Version) -> Closure:
        """Return who may call a version of a function by what is in force now."""
        entry = self._functions.get((project, function))
        if entry is None:
            return Closure(is_live=False, public=False, internal=version.spec.internal)
        known = entry.closures.get(version.number)
        return known[1] if known is not None and known[0] is version else entry.closure(version)

    def is_quarantined(self, project: str, function: str) -> bool:
        """Tell whether a function takes no calls."""
        entry = self._functions.get((project, function))
        return entry is not None and entry.deployed.quarantine is not None

    def most_live(self, project: str, function: str) -> Version | None:
        """Return the version that most callers of `live` are sent to, the newest of equals."""
        entry = self._functions.get((project, function))
        return None if entry is None else entry.most_live

    def sharing(self, project: str, function: str) -> tuple[Version, ...]:
        """Return the versions that share the calls of `live`: one, where it has all of them."""
        entry = self._functions.get((project, function))
        return () if entry is None else entry.current

    def route(self, method: str, path: str, host: str = "") -> Match | frozenset[str] | None:
        """Return the match of a route; see `Routes.match`. `host` is that of the request."""
        return self._spaces.match(method, path, host)

    def has_public_route_like(self, path: str, host: str = "") -> bool:
        """Tell whether some public route has the first segment of a path: it is known then.

        Where no route begins so, one that begins with any segment (`/{code}`) is such a one.
        """
        routes = self._spaces.space(host)
        below = routes.functions_below(first_segment(path)) or routes.functions_below(None)
        return any(map(self._is_public, below))

    def _is_public(self, function: tuple[str, str]) -> bool:
        entry = self._functions.get(function)
        return entry is not None and is_public(entry.current)

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

    def reached(self) -> list[Version]:
        """Return every version that some alias leads to."""
        return [
            entry.versions[number]
            for entry in self._functions.values()
            for number in sorted(
                {t.version for a in entry.deployed.aliases for t in a.targets if t.weight > 0}
            )
        ]

    def live_shares(self) -> list[tuple[Version, int]]:
        """Return every such version with its share of the calls, in per cent."""
        return [
            (entry.versions[target.version], target.weight)
            for entry in self._functions.values()
            for alias in entry.deployed.aliases
            if alias.name == LIVE
            for target in alias.targets
            if target.weight > 0
        ]

    def declaring(self) -> list[Version]:
        """Return for each function the version whose triggers are in force: the newest live one."""
        return [
            max(entry.live[0], key=lambda version: version.number)
            for entry in self._functions.values()
            if entry.live is not None and entry.live[0]
        ]

    def has_project(self, project: str) -> bool:
        """Tell whether a project has functions, or routes that were given to it."""
        return project in self._projects

    def projects(self) -> list[str]:
        """Return the projects that have functions, by name."""
        return sorted({project for project, _ in self._functions})

    def __len__(self) -> int:
        """Return the number of functions."""
        return len(self._functions)
