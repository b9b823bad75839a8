"""Records of what was tried and not allowed, and of what was allowed and used."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from casemate.model.grant import Grant


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
    VAULT = "vault"
    CONTRACT = "contract"
    """An event whose data breaks its contract, or the default limits where there is none."""
    INJECTION = "injection"
    """Data of an event that would have changed what an interpreter in a function was given."""
    LOAD = "load"
    """Calls for which there was no room, beyond the first of each second, which have records."""


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """One denied attempt, or many alike. Never holds a payload or a secret."""

    at: float
    """Unix time of the first in seconds."""
    kind: DenialKind
    principal: str
    """As `Principal.text`; `anonymous:public` for a caller without credentials."""
    action: str
    resource: str
    reason: str
    project: str = ""
    function: str = ""
    version: int = 0
    invocation: str = ""
    remote_address: str = ""
    count: int = 1
    """How many alike this one record stands for, when they came too fast to record each."""


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


class GrantApproval(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody let a version have more than the one before."""

    project: str
    function: str
    version: int
    added: tuple[Grant, ...]
    by: str
    at: float
