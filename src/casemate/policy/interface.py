"""The one decision point: may this principal do this to that?"""

from __future__ import annotations

from typing import Protocol

from casemate.model.principal import Action, Decision, Principal, Resource


class Policy(Protocol):
    """Decides. Whatever goes wrong inside a decision is a denial."""

    @property
    def revision(self) -> int:
        """Counts up with every change of policies; cached decisions of older ones do not hold."""
        ...

    def allows(
        self, principal: Principal, action: Action, resource: Resource, *, granted: bool = False
    ) -> bool:
        """Decide, from the cache where it was decided before; never raises, costs microseconds.

        `granted` says that the manifest of the asking function grants it, which is the caller's
        to know; policies see it as `context.granted`.
        """
        ...

    def decide(
        self, principal: Principal, action: Action, resource: Resource, *, granted: bool = False
    ) -> Decision:
        """Decide anew and say which policies decided."""
        ...
