"""Whether who had events kept may still have them handled: decided as each of them is about to be.

A call that is kept may run days after it was admitted. Whoever has been sent away since, or has
lost the right to invoke the function, has nothing run any more: what counts is what is in force
when it begins, as for a call that comes then. It is asked of people, of tokens, those of workloads
included, of callers without one, to whom a function may be closed by then, and of functions, by
what is live of them; a trigger is asked about along the path. Who has sent an event again from the
dead letters is asked about in the place of who had it kept first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from casemate.admission import Catalogue
from casemate.delivery.leased import Leased
from casemate.delivery.verdict import (
    KEEPER_DENIED,
    KEEPER_GONE,
    REDRIVER_DENIED,
    REDRIVER_GONE,
)
from casemate.model.denial import DenialKind, denied_at
from casemate.model.deployment import Version
from casemate.model.facts import NOT_BY_NETWORK, Actor, Fact, FunctionPlace
from casemate.model.grant import GrantKind
from casemate.model.messages import REDRIVEN, REDRIVEN_HERE
from casemate.model.nodes import MAX_CLOCK_OFF
from casemate.model.principal import Action, Principal, PrincipalKind, Resource, ResourceKind
from casemate.policy.interface import Policy

_FUNCTION = f"{PrincipalKind.FUNCTION.value}:"


class KeptBy(Protocol):
    """What accounts know of who had an event kept, given as `Principal.text`."""

    def sent_away(self, text: str) -> float | None:
        """Return since when (Unix time) it may do nothing any more, None if it may."""
        ...

    def as_keeper(self, text: str) -> Principal | None:
        """Return it with the roles of now; None of whom nothing is known any more."""
        ...


class Keepers:
    """Says of whom nothing is handled any more, and has each refusal recorded."""

    def __init__(
        self,
        accounts: KeptBy,
        policy: Policy,
        catalogue: Catalogue,
        happened: Callable[[Fact], None],
    ) -> None:
        """Decide by these, and tell denials by `happened`."""
        self._accounts = accounts
        self._policy = policy
        self._catalogue = catalogue
        self._happened = happened

    def refusal(self, leased: Leased, version: Version, qualifier: str, now: float) -> str:
        """Return why an event is not handled for who had it kept, or has sent it again; empty if
        it is.

        `qualifier` is what was asked for, `version` what that leads to.
        """
        event, redriver = leased.event, leased.message.attributes.get(REDRIVEN, "")
        if event is None or not (event.kept_by or redriver):
            return ""
        kept_at = leased.message.sent_at
        by, action = event.kept_by, Action.FUNCTION_INVOKE
        if by and self._is_sent_away(by, kept_at, now):
            reason = KEEPER_GONE
        elif redriver:
            # Whoever sends a dead letter again has it handled, and answers for it from then on.
            by, action = redriver, Action.DEAD_LETTER_WRITE
            if self._is_sent_away(by, kept_at, now):
                reason = REDRIVER_GONE
            elif self._may_redrive(by, leased, version):
                return ""
            else:
                reason = REDRIVER_DENIED
        elif self._may(by, event.kind.value, version, qualifier):
            return ""
        else:
            reason = KEEPER_DENIED
        place = FunctionPlace(
            version.project, version.function, version.number, leased.message.invocation
        )
        self._happened(
            denied_at(
                place,
                at=time.time(),
                kind=DenialKind.AUTHORIZATION,
                by=Actor(by, NOT_BY_NETWORK),
                action=action.value,
                reason=f"an event that was kept is not handled: {reason}",
            )
        )
        return reason

    def _is_sent_away(self, keeper: str, kept_at: float, now: float) -> bool:
        """Tell whether who had an event kept was sent away since.

        What is sent again from the dead letters is later: whoever did that answers for it. What
        is of a time to come is earlier: the clock was set back since.
        """
        since = self._accounts.sent_away(keeper)
        return since is not None and (kept_at <= since or kept_at > now + MAX_CLOCK_OFF)

    def _may_redrive(self, by: str, leased: Leased, version: Version) -> bool:
        """Tell whether who has sent an event again could do that now."""
        principal = self._accounts.as_keeper(by)
        if principal is None:
            return True  # as of who had something kept, and where nobody is named
        resource = Resource(
            kind=ResourceKind.FUNCTION, project=version.project, name=version.function
        )
        if not self._policy.allows(principal, Action.DEAD_LETTER_WRITE, resource):
            return False
        event = leased.event
        if event is None or REDRIVEN_HERE not in leased.message.attributes:
            return True
        return self._may(by, event.kind.value, version, "")

    def _may(self, by: str, trigger: str, version: Version, qualifier: str) -> bool:
        """Tell whether a call by somebody would be allowed now, as admission decides it."""
        closure = self._catalogue.closure(version.project, version.function, version)
        resource = closure.resource(version.project, version.function, trigger)
        if by.startswith(_FUNCTION):
            return self._may_function(by.removeprefix(_FUNCTION), version, resource)
        principal = self._accounts.as_keeper(by)
        if principal is None:
            return True  # its time was over long ago: what it had begun goes on
        if not self._policy.allows(principal, Action.FUNCTION_INVOKE, resource):
            return False
        if not closure.needs_own_right(qualifier):
            return True
        return self._policy.allows(principal, Action.FUNCTION_INVOKE_VERSION, resource)

    def _may_function(self, name: str, version: Version, resource: Resource) -> bool:
        """Tell whether what is live of a function of the project may still invoke another one."""
        caller = self._catalogue.sharing(version.project, name.partition("/")[2])
        granted = any(_is_granted(one, version.function) for one in caller)
        principal = Principal(kind=PrincipalKind.FUNCTION, id=name)
        action = Action.FUNCTION_INVOKE
        return granted and self._policy.allows(principal, action, resource, granted=True)


def _is_granted(version: Version, function: str) -> bool:
    """Tell whether a version may invoke a function of its project."""
    return any(
        grant.kind is GrantKind.FUNCTION and grant.name == function for grant in version.spec.grants
    )
