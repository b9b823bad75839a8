"""The decision: authenticate, authorize, find, look at the event."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from casemate.admission.catalogue import Catalogue
from casemate.admission.inspection import Inspector
from casemate.model.denial import Denial, DenialKind
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, RawInvocation, RefusedError, Request
from casemate.model.principal import (
    ANONYMOUS,
    Action,
    Decision,
    Principal,
    Resource,
    ResourceKind,
)
from casemate.policy.interface import Policy

_NO_CREDENTIAL = "This needs a valid token."
_NOT_ALLOWED = "The token does not allow this."
_NO_FUNCTION = "There is no such function."


class Authenticator(Protocol):
    """Tells whose credential an Authorization header's value holds."""

    def authenticate(self, authorization: str | None) -> Principal | None:
        """Return the principal, None if the value holds no valid credential."""
        ...


class Admission:
    """Admits requests. Whoever is not allowed learns nothing, not even what exists."""

    def __init__(
        self,
        catalogue: Catalogue,
        accounts: Authenticator,
        policy: Policy,
        deny: Callable[[Denial], None],
    ) -> None:
        """Decide by these; every denial goes to `deny` as well."""
        self._catalogue = catalogue
        self._accounts = accounts
        self._policy = policy
        self._deny = deny
        self.inspector = Inspector()
        """Counts what looks suspicious in events that were admitted to be looked at."""

    def admit(self, request: Request) -> Admitted:
        """Return the admitted request. Raises RefusedError for all else."""
        if not isinstance(request, Request):
            raise TypeError("stage 2 takes a Request")
        raw = request.raw
        principal = self._authenticate(raw, request.id)
        version = self._catalogue.find(raw.project, raw.function, raw.qualifier)
        spec = version.spec if version is not None else None
        resource = Resource(
            kind=ResourceKind.FUNCTION,
            project=raw.project,
            name=raw.function,
            internal=spec is not None and spec.internal,
            public=spec is not None and spec.public,
        )
        granted = raw.caller is not None
        if not self._policy.allows(principal, Action.FUNCTION_INVOKE, resource, granted=granted):
            decided = self._policy.decide(
                principal, Action.FUNCTION_INVOKE, resource, granted=granted
            )
            raise self._refusal(raw, request.id, principal, decided)
        if version is None:
            raise RefusedError(Outcome.NOT_FOUND, _NO_FUNCTION)
        self._inspect(request, principal)
        return Admitted(request=request, version=version, principal=principal)

    def _authenticate(self, raw: RawInvocation, invocation: str) -> Principal:
        if raw.caller is not None:
            return raw.caller.principal
        if raw.credential is None:
            return ANONYMOUS
        principal = self._accounts.authenticate(raw.credential)
        if principal is None:
            # A wrong token is refused even where none is needed: its owner should learn of it.
            self._record(raw, invocation, ANONYMOUS, "no valid token", DenialKind.AUTHENTICATION)
            raise RefusedError(Outcome.DENIED, _NO_CREDENTIAL)
        return principal

    def _inspect(self, request: Request, principal: Principal) -> None:
        """Refuse an event that is hostile whatever the function does with it."""
        raw = request.raw
        reason = self.inspector.inspect(raw.project, raw.function, request.event)
        if reason is not None:
            self._record(raw, request.id, principal, reason, DenialKind.INJECTION)
            raise RefusedError(
                Outcome.INVALID, f"The event is not let in: {reason}.", principal=principal
            )

    def _refusal(
        self, raw: RawInvocation, invocation: str, principal: Principal, decided: Decision
    ) -> RefusedError:
        known = principal is not ANONYMOUS
        kind = DenialKind.AUTHORIZATION if known else DenialKind.AUTHENTICATION
        reason = decided.why if known else "no token"
        self._record(raw, invocation, principal, reason, kind)
        if known:
            return RefusedError(Outcome.DENIED, _NOT_ALLOWED, status=403, principal=principal)
        return RefusedError(Outcome.DENIED, _NO_CREDENTIAL)

    def _record(
        self,
        raw: RawInvocation,
        invocation: str,
        principal: Principal,
        reason: str,
        kind: DenialKind,
    ) -> None:
        self._deny(
            Denial(
                at=time.time(),
                kind=kind,
                principal=principal.text,
                action=Action.FUNCTION_INVOKE.value,
                resource=f"function:{raw.project}/{raw.function}",
                reason=reason,
                project=raw.project,
                function=raw.function,
                invocation=invocation,
                remote_address=raw.remote_address,
            )
        )
