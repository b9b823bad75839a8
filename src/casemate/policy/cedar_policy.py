"""The decision point: built-in and custom policies, with a cache for the path of invocations."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from casemate.model.account import PolicyFile, PolicySummary
from casemate.model.principal import Action, Decision, Principal, Resource
from casemate.policy.compiled import CompiledPolicies, compile_policies
from casemate.policy.errors import RequestNotDecidableError
from casemate.policy.evaluation import evaluate
from casemate.policy.lockout import require_keeps_control, require_owners_keep_control
from casemate.policy.widening import require_no_wider

MAX_CACHED = 65_536
"""Decisions kept. A flood of different requests empties the cache, it does not fill the memory."""

_log = logging.getLogger("casemate.policy")

_Key = tuple[Principal, Action, Resource, bool]


class _Active:
    """The policies in force, and what was decided by them.

    The cache belongs to its policies: a decision that was under way while they were replaced is
    kept with the old ones and never seen again.
    """

    __slots__ = ("cache", "policies", "revision")

    def __init__(self, policies: CompiledPolicies, revision: int) -> None:
        self.policies = policies
        self.revision = revision
        self.cache: dict[_Key, bool] = {}


class CedarPolicy:
    """Implements `casemate.policy.Policy`. Safe to use from several threads."""

    def __init__(
        self, files: Iterable[PolicyFile] = (), *, clock: Callable[[], float] = time.time
    ) -> None:
        """Start with the built-in policies and custom files. PolicyError if these are not valid."""
        self._clock = clock
        self._active = _Active(compile_policies(files), 1)
        self._changes = asyncio.Lock()

    @property
    def revision(self) -> int:
        """Counts up from 1 with every change of policies."""
        return self._active.revision

    @property
    def changes(self) -> asyncio.Lock:
        """Held by who prepares, stores and activates a change, so that none is lost."""
        return self._changes

    @property
    def files(self) -> tuple[PolicyFile, ...]:
        """The custom files in force, by name."""
        return self._active.policies.files

    def policies(self) -> tuple[PolicySummary, ...]:
        """Return the custom policies in force."""
        return self._active.policies.summaries()

    def roles(self) -> frozenset[str]:
        """Return the names of all roles: the built-in ones, and those that policies name."""
        return self._active.policies.roles

    def prepare(
        self,
        files: Iterable[PolicyFile],
        *,
        maker: Principal | None = None,
        no_wider: bool = False,
    ) -> CompiledPolicies:
        """Check the files that shall be in force, and change nothing. Takes milliseconds.

        Raises PolicyError if a file is not valid, if owners of the node, or the `maker` of the
        change, could not write policies afterwards, and with `no_wider` if something would be
        permitted that is not: that takes up to `widening.MAX_SECONDS_IN_NODE`.
        """
        compiled = compile_policies(files)
        require_owners_keep_control(compiled)
        if maker is not None:
            require_keeps_control(compiled, maker)
        if no_wider:
            require_no_wider(self._active.policies, compiled)
        return compiled

    def activate(self, prepared: CompiledPolicies) -> None:
        """Put checked policies in force at once; no older decision holds any more. Cannot fail.

        Changes come one after the other: see `changes`.
        """
        self._active = _Active(prepared, self._active.revision + 1)

    def replace(self, files: Iterable[PolicyFile], *, maker: Principal | None = None) -> None:
        """Prepare and activate. On PolicyError what was in force stays in force."""
        self.activate(self.prepare(files, maker=maker))

    def allows(
        self, principal: Principal, action: Action, resource: Resource, *, granted: bool = False
    ) -> bool:
        """Decide, from the cache where it was decided before; never raises."""
        try:
            if type(action) is not Action:
                return False
            expires_at = principal.expires_at
            if expires_at is not None and expires_at <= self._clock():
                return False
            active = self._active
            key = (principal, action, resource, granted is True)
            allowed = active.cache.get(key)
            if allowed is None:
                allowed = _decide(active, principal, action, resource, granted).allowed
                if len(active.cache) >= MAX_CACHED:
                    active.cache.clear()
                active.cache[key] = allowed
        except RequestNotDecidableError:
            return False  # not cached: what cannot exist has no bound on its size
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is a denial
            _log.error("a decision failed and is a denial: %s", type(error).__name__)
            return False
        return allowed

    def decide(
        self, principal: Principal, action: Action, resource: Resource, *, granted: bool = False
    ) -> Decision:
        """Decide anew and say which policies decided; never raises."""
        try:
            expires_at = principal.expires_at
            if expires_at is not None and expires_at <= self._clock():
                return _denied("The principal's authentication has expired.")
            return _decide(self._active, principal, action, resource, granted)
        except RequestNotDecidableError as error:
            return _denied(error.message)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is a denial
            _log.error("a decision failed and is a denial: %s", type(error).__name__)
            return _denied(f"The decision failed with {type(error).__name__}.")


def _decide(
    active: _Active, principal: Principal, action: Action, resource: Resource, granted: bool
) -> Decision:
    return evaluate(active.policies.policy_set, principal, action, resource, granted)


def _denied(error: str) -> Decision:
    return Decision(allowed=False, errors=(error,))
