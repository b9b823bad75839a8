"""A protection of a node, and whether it holds on its host."""

from __future__ import annotations

import msgspec


class ProtectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One protection as probed on the node's host."""

    name: str
    holds: bool
    required: bool
    """True if the node refuses to start without it."""
    accepted: bool = False
    """True if the operator accepted the risk of going without it."""
    detail: str = ""
