"""The decision: authenticate, authorize, find, hold the event to its contract, look at it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from casemate.admission.brought import BroughtEvents
from casemate.admission.catalogue import Catalogue, Closure, names_version
from casemate.admission.contract import contract_text
from casemate.admission.inspection import reason as reason_to_refuse
from casemate.contracts import Violation
from casemate.model.denial import DenialKind, denied_at
from casemate.model.deployment import Version
from casemate.model.facts import Actor, Fact, FunctionPlace
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Failure, RawInvocation, RefusedError, Request, closed
from casemate.model.principal import (
    ANONYMOUS,
    Action,
    Checked,
    Decision,
    Principal,
    PrincipalKind,
    Resource,
)
from casemate.model.refusals import CONTRACT_BROKEN, HOSTILE_EVENT, refusal_type
from casemate.model.trigger import INBOX, TriggerKind, kind_of
from casemate.policy.interface import Policy

_encode = msgspec.json.Encoder().encode
_NONE = Closure(is_live=False, public=False, internal=False)
"""Of what there is not."""

_NO_CREDENTIAL = "This needs a valid token."
_NOT_ALLOWED = "The token does not allow this."
_NO_FUNCTION = "There is no such function."
_NO_VERSION = "The version that the event was kept for was removed."
_GIVEN_UP = "Not all of the events are to be handled any more."
_BREACH = "The event breaks its contract"
_NO_CONTRACT = "The event exceeds what is accepted without a contract"
_KEPT = frozenset((TriggerKind.INVOKE, TriggerKind.HTTP, TriggerKind.RESULT))
"""What reaches a function by its inbox without a trigger that its manifest declares."""


def _given_up(admitted: Admitted) -> RefusedError:
    """Return the refusal of what whoever brings it does not want to be run any more."""
    principal = admitted.principal
    if principal.kind is PrincipalKind.FUNCTION:
        return RefusedError(Outcome.DENIED, _NOT_ALLOWED, status=403, principal=principal)
    return RefusedError(Outcome.UNAVAILABLE, _GIVEN_UP, principal=principal)


class Authenticator(Protocol):
    """Tells whose credential an Authorization header's value holds."""

    def check(self, authorization: str | None, before: Checked | None = None) -> Checked:
        """Return what `authenticate` finds, to be confirmed by it a moment later.

        That is what was found `before` for the same value, if nothing can have changed since.
        """
        ...

    def authenticate(
        self, authorization: str | None, checked: Checked | None = None
    ) -> Principal | None:
        """Return the principal, None if the value holds no valid credential.

        `checked` is what was found a moment ago; it is used if nothing has changed since.
        """
        ...


def _size(raw: RawInvocation) -> int:
    """Return the bytes that come in; what came over HTTP was cut before by its transport."""
    return len(raw.body) + sum([len(bytes(event.data)) for event in raw.events])


def _is_kept_for_version(raw: RawInvocation) -> bool:
    """Tell whether the host itself brings an event that was kept for one version."""
    caller = raw.caller
    is_trigger = caller is not None and caller.principal.kind is PrincipalKind.TRIGGER
    return is_trigger and names_version(raw.qualifier)


def _is_granted(raw: RawInvocation, version: Version | None) -> bool:
    """Tell whether the host vouches for the caller: a function whose grant was checked, or a
    trigger that the version declares, or the function's own inbox."""
    caller = raw.caller
    if caller is None:
        return False
    principal = caller.principal
    if principal.kind is not PrincipalKind.TRIGGER:
        return principal.kind is PrincipalKind.FUNCTION
    function, _, trigger = principal.id.rpartition("/")
    if version is None or function != f"{raw.project}/{raw.function}":
        return False
    declared = version.spec.trigger(trigger)
    if declared is not None and kind_of(declared).value == raw.trigger:
        return True
    # What was admitted when it was kept, or is a destination of the project's own.
    return trigger == INBOX and raw.trigger in _KEPT


class Admission:
    """Admits requests. Whoever is not allowed learns nothing, not even what exists."""

    def __init__(
        self,
        catalogue: Catalogue,
        accounts: Authenticator,
        policy: Policy,
        happened: Callable[[Fact], None],
        blocks: Callable[[str, str], bool] | None = None,
    ) -> None:
        """Decide by these; every denial is told by `happened` as well.

        `blocks` tells whether a project takes no calls from an address.
        """
        self._blocks = blocks
        self._catalogue = catalogue
        self._accounts = accounts
        self._policy = policy
        self._happened = happened
        self._brought = BroughtEvents(catalogue, policy)

    def admit(self, request: Request) -> Admitted:
        """Return the admitted request. Raises RefusedError for all else."""
        if not isinstance(request, Request):
            raise TypeError("stage 2 takes a Request")
        raw = request.raw
        principal, version = self._decide(request)
        size = _size(raw) if raw.events else len(raw.body)
        most = version.spec.limits.request
        if size > most:
            raise RefusedError(
                Outcome.INVALID,
                f"The event has {size} bytes, expected at most {most}.",
                status=413,
                failure=Failure(
                    type=refusal_type(Outcome.INVALID, 413),
                    message=f"The event has {size} bytes, expected at most {most}: "
                    "limits.request of the function in casemate.toml.",
                ),
                principal=principal,
            )
        # An event that was kept was looked at then; again, unless it is for the same contracts.
        if not version.digest or raw.admitted_under != version.digest:
            broken = self._catalogue.violation(version, request)
            if broken is not None:
                raise self._breach(raw, request.id, principal, version, broken)
            self._inspect(request, version, principal)
        return Admitted(request=request, version=version, principal=principal)

    def require_still(self, admitted: Admitted) -> None:
        """Decide once more who may call, by what is in force now: the call has waited in line.

        Of what the host brings, whoever brings it is asked as well. Raises RefusedError.
        """
        raw = admitted.request.raw
        if raw.still is not None and not raw.still():
            raise _given_up(admitted)
        self._decide(admitted.request, admitted.version)

    def _decide(self, request: Request, before: Version | None = None) -> tuple[Principal, Version]:
        """Return who calls and the version that is called. Raises RefusedError.

        That is the one it was `before`, while that has a share of the calls.
        """
        raw = request.raw
        if self._blocks is not None and raw.caller is None and raw.remote_address:
            self._require_open(raw, request.id)
        principal = self._authenticate(raw, request.id)
        version = before
        if before is None or not self._has_share(before, raw):
            version = self._catalogue.find(raw.project, raw.function, raw.qualifier)
        if version is None and _is_kept_for_version(raw):
            raise RefusedError(Outcome.NOT_FOUND, _NO_VERSION, principal=principal)
        brought = raw.caller is not None
        if version is None or not (brought and self._brought.allowed(raw, version)):
            self._authorize(raw, request.id, principal, version)
            if version is None:
                raise RefusedError(Outcome.NOT_FOUND, _NO_FUNCTION)
            if brought:
                self._brought.note(raw, version)
        if not brought and self._catalogue.is_quarantined(raw.project, raw.function):
            # Who waits for an answer is told; what the host brings is kept, and not placed.
            raise closed()
        return principal, version

    def _has_share(self, version: Version, raw: RawInvocation) -> bool:
        """Tell whether a call that names no version may go to this one."""
        sharing = self._catalogue.sharing(raw.project, raw.function)
        return raw.qualifier is None and any(one is version for one in sharing)

    def _authorize(
        self, raw: RawInvocation, invocation: str, principal: Principal, version: Version | None
    ) -> None:
        """Raise RefusedError unless the principal may call that version, or what is not there."""
        closure = (
            _NONE
            if version is None
            else self._catalogue.closure(raw.project, raw.function, version)
        )
        resource = closure.resource(raw.project, raw.function, raw.trigger)
        granted = raw.caller is not None and _is_granted(raw, version)
        self._require(Action.FUNCTION_INVOKE, raw, invocation, principal, resource, granted)
        if version is not None and closure.needs_own_right(raw.qualifier) and not granted:
            action = Action.FUNCTION_INVOKE_VERSION
            self._require(action, raw, invocation, principal, resource, granted=False)

    def _require(
        self,
        action: Action,
        raw: RawInvocation,
        invocation: str,
        principal: Principal,
        resource: Resource,
        granted: bool,
    ) -> None:
        """Raise RefusedError, and record the denial, unless the policy allows an action."""
        if not self._policy.allows(principal, action, resource, granted=granted):
            decided = self._policy.decide(principal, action, resource, granted=granted)
            raise self._refusal(raw, invocation, principal, decided, action, granted=granted)

    def _require_open(self, raw: RawInvocation, invocation: str) -> None:
        """Refuse whoever calls from where no calls are taken, before a credential is looked at."""
        if self._blocks is None or not self._blocks(raw.project, raw.remote_address):
            return
        reason = "no call is taken from this address"
        self._record(raw, invocation, ANONYMOUS, reason, DenialKind.AUTHORIZATION)
        raise RefusedError(Outcome.DENIED, _NOT_ALLOWED, status=403)

    def _authenticate(self, raw: RawInvocation, invocation: str) -> Principal:
        if raw.caller is not None:
            return raw.caller.principal
        if raw.credential is None:
            return ANONYMOUS
        principal = self._accounts.authenticate(raw.credential, raw.checked)
        if principal is None:
            # A wrong token is refused even where none is needed: its owner should learn of it.
            self._record(raw, invocation, ANONYMOUS, "no valid token", DenialKind.AUTHENTICATION)
            raise RefusedError(Outcome.DENIED, _NO_CREDENTIAL)
        return principal

    def _inspect(self, request: Request, version: Version, principal: Principal) -> None:
        """Refuse an event that is hostile whatever the function does with it."""
        raw = request.raw
        contract = contract_text(version.spec, raw)
        for text in _texts(request):
            reason = reason_to_refuse(text, contract)
            if reason is not None:
                kind, number = DenialKind.INJECTION, version.number
                self._record(raw, request.id, principal, reason, kind, version=number)
                message = f"The event is refused: {reason}."
                raise RefusedError(
                    Outcome.INVALID,
                    message,
                    failure=Failure(type=HOSTILE_EVENT, message=message),
                    principal=principal,
                )

    def _refusal(
        self,
        raw: RawInvocation,
        invocation: str,
        principal: Principal,
        decided: Decision,
        action: Action,
        *,
        granted: bool,
    ) -> RefusedError:
        known = principal is not ANONYMOUS
        kind = DenialKind.AUTHORIZATION if known else DenialKind.AUTHENTICATION
        reason = decided.why if known else "no token"
        self._record(raw, invocation, principal, reason, kind, action=action)
        if known:
            why = _NOT_ALLOWED
            if principal.kind is PrincipalKind.TRIGGER and not granted:
                name = principal.id.rpartition("/")[2]
                why = f"The live version no longer declares the trigger {name}."
            return RefusedError(Outcome.DENIED, why, status=403, principal=principal)
        return RefusedError(Outcome.DENIED, _NO_CREDENTIAL)

    def _breach(
        self,
        raw: RawInvocation,
        invocation: str,
        principal: Principal,
        version: Version,
        broken: Violation,
    ) -> RefusedError:
        """Record what was broken, and where; the path has no name that the contract has not."""
        trigger = next((event.trigger for event in raw.events if event.trigger), raw.trigger)
        # The first alone: what breaks the same rule is counted together, whatever else it breaks.
        reason = f"{trigger}: {broken}"
        kind, number = DenialKind.CONTRACT, version.number
        self._record(raw, invocation, principal, reason, kind, version=number)
        message = (
            f"{_NO_CONTRACT}: {broken}; a contract of the function may allow more."
            if broken.is_default
            else f"{_BREACH}: {broken.all}."
        )
        failure = Failure(type=CONTRACT_BROKEN, message=message)
        return RefusedError(Outcome.INVALID, message, failure=failure, principal=principal)

    def _record(
        self,
        raw: RawInvocation,
        invocation: str,
        principal: Principal,
        reason: str,
        kind: DenialKind,
        *,
        version: int = 0,
        action: Action = Action.FUNCTION_INVOKE,
    ) -> None:
        self._happened(
            denied_at(
                FunctionPlace(raw.project, raw.function, version, invocation),
                at=time.time(),
                kind=kind,
                by=Actor(principal.text, raw.remote_address),
                action=action.value,
                reason=reason,
            )
        )


def _texts(request: Request) -> tuple[bytes, ...]:
    """Return all of a request that a function will see, as JSON."""
    if not request.raw.events:
        return (request.event,)
    return tuple(
        text
        for event in request.raw.events
        for text in (bytes(event.data), _encode((event.subject, event.detail)))
    )
