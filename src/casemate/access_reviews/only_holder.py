"""Whether somebody is the only one who may do something: who else could have been asked?"""

from __future__ import annotations

import time

from casemate.access_reviews.holders import holders
from casemate.accounts import Accounts
from casemate.model.facts import Actor
from casemate.model.principal import Action, Principal, PrincipalKind, Resource, ResourceKind
from casemate.operations.access import AccessKind
from casemate.policy.interface import Policy

_KINDS = {
    AccessKind.USER: PrincipalKind.USER,
    AccessKind.TOKEN: PrincipalKind.TOKEN,
    # A session of a pipeline is a token with its roles.
    AccessKind.WORKLOAD: PrincipalKind.TOKEN,
}
_MOST_ASKED = 100
"""Of so many principals it is decided, some 20 ms: behind them there may be somebody else."""


class OnlyHolder:
    """Decides by the accounts and policies of the moment. On the gateway's event loop."""

    def __init__(self, accounts: Accounts, policy: Policy) -> None:
        """Ask these."""
        self._accounts = accounts
        self._policy = policy

    def is_only(self, project: str, function: str, by: Actor) -> bool:
        """Tell whether nobody may approve grants of a function but who answers for `by`."""
        resource = Resource(kind=ResourceKind.FUNCTION, project=project, name=function)
        return self.may_alone(Action.GRANT_APPROVE, resource, by)

    def may_alone(self, action: Action, resource: Resource, by: Actor) -> bool:
        """Tell whether nobody may do something but who answers for `by`.

        What somebody's tokens may is theirs. Who is not known to have the right is not the only
        one, and of those who have it some may be on holiday, or never have come: they count.
        Where there are too many to ask about, somebody else is taken to be among them.
        """
        own = self._accounts.answerable(by.principal)
        found, asked = False, 0
        for holder in holders(self._accounts, (), time.time()):
            is_own = self._accounts.answerable(holder.id) == own
            if holder.kind not in _KINDS or (is_own and found):
                continue
            if asked == _MOST_ASKED:
                return False
            asked += 1
            principal = Principal(
                kind=_KINDS[holder.kind],
                id=holder.id.partition(":")[2],
                bindings=holder.bindings,
            )
            if self._policy.allows(principal, action, resource):
                if not is_own:
                    return False
                found = True
        return found
