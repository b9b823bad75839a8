"""The operations that check all that a node keeps."""

from __future__ import annotations

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.integrity import CheckReport
from casemate.operations import check

performs = Performers()


@performs(check.CheckReport)
async def _report(_operation: check.CheckReport, call: Call) -> CheckReport:
    return call.service.checks.report()


@performs(check.StartCheck)
async def _start(_operation: check.StartCheck, call: Call) -> CheckReport:
    return call.service.checks.start()


OPERATIONS = all_served(check, performs)
