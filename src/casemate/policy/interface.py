"""The one decision point: may this principal do this to that?"""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Iterable
from typing import Protocol

from casemate.model.account import PolicyFile, PolicySummary
from casemate.model.principal import Action, Decision, Principal, Resource
from casemate.policy.compiled import CompiledPolicies


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


class ManagedPolicy(Policy, Protocol):
    """A policy whose custom files can be changed while it decides."""

    @property
    def changes(self) -> Lock:
        """Held by who prepares, stores and activates a change, so that none is lost."""
        ...

    @property
    def files(self) -> tuple[PolicyFile, ...]:
        """The custom files in force, by name."""
        ...

    def policies(self) -> tuple[PolicySummary, ...]:
        """Return the custom policies in force."""
        ...

    def roles(self) -> frozenset[str]:
        """Return the names of all roles."""
        ...

    def prepare(
        self,
        files: Iterable[PolicyFile],
        *,
        maker: Principal | None = None,
        no_wider: bool = False,
    ) -> CompiledPolicies:
        """Check the files that shall be in force, and change nothing. Raises PolicyError.

        `no_wider` refuses what permits more than what is in force; hold `changes` until it is
        activated, else something else may be in force by then.
        """
        ...

    def activate(self, prepared: CompiledPolicies) -> None:
        """Put checked policies in force at once; cannot fail."""
        ...
