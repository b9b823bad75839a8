"""All that the rules look at: what a node is at one moment, without a secret.

There may be many of some of these: the collector need not look at them (`gc=False`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from casemate.model.node import PartHealth
from casemate.model.nodes import ClusterNode
from casemate.model.principal import RoleBinding
from casemate.model.protection import ProtectionStatus


class TokenState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A service token in force."""

    id: str
    name: str
    created_at: float
    created_by: str
    maker_gone: bool
    """Whether it was made by a person who is not let in any more."""
    expires_at: float | None
    used_at: float | None
    bindings: tuple[RoleBinding, ...]


class PersonState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A person who is not disabled."""

    name: str
    created_at: float
    bindings: tuple[RoleBinding, ...]
    can_get_in: bool
    code_until: float | None
    """Until when a one-time code can be used."""
    seen_at: float | None


class WorkloadState(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline that is trusted."""

    name: str
    issuer: str
    created_at: float
    bindings: tuple[RoleBinding, ...]
    seen_at: float | None


class KeyState(msgspec.Struct, frozen=True, kw_only=True):
    """A builder's key that counts."""

    id: str
    principal: str
    principal_gone: bool


class FunctionState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A function that has a live version."""

    project: str
    name: str
    version: int
    deployed_at: float
    python: str | None
    public: bool
    quarantined: str = ""
    """Why; empty: it is not."""
    exceptions: tuple[str, ...] = ()
    """What its manifest goes without, each with why."""
    unused: tuple[str, ...] | None = ()
    """Grants that the live version has never used; None: that was not looked at."""
    vouched: bool = True
    """False: for its bundle nobody vouches but the node itself."""

    @property
    def text(self) -> str:
        """Project and name."""
        return f"{self.project}/{self.name}"


class ExceptionState(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded exception of the gate."""

    id: str
    project: str
    function: str
    what: str
    reason: str
    by: str
    expires_at: float


class HoleState(msgspec.Struct, frozen=True, kw_only=True):
    """A known hole, which a deploy would be refused for, in a live function."""

    project: str
    function: str
    id: str
    package: str
    grave: bool
    """Malicious, or known to be exploited."""


class LicenceState(msgspec.Struct, frozen=True, kw_only=True):
    """A licence, which a deploy would be refused for, in a live function."""

    project: str
    function: str
    package: str
    id: str


class DecoyOff(msgspec.Struct, frozen=True, kw_only=True):
    """A decoy that is off."""

    project: str
    kind: str
    reason: str
    by: str


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody touched decoys."""

    project: str
    by: str
    at: float


class Outlet(msgspec.Struct, frozen=True, kw_only=True):
    """A place outside to which something is sent."""

    name: str
    problem: str
    at: float = 0.0
    """When something was taken last; 0: not told."""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of which nobody is told for a time."""

    rule: str
    until: float
    reason: str
    by: str


class HostState(msgspec.Struct, frozen=True, kw_only=True):
    """How something of the host stands."""

    name: str
    state: str
    """`good`, `soon`, `ended` or `unknown`."""
    detail: str


class ReviewState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Rights of one that are to be looked at, or were looked at by itself alone."""

    id: str
    kind: str
    project: str
    """Empty: they are of several, or of the node."""
    due: float
    own: bool


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the node was started, and on what address it answers."""

    address: str
    loopback: bool
    started_at: float = 0.0
    """When the node was started."""
    tls: bool
    certificate_ends: float | None = None
    learn: bool = False
    accepted_risks: tuple[str, ...] = ()
    accepted_losses: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    protections: tuple[ProtectionStatus, ...] = ()


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is. None stands for what could not be examined, and `notes` say why."""

    now: float
    settings: Settings
    tokens: tuple[TokenState, ...] | None = None
    people: tuple[PersonState, ...] | None = None
    workloads: tuple[WorkloadState, ...] | None = None
    keys: tuple[KeyState, ...] | None = None
    roles: frozenset[str] | None = None
    """That exist."""
    own_roles: frozenset[str] = frozenset()
    """Those of them that policy files of the node make."""
    functions: tuple[FunctionState, ...] | None = None
    pythons: tuple[tuple[str, float], ...] | None = None
    """Minor versions that functions run on, with when they end."""
    exceptions: tuple[ExceptionState, ...] | None = None
    holes: tuple[HoleState, ...] | None = None
    licences: tuple[LicenceState, ...] | None = None
    advisory_problems: tuple[str, ...] | None = None
    decoys_off: tuple[DecoyOff, ...] | None = None
    touches: tuple[Touch, ...] | None = None
    """Of the last 30 days."""
    backup_at: float | None = None
    """When one was fetched whole last; 0: never. None: not known."""
    clock_behind: float | None = None
    """Seconds by which the clock is behind what it was."""
    clock_synchronised: bool | None = None
    disk_free: int | None = None
    disk_total: int = 0
    parts: tuple[PartHealth, ...] | None = None
    checked_at: float | None = None
    """When all that is kept was checked last; 0: not since the start."""
    data_keys_at: float | None = None
    memory_locked: bool | None = None
    channels: tuple[Outlet, ...] | None = None
    silences: tuple[Silence, ...] | None = None
    places: tuple[Outlet, ...] | None = None
    """To which checkpoints of the journal are sent."""
    exports: tuple[Outlet, ...] | None = None
    hosts: tuple[HostState, ...] | None = None
    reviews: tuple[ReviewState, ...] | None = None
    review_days: int = 90
    versions: dict[str, str] = {}
    nodes: tuple[ClusterNode, ...] | None = None
    """Those that share the control store; None where it is this node's alone."""
    notes: tuple[str, ...] = ()


def changed(state: NodeState, **parts: Any) -> NodeState:
    """Return a state with other parts."""
    return msgspec.structs.replace(state, **parts)
