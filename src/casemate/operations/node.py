"""Operations on the node itself: whether it is well, how it is, what it can be asked."""

from __future__ import annotations

from typing import Any

import msgspec

from casemate.model import node
from casemate.model.principal import Action
from casemate.operations.declaration import Decided, Declaration, Effect, Operation


class Wellbeing(msgspec.Struct, frozen=True, kw_only=True):
    """Says that the node answers, and whether all is well; what is not is for the operator."""

    status: str
    """`ok` or `not ok`."""
    version: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Says whether the node can serve."""

    ready: bool


class Health(Operation[Wellbeing], frozen=True, kw_only=True):
    """Tell whether the node answers and is healthy; needs no credential."""

    declared = Declaration(http="GET /health", tag="node", decided=Decided.OPEN)


class Ready(Operation[Readiness], frozen=True, kw_only=True):
    """Tell whether the node can serve, with 503 if it cannot; needs no credential."""

    declared = Declaration(http="GET /ready", tag="node", decided=Decided.OPEN)


class NodeHealth(Operation[node.NodeHealth], frozen=True, kw_only=True):
    """Show the health of each part of the node."""

    declared = Declaration(http="GET /node/health", tag="node", action=Action.NODE_READ)


class NodeStatus(Operation[node.NodeStatus], frozen=True, kw_only=True):
    """Show the node's protections, capacity and load."""

    declared = Declaration(http="GET /node", tag="node", action=Action.NODE_READ)


class Openapi(Operation[dict[str, Any]], frozen=True, kw_only=True):
    """Return this description."""

    declared = Declaration(http="GET /openapi.json", tag="node", decided=Decided.CREDENTIAL)


class ReadNodeValue(Operation[bytes | None], frozen=True, kw_only=True):
    """Return a small value that the node keeps for itself, such as a certificate."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    name: str


class ReadNodeValues(Operation[tuple[bytes | None, ...]], frozen=True, kw_only=True):
    """Return several such values, as they are at one moment; None for each that is not there.

    To ask for one after the other takes a hundred times as long: each is a turn of a thread.
    """

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    names: tuple[str, ...]


class KeepNodeValue(Operation[None], frozen=True, kw_only=True):
    """Keep a small value of the node itself."""

    declared = Declaration(decided=Decided.INSIDE, secret=frozenset({"value", "was"}))
    name: str
    value: bytes
    was: bytes | None = None
    """SHA-256 of what it is made from, empty where there was nothing: it is kept only if that is
    still there (StoreMovedError else). None: whatever is there."""
