"""How a node is, as it is told."""

from __future__ import annotations

import msgspec

from casemate.model.caps import Caps
from casemate.model.protection import ProtectionStatus


class PartHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one part is."""

    name: str
    ok: bool
    detail: str = ""
    """What is wrong; empty if nothing is."""


class NodeHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the node's parts were when they were last looked at, a few seconds ago."""

    ok: bool
    """Whether all parts are well."""
    ready: bool
    """Whether the node can serve at all: those parts are well that every call needs."""
    checked_at: float
    """Unix seconds."""
    parts: tuple[PartHealth, ...]


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the node is. Sizes are bytes, times Unix seconds."""

    version: str
    started_at: float
    protections: tuple[ProtectionStatus, ...]
    pythons: tuple[str, ...]
    """Full versions of the interpreters functions can run on."""
    memory_total: int
    """Memory the node may give to instances."""
    memory_reserved: int
    """Memory that the limits of the living instances add up to."""
    cpus: float
    functions: int
    zygotes: int
    instances: int
    """Processes that serve an invocation now."""
    spares: int
    """Processes that wait for one."""
    queued: int
    lost_records: int
    """Records of invocations that could not be written since the start."""
    memory_resting: int = 0
    """Memory that functions hold which are at rest: kept for their next call, needed by none."""
    memory_resting_most: int | None = None
    """What they may hold together; the cheapest to start again go then."""
    caps: Caps | None = None
    """What the manifest of no function may exceed."""
