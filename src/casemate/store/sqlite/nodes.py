"""The nodes that share a store, in SQL. Whether one is there is told by the store's clock alone."""

from __future__ import annotations

from casemate.model.errors import ConflictError, NoNamedError
from casemate.model.nodes import GONE_SECONDS, MAX_CLOCK_OFF, Beat, ClusterNode, NodeState
from casemate.operations.nodes import (
    BeginNode,
    DrainNode,
    EndNode,
    KeepNode,
    ListNodes,
    Nodes,
    RemoveNode,
)
from casemate.operations.performing import DirectPerformers
from casemate.sqlite import engine
from casemate.store.errors import StoreGoneError
from casemate.store.sqlite.clock import now_of

MAX_NODES = 1000
_SELECT = """
    SELECT name, id, address, incarnation, version, started_at, seen_at, draining FROM node
    WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR name = ?2) ORDER BY name
"""
_ENDED = 0.0
"""When a node was seen that has said that it ends."""

performs = DirectPerformers()


@performs(ListNodes)
def nodes(connection: engine.Connection, _operation: ListNodes) -> Nodes:
    """Return every node, by name."""
    return Nodes(nodes=_found(connection))


@performs(DrainNode)
def drain(connection: engine.Connection, operation: DrainNode) -> ClusterNode:
    """Keep that a node is to take no calls, or that it may again. Raises NotFoundError."""
    connection.execute(
        "UPDATE node SET draining = ? WHERE name = ?", (int(not operation.undo), operation.name)
    )
    return _named(connection, operation.name)


@performs(RemoveNode)
def remove(connection: engine.Connection, operation: RemoveNode) -> None:
    """Forget a node that is gone. Raises NotFoundError, ConflictError for one that is there."""
    found = _named(connection, operation.name)
    if found.state is not NodeState.GONE:
        raise ConflictError(
            f"The node {found.name} is there: the store heard of it {found.silent:.0f} s ago.",
            next_step="Stop it first; then it is gone at once, or after "
            f"{GONE_SECONDS:.0f} s if it cannot say so.",
        )
    connection.execute("DELETE FROM node WHERE name = ?", (found.name,))


@performs(BeginNode)
def begin(connection: engine.Connection, operation: BeginNode) -> Beat:
    """Take a node's place, unless another has it, with the next incarnation of all."""
    if operation.alone:
        _require_newest(connection, operation)
        connection.execute("DELETE FROM node")
    _require_same_time(operation.clock, now_of(connection))
    mine = _one(connection, id=operation.id)
    if mine is not None:
        _require_same_folder(mine, operation)
    named = _one(connection, name=operation.name)
    if named is not None and named.id != operation.id:
        _require_free(named)
        connection.execute("DELETE FROM node WHERE name = ?", (named.name,))
    draining = mine is not None and mine.draining
    if mine is None:
        (count,) = connection.execute("SELECT count(*) FROM node").fetchone()
        if count >= MAX_NODES:
            raise ConflictError(
                f"There are {count} nodes, which is the most.",
                next_step="Remove those that are gone: casemate nodes ls",
            )
    else:
        connection.execute("DELETE FROM node WHERE id = ?", (operation.id,))
    connection.execute("UPDATE node_incarnation SET newest = newest + 1")
    (incarnation,) = connection.execute("SELECT newest FROM node_incarnation").fetchone()
    now = now_of(connection)
    connection.execute(
        "INSERT INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(operation.name, operation.id, operation.address, incarnation, operation.version),
            *(now, now, int(draining)),
        ),
    )
    return Beat(
        incarnation=incarnation,
        draining=draining,
        at=now,
        nodes=_taking_calls(connection, now, operation.id),
    )


@performs(KeepNode)
def keep(connection: engine.Connection, operation: KeepNode) -> Beat:
    """Note that a node was heard of. Raises ConflictError where it has lost its place."""
    changed = connection.execute(
        "UPDATE node SET seen_at = ?, address = ?, version = ? WHERE id = ? AND incarnation = ?",
        (
            *(now_of(connection), operation.address, operation.version),
            *(operation.id, operation.incarnation),
        ),
    ).rowcount
    if not changed:
        found = _one(connection, id=operation.id)
        told = (
            "it was removed"
            if found is None
            else f"the node {found.name} at {found.address} was started in its place"
        )
        raise ConflictError(
            f"This node is none any more: {told}.",
            next_step="Restart it. If its data folder is a copy, delete node.json in the copy.",
        )
    (draining,) = connection.execute(
        "SELECT draining FROM node WHERE id = ?", (operation.id,)
    ).fetchone()
    now = now_of(connection)
    return Beat(
        incarnation=operation.incarnation,
        draining=bool(draining),
        at=now,
        nodes=_taking_calls(connection, now, operation.id),
    )


@performs(EndNode)
def end(connection: engine.Connection, operation: EndNode) -> None:
    """Note that a node ends: it is gone at once."""
    connection.execute(
        "UPDATE node SET seen_at = ? WHERE id = ? AND incarnation = ?",
        (_ENDED, operation.id, operation.incarnation),
    )


def _taking_calls(connection: engine.Connection, now: float, own: str) -> int:
    (others,) = connection.execute(
        "SELECT count(*) FROM node WHERE id <> ? AND draining = 0 AND seen_at > ?",
        (own, now - GONE_SECONDS),
    ).fetchone()
    return int(others) + 1


def _require_newest(connection: engine.Connection, operation: BeginNode) -> None:
    """Refuse a store that has not seen the last start of this folder: an older one was put back.

    One that was just made has seen none; that a store is gone is told elsewhere. It counts on from
    there, so that it is never older than what remembers the last start.
    """
    (newest,) = connection.execute("SELECT newest FROM node_incarnation").fetchone()
    if newest >= operation.had:
        return
    if operation.accept_loss or not newest:
        connection.execute("UPDATE node_incarnation SET newest = ?", (operation.had,))
        return
    raise StoreGoneError(
        f"The store is an older copy: it has seen {newest} starts, and this node {operation.had}. "
        "What was deployed, revoked or held back since is not in it. Nothing was changed.",
        next_step="Put the newest store back, or restore a backup of the whole node. To go on with "
        "what is left: casemate serve --accept-loss store",
    )


def _require_same_time(clock: float, now: float) -> None:
    """Refuse a clock by which what is over would not be, or the other way round."""
    if not abs(clock - now) <= MAX_CLOCK_OFF:  # also where it is no number
        raise ConflictError(
            f"The node's clock is {clock - now:+.0f} s off that of the control store.",
            next_step="Set the clock, of the node or of the database's machine (NTP).",
        )


def _require_same_folder(mine: ClusterNode, operation: BeginNode) -> None:
    """Refuse a copy of a folder whose node is there."""
    restarted = mine.incarnation == operation.had and mine.address == operation.address
    if mine.state is NodeState.GONE or restarted:
        return
    raise ConflictError(
        f"The data folder is that of the node {mine.name} at {mine.address}, which is there.",
        next_step="A copy of it cannot be another node: start with an empty data folder. If this "
        f"is the same node, try again in {GONE_SECONDS:.0f} s.",
    )


def _require_free(named: ClusterNode) -> None:
    if named.state is not NodeState.GONE:
        raise ConflictError(
            f"There is a node {named.name} already, at {named.address}.",
            next_step="Give this one another name.",
        )


def _named(connection: engine.Connection, name: str) -> ClusterNode:
    found = _one(connection, name=name)
    if found is None:
        raise NoNamedError(
            "node",
            name,
            f"There is no node {name[:80]!r}.",
            next_step="`casemate nodes ls` lists them.",
        )
    return found


def _one(
    connection: engine.Connection, *, id: str | None = None, name: str | None = None
) -> ClusterNode | None:
    return next(iter(_found(connection, id, name)), None)


def _found(
    connection: engine.Connection, id: str | None = None, name: str | None = None
) -> tuple[ClusterNode, ...]:
    """Return those of an id and a name; None: of any."""
    now = now_of(connection)
    rows = connection.execute(_SELECT, (id, name))
    return tuple(
        ClusterNode(
            name=name,
            id=id,
            address=address,
            incarnation=incarnation,
            version=version,
            started_at=started_at,
            seen_at=seen_at,
            silent=max(0.0, now - seen_at) if seen_at > _ENDED else GONE_SECONDS,
            state=_state(now - seen_at, draining=bool(draining)),
            draining=bool(draining),
        )
        for name, id, address, incarnation, version, started_at, seen_at, draining in rows
    )


def _state(silent: float, *, draining: bool) -> NodeState:
    if silent >= GONE_SECONDS:
        return NodeState.GONE
    return NodeState.DRAINING if draining else NodeState.UP
