"""Whose a route is: projects share one space by first segments, or have one by a host name.

On the shared host a first segment such as `/payments` is one project's: the one that the node's
owner gave it to, or else the one that had a route below it first. A route that can begin with any
segment (`/{code}`) overlaps with all of them. A project with a host name of its own answers there
and only there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from casemate.admission.routes import Match, Route, Routes
from casemate.model.deployment import Version
from casemate.model.errors import ConflictError, HeldByAnotherError
from casemate.model.route import (
    EVERYTHING,
    RouteClaim,
    claimed_by,
    first_segment,
    is_reserved,
    overlapping,
)

_RELEASE = (
    "See casemate routes ls; casemate routes release {} takes back what that project was given."
)


def _named(owner: str, held: Route | None) -> str:
    if held is None:
        return f"what was given to the project {owner}"
    return f"{held.method} {held.template} of {owner}/{held.function}"


class Declaring(NamedTuple):
    """A function whose newest live version declares its routes."""

    project: str
    function: str
    version: Version
    since: float
    """When the function was first deployed: who came first keeps what it has."""


class Spaces:
    """All routes of a node. Does not change; another takes its place."""

    def __init__(
        self, declaring: Iterable[Declaring] = (), claims: tuple[RouteClaim, ...] = ()
    ) -> None:
        """Leave out what would answer for the node or for another project (fail closed)."""
        self.claims = claims
        self._hosts = {host: claim.project for claim in claims for host in claim.hosts}
        self._own: dict[str, Routes] = {project: Routes() for project in self._hosts.values()}
        self._apart: list[Route] = []
        """Those of projects with a host name."""
        self._shared = Routes()
        self._routes: list[Route] = []
        """Those of the shared space."""
        self._firsts: dict[str | None, str] = {}
        self._holders: dict[str, None] = {}
        """The projects in it, in the order in which they came."""
        for one in sorted(declaring, key=lambda d: (d.since, d.project, d.function)):
            for trigger in one.version.spec.http:
                route = Route(
                    trigger.method, trigger.path, one.project, one.function, trigger.asynchronous
                )
                self._add(route)

    def _add(self, route: Route) -> None:
        if is_reserved(route.template):
            return
        own = self._own.get(route.project)
        if own is not None:
            own.add(route)
            self._apart.append(route)
            return
        first = first_segment(route.template)
        if self._owner(route.project, first) is not None:
            return
        self._shared.add(route)
        self._routes.append(route)
        self._holders[self._firsts.setdefault(first, route.project)] = None

    def _owner(self, project: str, first: str | None) -> str | None:
        """Return another project that has a first segment, or may have the same; None if none."""
        mine = [claim for claim in self.claims if claim.project == project]
        others = [claim for claim in self.claims if claim.project != project]
        taken = claimed_by(others, first)
        if taken is not None:
            return taken
        if first is not None and claimed_by(mine, first) == project:
            return None
        overlap = (
            self._holders if first is None else (self._firsts.get(first), self._firsts.get(None))
        )
        return next((holder for holder in overlap if holder not in (None, project)), None)

    def require_free(self, project: str, function: str, version: Version) -> None:
        """Raise ConflictError, naming both, for a route that is the node's or another's.

        HeldByAnotherError for another's.
        """
        for trigger in version.spec.http:
            told = f"The route {trigger.method} {trigger.path} of {project}/{function}"
            if is_reserved(trigger.path):
                raise ConflictError(
                    f"{told} is below a path that the node answers itself.",
                    next_step="Change the path in casemate.toml.",
                )
            route = Route(trigger.method, trigger.path, project, function)
            other = (
                "Choose another first segment, or ask whoever runs the node to give the project "
                f"a host of its own: casemate routes claim {project} --host NAME"
            )
            strangers = ConflictError(
                f"{told} overlaps with what another project has.", next_step=other
            )
            own = self._own.get(project)
            for taken in (own or self._shared).rivals(route):
                if (taken.project, taken.function) != (project, function):
                    raise HeldByAnotherError(
                        f"{told} belongs to {taken.project}/{taken.function}.",
                        next_step="Change the path in casemate.toml, or remove the other function.",
                        strangers=strangers,
                        project=taken.project,
                        function=taken.function,
                    )
            if own is not None:
                continue
            owner = self._owner(project, first_segment(trigger.path))
            if owner is not None:
                held = self._held(owner, trigger.path)
                raise HeldByAnotherError(
                    f"{told} overlaps with {_named(owner, held)}.",
                    next_step=other,
                    strangers=strangers,
                    project=owner,
                    function="" if held is None else held.function,
                )

    def _held(self, owner: str, template: str) -> Route | None:
        """Return the route of a project that overlaps; None if that was given to it."""
        first = first_segment(template)
        return next(
            (
                r
                for r in self._routes
                if r.project == owner and overlapping(first, first_segment(r.template))
            ),
            None,
        )

    def require_claimable(self, claim: RouteClaim) -> None:
        """Raise ConflictError if another project has, or uses, what this one would be given.

        Without its host names a project's routes come back to the shared host.
        """
        if not claim.hosts:
            self._require_return(claim)
        others = [other for other in self.claims if other.project != claim.project]
        for host in claim.hosts:
            holder = next((o.project for o in others if host in o.hosts), None)
            if holder is not None:
                raise ConflictError(
                    f"The host {host} was given to {holder} already.",
                    next_step=_RELEASE.format(holder),
                )
        for prefix in claim.prefixes:
            first = None if prefix == EVERYTHING else prefix
            holder = claimed_by(others, first)
            if holder is not None:
                raise ConflictError(
                    f"{prefix} cannot be given to {claim.project}: a part of it was given to "
                    f"{holder} already.",
                    next_step=_RELEASE.format(holder),
                )
            for route in self._routes:
                if route.project != claim.project and overlapping(
                    first, first_segment(route.template)
                ):
                    raise ConflictError(
                        f"{prefix} cannot be given to {claim.project}: {route.method} "
                        f"{route.template} of {route.project}/{route.function} has it as well.",
                        next_step=f"Remove that function's route, or give {claim.project} a host "
                        f"of its own: casemate routes claim {claim.project} --host NAME.",
                    )

    def _require_return(self, claim: RouteClaim) -> None:
        """Raise ConflictError if a route of a project with a host would cover another's."""
        for route in self._apart:
            if route.project != claim.project:
                continue
            owner = self._owner(route.project, first_segment(route.template))
            if owner is not None:
                raise ConflictError(
                    f"{claim.project} cannot lose its hosts: {route.method} {route.template} of "
                    f"{route.project}/{route.function} overlaps with "
                    f"{_named(owner, self._held(owner, route.template))}.",
                    next_step="Remove one of the two routes first.",
                )

    def space(self, host: str) -> Routes:
        """Return the routes that answer on a host."""
        project = self._hosts.get(host)
        return self._shared if project is None else self._own[project]

    def match(self, method: str, path: str, host: str) -> Match | frozenset[str] | None:
        """Return what `Routes.match` does, on a host."""
        return self.space(host).match(method, path)

    def has_host(self, host: str) -> bool:
        """Tell whether a host name is a project's."""
        return host in self._hosts

    def owns_origin(self, project: str, host: str) -> bool:
        """Tell whether all that answers on a host, or may, is of one project."""
        holder = self._hosts.get(host)
        if holder is not None:
            return holder == project
        return claimed_by(self.claims, None) == project and any(
            EVERYTHING in c.prefixes for c in self.claims if c.project == project
        )
