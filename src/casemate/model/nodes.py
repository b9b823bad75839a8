"""The nodes that share a control store: who they are, and how each stands."""

from __future__ import annotations

from enum import StrEnum

import msgspec

GONE_SECONDS = 15.0
"""A node that the store has not heard of for so long is gone."""

MAX_CLOCK_OFF = 60.0
"""Seconds that a node's clock may be off that of the store."""


class NodeState(StrEnum):
    """How a node stands, by what the store has heard of it."""

    UP = "up"
    DRAINING = "draining"
    GONE = "gone"


class ClusterNode(msgspec.Struct, frozen=True, kw_only=True):
    """One node. All times are by the clock of the store, none by that of a node."""

    name: str
    id: str
    """Random, kept in the node's data folder."""
    address: str
    incarnation: int
    """Another one at each start, of all nodes together the highest so far."""
    version: str
    """Of Casemate."""
    started_at: float
    seen_at: float
    silent: float
    """Seconds since the store heard of it."""
    state: NodeState
    draining: bool = False
    """It is to take no calls, whether it is there or not."""
    asked: bool = False
    """It is the one that answers."""
    first: bool = False
    """It does what one node alone has to do, such as telling people first."""
    told_until: float | None = None
    """Unix time, by its own clock, up to which its records are here; None: it has told nothing, or
    is the one that answers."""
    entries: int | None = None
    """Of its journal, by the newest head that is known here."""
    problem: str = ""
    """What of its journal or records is in doubt, or is not told here for too long."""


class ProjectDatabase(msgspec.Struct, frozen=True, kw_only=True):
    """One of the databases in which projects live, as the node that is asked sees it."""

    name: str
    projects: int
    """How many live there."""
    moving: int = 0
    """How many of them are being moved to another one, and are not served until that is done."""
    problem: str = ""
    """Why its projects wait; empty: they do not."""


class ProjectPlace(msgspec.Struct, frozen=True, kw_only=True):
    """In which database a project lives."""

    project: str
    database: str
    moving_to: str = ""
    """Where it is being moved to, or back to; it is not served until that is done."""
    moves: int = 0
    """How often it was moved."""


class RecordsBehind(msgspec.Struct, frozen=True, kw_only=True):
    """A node whose newest records are not in an answer: it is gone, or cannot be read."""

    node: str
    until: float
    """Unix time up to which its records are here, by its own clock."""


class OtherJournal(msgspec.Struct, frozen=True, kw_only=True):
    """The journal of another node, of which each head was verified to go on from the one before."""

    node: str
    entries: int
    """Of the newest head that is known here."""
    until: float
    """Unix time of what the node told last."""
    problem: str = ""
    """Why its journal or records are in doubt, as it was found last; empty: they never were."""
    problem_at: float = 0.0


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """What the store answers a node that says that it is there."""

    incarnation: int
    draining: bool
    at: float
    """Unix time by the store's clock."""
    nodes: int = 1
    """How many take calls, this one counted whether it does or not."""


class StoreChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed in a control store since a revision of it."""

    revision: int
    topics: frozenset[str] | None
    """Names of tables, and of values without the number of their part; None: anything may have,
    for the store is at an earlier revision than was asked about."""
