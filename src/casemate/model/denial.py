"""Records of what was tried and not allowed, and of what was allowed and used."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from casemate.model.asked_path import asked_path
from casemate.model.facts import NOT_BY_NETWORK, Accountable, Actor, FunctionPlace
from casemate.model.grant import Grant
from casemate.model.principal import PrincipalKind, Resource, ResourceKind


class DenialKind(StrEnum):
    """Where something was denied."""

    REQUEST = "request"
    """What is no well-formed request, or breaks a limit; nobody was asked who it is from."""
    AUTHENTICATION = "authentication"
    AUTHORIZATION = "authorization"
    CAPABILITY = "capability"
    EGRESS = "egress"
    SYSTEM_CALL = "system-call"
    GRANTS = "grants"
    """A deploy that would have widened what a function is granted."""
    SIGNATURE = "signature"
    """A deploy of a bundle for which nobody vouches that would have to."""
    VAULT = "vault"
    CONTRACT = "contract"
    """An event whose data breaks its contract, or the default limits where there is none."""
    INJECTION = "injection"
    """Data of an event that would have changed what an interpreter in a function was given."""
    PACKAGE = "package"
    """What a package of others was not let do in a function, by its manifest."""
    ADVISORIES = "advisories"
    """A deploy of packages with known holes, or that could not be looked up."""
    LICENCE = "licence"
    """A deploy of packages under licences that the node's rules do not allow."""
    LOAD = "load"
    """Calls for which there was no room, beyond the first of each second, which have records."""


class Denial(Accountable, frozen=True, kw_only=True, rename={"by": "principal"}):
    """One denied attempt, or many alike. Never holds a payload or a secret.

    Made by one of the functions below, each of which asks for all that its kind of place knows.
    """

    by: str
    """As `Principal.text`; `anonymous:public` for a caller without credentials."""
    kind: DenialKind
    action: str
    resource: str
    reason: str
    count: int = 1
    """How many alike this one record stands for, when they came too fast to record each."""
    node: str = ""
    """The name of the node that it was on, where several share their state."""

    @property
    def principal(self) -> str:
        """Who was denied something: the name that `by` has in records and answers."""
        return self.by


def denied_on(
    resource: Resource,
    *,
    at: float,
    kind: DenialKind,
    by: Actor,
    action: str,
    reason: str,
    count: int = 1,
    path: str = "",
) -> Denial:
    """Return that somebody was refused something by the node itself, such as its API.

    `path` is what was asked for, where that is all that is known of it.
    """
    return Denial(
        at=at,
        by=by.principal,
        remote_address=by.remote_address,
        project=resource.project,
        function=resource.name if resource.kind is ResourceKind.FUNCTION else "",
        kind=kind,
        action=action,
        resource=f"path:{asked_path(path)}" if path else resource.text,
        reason=reason,
        count=count,
    )


def denied_at(
    function: FunctionPlace,
    *,
    at: float,
    kind: DenialKind,
    by: Actor,
    action: str,
    reason: str,
    resource: str = "",
    count: int = 1,
) -> Denial:
    """Return that somebody was refused something of a function: a call, a deploy, an event.

    Without `resource` it is the function itself.
    """
    return Denial(
        at=at,
        by=by.principal,
        remote_address=by.remote_address,
        project=function.project,
        function=function.function,
        version=function.version,
        invocation=function.invocation,
        kind=kind,
        action=action,
        resource=resource or f"function:{function.project}/{function.function}",
        reason=reason,
        count=count,
    )


def denied_to(
    function: FunctionPlace,
    *,
    at: float,
    kind: DenialKind,
    action: str,
    resource: str,
    reason: str,
    count: int = 1,
) -> Denial:
    """Return that a function was refused something while it ran."""
    principal = f"{PrincipalKind.FUNCTION.value}:{function.project}/{function.function}"
    return denied_at(
        function,
        at=at,
        kind=kind,
        by=Actor(principal, NOT_BY_NETWORK),
        action=action,
        resource=resource,
        reason=reason,
        count=count,
    )


class GrantUse(msgspec.Struct, frozen=True, kw_only=True):
    """That one version used one action of one grant, and how often."""

    project: str
    function: str
    version: int
    grant: str
    """As `Grant.text`."""
    action: str
    prefix: str = ""
    """Buckets: the granted prefix under which the key was; empty if the grant has none."""
    first_at: float
    last_at: float
    count: int


class PackageUse(msgspec.Struct, frozen=True, kw_only=True):
    """That a package did one kind of thing in a version, and how often."""

    package: str
    act: str
    first_at: float
    last_at: float
    count: int


class GrantApproval(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody let a version have more than the one before."""

    project: str
    function: str
    version: int
    added: tuple[Grant, ...]
    by: str
    at: float
