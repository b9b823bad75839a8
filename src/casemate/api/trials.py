"""Operations on trials of versions."""

from __future__ import annotations

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.deployment import Alias
from casemate.operations import trials
from casemate.operations.trials import EndTrial, StartTrial

performs = Performers()


@performs(StartTrial)
async def _start(operation: StartTrial, call: Call) -> Alias:
    approve = call.may_approve(operation.project, operation.function)
    return await call.service.control.start_trial(operation, approve=approve, by=call.actor)


@performs(EndTrial)
async def _end(operation: EndTrial, call: Call) -> Alias:
    return await call.service.control.end_trial(operation, by=call.actor)


OPERATIONS = all_served(trials, performs)
