"""The operations that check all that a node keeps."""

from __future__ import annotations

import msgspec

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.integrity import CheckFinding, CheckReport
from casemate.model.principal import Action, Resource, ResourceKind
from casemate.operations import check

performs = Performers()
_SHOWS_KEYS = {
    "bucket": (ResourceKind.BUCKET, Action.BUCKET_LIST),
    "table": (ResourceKind.TABLE, Action.TABLE_QUERY),
}
"""What somebody has to be allowed to see which keys there are."""


def _shown(report: CheckReport, call: Call) -> CheckReport:
    """Return a report without the keys that who asks may not see."""
    findings = tuple(
        each if not each.key or _may_see(each, call) else msgspec.structs.replace(each, key="")
        for each in report.findings
    )
    return msgspec.structs.replace(report, findings=findings)


def _may_see(finding: CheckFinding, call: Call) -> bool:
    if finding.kind not in _SHOWS_KEYS:
        return False
    kind, action = _SHOWS_KEYS[finding.kind]
    project = finding.place.removeprefix("data/")
    return call.may(action, Resource(kind=kind, project=project, name=finding.name))


@performs(check.CheckReport)
async def _report(_operation: check.CheckReport, call: Call) -> CheckReport:
    return _shown(call.service.checks.report(), call)


@performs(check.StartCheck)
async def _start(_operation: check.StartCheck, call: Call) -> CheckReport:
    return _shown(call.service.checks.start(), call)


OPERATIONS = all_served(check, performs)
