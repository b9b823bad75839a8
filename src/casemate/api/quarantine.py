"""Operations on quarantine."""

from __future__ import annotations

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.deployment import Quarantine
from casemate.operations import quarantine
from casemate.operations.quarantine import QuarantineFunction, ReleaseFunction

performs = Performers()


@performs(QuarantineFunction)
async def _quarantine(operation: QuarantineFunction, call: Call) -> Quarantine:
    return await call.service.control.quarantine(operation, by=call.actor)


@performs(ReleaseFunction)
async def _release(operation: ReleaseFunction, call: Call) -> Quarantine:
    return await call.service.control.release(operation, by=call.actor)


OPERATIONS = all_served(quarantine, performs)
