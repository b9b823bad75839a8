"""Operations on findings, channels of alerts and silences."""

from __future__ import annotations

import time

from msgspec.structs import replace

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.response_facts import AlertsSilenced
from casemate.model.still import require_still
from casemate.monitor.errors import MonitorUnavailableError
from casemate.operations import findings
from casemate.operations.findings import (
    NEVER_SILENT,
    AlertChannels,
    AlertSilences,
    AlertTest,
    Finding,
    FindingPage,
    ListAlertChannels,
    ListAlertSilences,
    ListFindings,
    ListOnCall,
    OnCallShifts,
    PagePeople,
    ShowFinding,
    SilenceAlerts,
    TestAlertChannel,
)

performs = Performers()


@performs(ListFindings)
async def _list(wanted: ListFindings, call: Call) -> FindingPage:
    page = await call.service.monitor.findings(wanted)
    if wanted.rule is not None and wanted.before is None and not page.findings:
        await _require_rule(wanted.rule, call)  # nothing found by no rule would be believed
    return replace(page, findings=tuple(_with_node(each, call) for each in page.findings))


@performs(ShowFinding)
async def _show(wanted: ShowFinding, call: Call) -> Finding:
    found = await call.service.monitor.finding(wanted.id)
    if wanted.project is not None and found.project != wanted.project:
        raise wanted.missing
    return _with_node(found, call)


def _with_node(found: Finding, call: Call) -> Finding:
    return found if found.node else replace(found, node=call.service.nodes.name)


@performs(ListAlertChannels)
async def _channels(_wanted: ListAlertChannels, call: Call) -> AlertChannels:
    found = await call.service.monitor.alerts()
    return AlertChannels(channels=found.channels, signs_of_life=found.signs_of_life)


@performs(TestAlertChannel)
async def _test(wanted: TestAlertChannel, call: Call) -> AlertTest:
    problem = await call.service.monitor.test(wanted.channel)
    return AlertTest(channel=wanted.channel, problem=problem)


async def _require_rule(name: str, call: Call) -> None:
    """Raise NotFoundError unless the monitor has a rule of that name."""
    if not await call.service.monitor.has_rule(name):
        raise NotFoundError(
            f"There is no rule {name}.", next_step="`casemate detect ls` shows the names."
        )


@performs(SilenceAlerts)
async def _silence(wanted: SilenceAlerts, call: Call) -> None:
    if wanted.rule == NEVER_SILENT:
        raise ConflictError(
            f"{NEVER_SILENT} finds silences, and cannot be silenced itself.",
            next_step="Silence the rules whose findings are known, each by its name.",
        )
    try:
        await _require_rule(wanted.rule, call)
    except MonitorUnavailableError:
        if wanted.seconds:
            raise  # to end a silence hides nothing, whatever its name
    require_still()  # the monitor may be slow
    call.service.facts.happened(
        AlertsSilenced(
            at=time.time(),
            by=call.actor.principal,
            remote_address=call.actor.remote_address,
            rule=wanted.rule,
            seconds=wanted.seconds,
            reason=wanted.reason,
        )
    )


@performs(ListOnCall)
async def _on_call(wanted: ListOnCall, call: Call) -> OnCallShifts:
    return OnCallShifts(shifts=await call.service.monitor.on_call(wanted.days))


@performs(PagePeople)
async def _page(wanted: PagePeople, call: Call) -> None:
    await call.service.paging.page(wanted.to, wanted.message, call.actor)


@performs(ListAlertSilences)
async def _silences(_wanted: ListAlertSilences, call: Call) -> AlertSilences:
    found = await call.service.monitor.alerts()
    return AlertSilences(silences=found.silences)


OPERATIONS = all_served(findings, performs)
