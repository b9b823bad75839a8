"""Operations on baselines."""

from __future__ import annotations

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.baseline import Baseline
from casemate.operations import baselines
from casemate.operations.baselines import LockBaseline, ResetBaseline, ShowBaseline

performs = Performers()


@performs(ShowBaseline)
async def _show(wanted: ShowBaseline, call: Call) -> Baseline:
    return call.service.baselines.shown(wanted.project, wanted.function)


@performs(LockBaseline)
async def _lock(wanted: LockBaseline, call: Call) -> Baseline:
    by = call.principal.text
    return await call.service.baselines.lock(wanted.project, wanted.function, by)


@performs(ResetBaseline)
async def _reset(wanted: ResetBaseline, call: Call) -> Baseline:
    return await call.service.baselines.reset(wanted.project, wanted.function)


OPERATIONS = all_served(baselines, performs)
