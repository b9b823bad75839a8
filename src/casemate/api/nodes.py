"""Operations on the nodes that share a control store."""

from __future__ import annotations

import time
from typing import Any

from msgspec.structs import replace

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.errors import ConflictError
from casemate.model.nodes import MAX_CLOCK_OFF, ClusterNode, NodeState, OtherJournal, ProjectPlace
from casemate.operations import nodes
from casemate.operations.nodes import DrainNode, ListNodes, Nodes, PlaceProject, RemoveNode

LATE_SECONDS = 45.0
"""A node that is there says every 15 s that it has nothing to tell."""
performs = Performers()


@performs(ListNodes)
async def _list(_operation: ListNodes, call: Call) -> Nodes:
    found = (await call.service.nodes.membership.list()).nodes
    journals = {one.node: one for one in call.service.journals()}
    there = sorted(one.id for one in found if one.state is NodeState.UP)
    own = call.service.nodes.membership.id
    return Nodes(
        nodes=tuple(
            replace(
                one,
                asked=one.id == own,
                first=there[:1] == [one.id],
                **_told(one, journals.get(one.name), asked=one.id == own),
            )
            for one in found
        ),
        databases=tuple(call.service.databases()),
    )


def _told(one: ClusterNode, journal: OtherJournal | None, *, asked: bool) -> dict[str, Any]:
    """Return what is known here of what a node has told."""
    if asked:
        return {}
    if journal is None:
        return {"problem": "it has told nothing of its records yet"}
    problem = journal.problem
    late = time.time() - journal.until
    if not problem and one.state is not NodeState.GONE and late > LATE_SECONDS:
        problem = f"its newest records here are {late:.0f} s old"
    if not problem and -late > MAX_CLOCK_OFF:
        problem = f"its clock is {-late:.0f} s ahead of that of the node that answers"
    return {"told_until": journal.until, "entries": journal.entries, "problem": problem}


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
            next_step="See docs/howto/run-many-nodes.md, which says how nodes share some.",
        )
    return await place(operation.project, operation.database)


OPERATIONS = all_served(nodes, performs)
