"""Whether who had events kept may still have them handled: decided as each of them is about to be.

A call that is kept may run days after it was admitted. Whoever has been sent away since, or has
lost the right to invoke the function, has nothing run any more: what counts is what is in force
when it begins, as for a call that comes then. It is asked of people and of tokens, those of
workloads included; a function and a trigger are asked about by their grants along the path.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from casemate.admission import Catalogue
from casemate.delivery.leased import Leased
from casemate.delivery.verdict import KEEPER_DENIED, KEEPER_GONE
from casemate.model.denial import DenialKind, denied_at
from casemate.model.deployment import Version
from casemate.model.event import Event
from casemate.model.facts import NOT_BY_NETWORK, Actor, Fact, FunctionPlace
from casemate.model.messages import REDRIVEN
from casemate.model.nodes import MAX_CLOCK_OFF
from casemate.model.principal import Action, Principal
from casemate.policy.interface import Policy


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
        """Return why an event is not handled for who had it kept; empty if it is.

        `qualifier` is what was asked for, `version` what that leads to.
        """
        event = leased.event
        if event is None or not event.kept_by:
            return ""
        if self._is_sent_away(event.kept_by, leased.message.sent_at, now):
            reason = KEEPER_GONE
        elif REDRIVEN in leased.message.attributes or self._may(event, version, qualifier):
            # Whoever sends a dead letter again has it handled, and was asked then.
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
                by=Actor(event.kept_by, NOT_BY_NETWORK),
                action=Action.FUNCTION_INVOKE.value,
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

    def _may(self, event: Event, version: Version, qualifier: str) -> bool:
        """Tell whether a call of the keeper would be allowed now, as admission decides it."""
        principal = self._accounts.as_keeper(event.kept_by)
        if principal is None:
            return True  # its time was over long ago: what it had begun goes on
        closure = self._catalogue.closure(version.project, version.function, version)
        resource = closure.resource(version.project, version.function, event.kind.value)
        if not self._policy.allows(principal, Action.FUNCTION_INVOKE, resource):
            return False
        if not closure.needs_own_right(qualifier):
            return True
        return self._policy.allows(principal, Action.FUNCTION_INVOKE_VERSION, resource)
