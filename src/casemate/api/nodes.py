"""Operations on the nodes that share a control store."""

from __future__ import annotations

import msgspec

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.errors import ConflictError
from casemate.model.nodes import ClusterNode, ProjectPlace
from casemate.operations import nodes
from casemate.operations.nodes import DrainNode, ListNodes, Nodes, PlaceProject, RemoveNode

performs = Performers()


@performs(ListNodes)
async def _list(_operation: ListNodes, call: Call) -> Nodes:
    found = await call.service.nodes.membership.list()
    return msgspec.structs.replace(found, databases=tuple(call.service.databases()))


@performs(DrainNode)
async def _drain(operation: DrainNode, call: Call) -> ClusterNode:
    return await call.service.nodes.membership.drain(operation)


@performs(RemoveNode)
async def _remove(operation: RemoveNode, call: Call) -> None:
    await call.service.nodes.membership.remove(operation)


@performs(PlaceProject)
async def _place(operation: PlaceProject, call: Call) -> ProjectPlace:
    place = call.service.place_project
    if place is None:
        raise ConflictError(
            "This node has the data of projects itself, and no databases of them.",
            next_step="docs/howto/run-many-nodes.md says how nodes share some.",
        )
    return await place(operation.project, operation.database)


OPERATIONS = all_served(nodes, performs)
