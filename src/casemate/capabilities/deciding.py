"""Decides every use of a capability, and notes it.

    granted?   the manifest's grants of this very version, compiled
    still?     what is live now, where that is another version, grants it too
    narrowed?  every ceiling that callers up the chain have set
    withheld?  a secret that is held back until it has another value
    allowed?   the policy, which sees whether it is granted, and may still forbid it
    usual?     where a baseline is enforced

Whatever goes wrong on the way is a denial or an error; nothing is done before all hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from casemate.baselines import Baselines
from casemate.capabilities.errors import NotGrantedError, how_to_grant
from casemate.capabilities.flow import require_within
from casemate.capabilities.requests import Wanted
from casemate.capabilities.rights import Rights
from casemate.capabilities.uses import use_of
from casemate.facts import FactStream
from casemate.model.baseline import UNUSUAL
from casemate.model.denial import DenialKind, denied_to
from casemate.model.facts import FunctionPlace, GrantUsed
from casemate.model.grant import GrantKind
from casemate.model.granted import CompiledGrants, learned_prefix
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, RefusedError
from casemate.model.principal import Action, Resource
from casemate.policy.interface import Policy

_NOT_ALLOWED = "The token does not allow this."
"""What is said of every caller that may not: which of them a baseline refuses tells of others."""

Withholds = Callable[[str, str, str], bool]
"""Tells whether a function of a project is not given a secret's value."""


class Decisions:
    """One per gateway."""

    def __init__(
        self,
        *,
        policy: Policy,
        facts: FactStream,
        baselines: Baselines,
        withholds: Withholds | None,
        learn: bool,
    ) -> None:
        """Decide by these, and tell uses and denials as facts; the rest is as in `Broker`."""
        self._policy = policy
        self._facts = facts
        self._baselines = baselines
        self._withholds = withholds
        self._learn = learn

    def require_start(self, rights: Rights, admitted: Admitted) -> None:
        """Let an invocation run, or raise RefusedError."""
        caller, invocation = admitted.principal, admitted.request.id
        if not self._baselines.admits(admitted.version, caller.text, invocation):
            self._record_start(rights, admitted, UNUSUAL)
            raise RefusedError(Outcome.DENIED, _NOT_ALLOWED, status=403, principal=caller)
        if admitted.request.raw.caller is None:
            return
        try:
            require_within(admitted, rights.version.spec.grants)
        except RefusedError as refusal:
            if refusal.outcome is Outcome.DENIED:
                reason = "the network is granted further than the calling function allows"
                self._record_start(rights, admitted, reason)
            raise

    def _record_start(self, rights: Rights, admitted: Admitted, reason: str) -> None:
        target = rights.resource(GrantKind.FUNCTION, admitted.version.function)
        self._record(rights, admitted.request.id, Action.FUNCTION_INVOKE, target, reason)

    def require(
        self,
        rights: Rights,
        invocation: str,
        ceilings: Sequence[CompiledGrants],
        wanted: Wanted,
        *,
        again: bool = False,
    ) -> None:
        """Let a use pass or raise NotGrantedError; either is noted.

        `again` decides anew of one that passed and has waited since, and is noted already.
        """
        kind, name, action, key = wanted
        version = rights.version
        found = rights.grants.find(kind, name, action, key)
        resource = rights.resource(kind, name)
        now = rights.now
        taken = now is not rights.grants and not now.find(kind, name, action, key)
        within = all(ceiling.find(kind, name, action, key) for ceiling in ceilings)
        withheld = self._is_withheld(rights, kind, name)
        if self._learn and within and not withheld:
            prefix = learned_prefix(key) if kind is GrantKind.BUCKET else ""
            if not again:
                self._tell_use(rights, f"{kind.value} {name}", action, prefix, invocation)
            return
        asked = Action(f"{kind.value}:{action}")
        unusual = False
        if (
            found is not None
            and not taken
            and within
            and not withheld
            and self._policy.allows(rights.principal, asked, resource, granted=True)
            and not (
                unusual := not self._baselines.allows(version, found[0].text, action, invocation)
            )
        ):
            grant, prefix = found
            if not again:
                self._tell_use(rights, grant.text, action, prefix, invocation)
            return
        if found is None:
            listed = any(g.kind is kind and g.name == name for g in version.spec.grants)
            reason = "outside what is granted of it" if listed else "not granted"
        elif taken:
            reason = "no longer granted by the live version"
        elif not within:
            reason = "outside what the calling function allows"
        elif withheld:
            reason = "held back until it has another value"
        elif unusual:
            reason = UNUSUAL
        else:
            reason = "forbidden by a policy"
        self._record(rights, invocation, asked, resource, reason)
        raise NotGrantedError(
            f"{rights.principal.id} may not {action} {kind.value} {name}: {reason}.",
            next_step=None if found is not None else how_to_grant(version.spec, kind, name, action),
        )

    def _is_withheld(self, rights: Rights, kind: GrantKind, name: str) -> bool:
        if kind is not GrantKind.SECRET or self._withholds is None:
            return False
        return self._withholds(rights.version.project, rights.version.function, name)

    def _tell_use(
        self, rights: Rights, grant: str, action: str, prefix: str, invocation: str
    ) -> None:
        if self._facts.wanted(GrantUsed):
            self._facts.happened(
                use_of(rights.version, grant, action, prefix, invocation, at=time.time())
            )

    def _record(
        self, rights: Rights, invocation: str, action: Action, resource: Resource, reason: str
    ) -> None:
        version = rights.version
        self._facts.happened(
            denied_to(
                FunctionPlace(version.project, version.function, version.number, invocation),
                at=time.time(),
                kind=DenialKind.CAPABILITY,
                action=action.value,
                resource=resource.text,
                reason=reason,
            )
        )
