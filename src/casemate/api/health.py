"""How a node is, as it is told."""

from __future__ import annotations

import time

import msgspec


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


def nothing_known() -> NodeHealth:
    """Return the health of a node of which no part is looked at."""
    return NodeHealth(ok=True, ready=True, checked_at=time.time(), parts=())
