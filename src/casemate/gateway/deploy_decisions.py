"""Whether bundles may be live, by what is in memory: decided before they are started, and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Protocol

from casemate.admission import Catalogue
from casemate.admission.grants import GrantDifference, WideningError, require_approval
from casemate.api.control import Deployment
from casemate.gateway.ready_instances import ReadyInstances
from casemate.gateway.trials import require_way_back
from casemate.model.denial import Denial, DenialKind, denied_at
from casemate.model.deployment import TrialTerms, Version
from casemate.model.errors import CasemateError
from casemate.model.facts import Actor, Fact, FunctionPlace
from casemate.model.grant import Grant


class DeployDecisions:
    """Decides on deploys. Reads nothing, waits for nothing."""

    def __init__(
        self,
        catalogue: Catalogue,
        ready: ReadyInstances,
        happened: Callable[[Fact], None],
        require_movable: Callable[[str, str], None],
    ) -> None:
        """Decide on these; `require_movable` raises ConflictError for a function whose aliases are
        not to be moved.
        """
        self._catalogue = catalogue
        self._ready = ready
        self._happened = happened
        self._require_movable = require_movable

    def decide(
        self,
        wanted: Sequence[Deployment],
        versions: Sequence[Version],
        forgets: Sequence[tuple[Grant, ...]],
        *,
        approve: bool,
        trial: TrialTerms | None,
        by: Actor,
    ) -> list[GrantDifference]:
        """Return what each would be granted more or less, as if the others were live already.

        `forgets` is what each would have the project's data forget, which is approved with that.
        Raises what the first that cannot be deployed is refused for; `about` names it.
        """
        for one in wanted:
            with about(one):
                self._require_movable(one.project, one.function)
        self.require_ready_room(versions)
        differences = []
        for one, version, gone in zip(wanted, versions, forgets, strict=True):
            with about(one):
                if trial is not None:
                    self._require_way_back(version)
                self._catalogue.check_routes(one.project, one.function, version, versions)
                self._catalogue.check_consumers(one.project, one.function, version, versions)
                differences.append(self._require_approval(version, gone, approve=approve, by=by))
        return differences

    def obstacles(self, one: Version, together: Sequence[Version]) -> list[CasemateError]:
        """Return all that is in the way of one of these, as if the others were live already.

        What grants are widened is not among it: a client shows it, and has it recorded.
        """
        found: list[CasemateError] = []
        with noted(found, one):
            self._require_movable(one.project, one.function)
        with noted(found, one):
            self._catalogue.check_routes(one.project, one.function, one, together)
        with noted(found, one):
            self._catalogue.check_consumers(one.project, one.function, one, together)
        return found

    def _require_way_back(self, version: Version) -> None:
        live = self._catalogue.most_live(version.project, version.function)
        if live is not None:  # without one the store refuses
            require_way_back(live, version.spec)

    def require_ready_room(self, together: Sequence[Version]) -> None:
        """Refuse the first that asks for more ready instances than the node has left."""
        for number, tentative in enumerate(together, 1):
            with about(tentative):
                # Those that come later ask for none yet, but what they replace gives its place.
                shares = [100] * number + [0] * (len(together) - number)
                self._ready.require_room(list(zip(together, shares, strict=True)))

    def _require_approval(
        self, tentative: Version, forgets: tuple[Grant, ...], *, approve: bool, by: Actor
    ) -> GrantDifference:
        """Return what a deploy changes; WideningError, and a record, if it may not."""
        live = self._catalogue.most_live(tentative.project, tentative.function)
        try:
            return require_approval(
                live.spec if live is not None else None, tentative.spec, approve, forgets
            )
        except WideningError as error:
            self._happened(widening_denied(tentative, error, "function:deploy", by))
            raise


def widening_denied(version: Version, error: WideningError, action: str, by: Actor) -> Denial:
    """Return the record of that a version was not made live, as it is granted more."""
    return denied_at(
        FunctionPlace(version.project, version.function, version.number, invocation=""),
        at=time.time(),
        kind=DenialKind.GRANTS,
        by=by,
        action=action,
        reason=error.message,
    )


class OfFunction(Protocol):
    """What is about one function of a project."""

    @property
    def project(self) -> str:
        """Name of the project."""
        ...

    @property
    def function(self) -> str:
        """Name of the function."""
        ...


@contextmanager
def about(wanted: OfFunction) -> Iterator[None]:
    """Have errors name the function that they are about."""
    try:
        yield
    except CasemateError as error:
        error.about = f"{wanted.project}/{wanted.function}"
        raise


@contextmanager
def noted(found: list[CasemateError], wanted: OfFunction | None = None) -> Iterator[None]:
    """Put an error into `found` instead, about `wanted` if that is given."""
    try:
        with about(wanted) if wanted is not None else nullcontext():
            yield
    except CasemateError as error:
        found.append(error)
