"""Operations on the nodes that share a control store: list, drain, remove, and be among them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.nodes import Beat, ClusterNode, NodeState, ProjectDatabase, ProjectPlace
from casemate.model.principal import Action
from casemate.operations.declaration import Decided, Declaration, Operation
from casemate.operations.fields import Name, text, whole
from casemate.operations.given import Given

MAX_NAME = 63
"""Characters of a node's name, as of a host's."""
NODE_NAME = rf"^[A-Za-z0-9]([A-Za-z0-9.-]{{0,{MAX_NAME - 2}}}[A-Za-z0-9])?$"
_Named = Annotated[
    str,
    msgspec.Meta(
        description="A node's name, as `casemate nodes ls` shows it.",
        pattern=whole(NODE_NAME),
        max_length=MAX_NAME,
        examples=["node-1"],
    ),
]
_Name = Annotated[_Named, Given(argument=True, metavar="NAME")]
OnlyNode = Annotated[
    _Named,
    msgspec.Meta(description="Only this node of those that share their state."),
    Given(metavar="NAME"),
]
_SHOWN = ClusterNode(
    name="node-1",
    id="9f2c51aa03b1e7d49f2c51aa03b1e7d4",
    address="https://10.0.0.4:8443",
    incarnation=7,
    version="1.0.0",
    started_at=1764201700.0,
    seen_at=1764205300.0,
    silent=1.2,
    state=NodeState.UP,
)

_DATABASE = ProjectDatabase(name="main", projects=12)


class Nodes(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes, by name."""

    nodes: tuple[ClusterNode, ...]
    databases: tuple[ProjectDatabase, ...] = ()
    """Where projects live, as the node that is asked sees it; empty for a node alone."""


class ListNodes(Operation[Nodes], frozen=True, kw_only=True):
    """List the nodes that share the control store, and the databases of projects."""

    declared = Declaration(
        http="GET /nodes",
        tag="node",
        action=Action.NODE_LIST,
        answer=Nodes(nodes=(_SHOWN,), databases=(_DATABASE,)),
    )


class DrainNode(Operation[ClusterNode], frozen=True, kw_only=True):
    """Let a node take no new calls and events, and finish the running ones.

    This survives restarts, until it is undone. It is refused if there is only one node.
    """

    declared = Declaration(
        http="POST /nodes/{name}/drain",
        tag="node",
        action=Action.NODE_DRAIN,
        problems=(404, 409, 413, 415, 422),
        body_optional=True,
        answer=_SHOWN,
    )
    name: _Name
    undo: Annotated[
        bool, msgspec.Meta(description="Let it take calls and events again."), Given()
    ] = False


class RemoveNode(Operation[None], frozen=True, kw_only=True):
    """Remove a node that is gone. If it comes back, it is a new one of the same name."""

    declared = Declaration(
        http="DELETE /nodes/{name}",
        tag="node",
        action=Action.NODE_REMOVE,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 409),
    )
    name: _Name


class PlaceProject(Operation[ProjectPlace], frozen=True, kw_only=True):
    """Move a project to a database. The project is not served meanwhile.

    Asking again continues a move that was interrupted. Asking for the former database goes back.
    """

    declared = Declaration(
        http="POST /nodes/databases/{database}/place",
        tag="node",
        action=Action.NODE_PLACE,
        problems=(404, 409, 413, 415, 422, 503),
        answer=ProjectPlace(project="shop", database="west", moves=1),
    )
    project: Annotated[Name, Given(argument=True)]
    database: Annotated[
        Name,
        msgspec.Meta(description="A database, as `casemate nodes ls` shows it.", examples=["west"]),
        Given(argument=True),
    ]


class BeginNode(Operation[Beat], frozen=True, kw_only=True):
    """Be a node from now on: the answer has the incarnation of this start.

    ConflictError if the id or the name is that of another node that is there, or the clock is far
    off that of the store; StoreGoneError if a newer store was in the place of one that is alone.
    """

    declared = Declaration(decided=Decided.INSIDE)
    id: str
    name: Annotated[str, text("The name.", least=1, most=MAX_NAME)]
    address: str
    version: str
    had: int
    """The incarnation of this folder's last start, 0 before the first: by `node.json`, or by the
    vault of a node that is alone if that has seen a newer one."""
    clock: float
    """Unix time by the node's clock."""
    alone: bool = False
    """No other node can have the store: its file is locked."""
    accept_loss: bool = False
    """Go on with a store that is older than the folder's last start."""


class KeepNode(Operation[Beat], frozen=True, kw_only=True):
    """Say that a node is there. ConflictError if another was begun in its place."""

    declared = Declaration(decided=Decided.INSIDE)
    id: str
    incarnation: int
    address: str
    version: str


class EndNode(Operation[None], frozen=True, kw_only=True):
    """Say that a node ends now. Nothing happens if another was begun in its place."""

    declared = Declaration(decided=Decided.INSIDE)
    id: str
    incarnation: int
