"""Operations on decoys."""

from __future__ import annotations

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.decoy import DecoyState
from casemate.operations import decoys
from casemate.operations.decoys import (
    DecoyList,
    DisableDecoy,
    EnableDecoy,
    ListDecoys,
    RotateDecoys,
)

performs = Performers()


@performs(ListDecoys)
async def _list(wanted: ListDecoys, call: Call) -> DecoyList:
    return DecoyList(decoys=call.service.decoys.states(wanted.project))


@performs(RotateDecoys)
async def _rotate(wanted: RotateDecoys, call: Call) -> DecoyList:
    return DecoyList(decoys=await call.service.decoys.rotate(wanted.project))


@performs(DisableDecoy)
async def _disable(wanted: DisableDecoy, call: Call) -> DecoyState:
    return await call.service.decoys.set(wanted.project, wanted.kind, wanted.reason, call.actor)


@performs(EnableDecoy)
async def _enable(wanted: EnableDecoy, call: Call) -> DecoyState:
    return await call.service.decoys.set(wanted.project, wanted.kind, None, call.actor)


OPERATIONS = all_served(decoys, performs)
