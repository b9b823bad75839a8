"""Whoever causes a flood of findings pushes out his own, and hides nobody else's."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from casemate.model.facts import Fact
from casemate.model.level import Level
from casemate.model.response_facts import AlertFailed
from casemate.monitor import incidents as incidents_module
from casemate.monitor.consumers import Happened
from casemate.monitor.findings import MAX_FINDINGS, MAX_OF_RULE, Findings, Found
from casemate.monitor.incidents import Incidents
from casemate.monitor.messages import MAX_SHOWN, Kind, Message, document, text
from casemate.monitor.noticed import MAX_KEPT, NoticedLately
from casemate.monitor.outlet import MAX_WAITING, Outlet
from casemate.monitor.telling import MAX_WAITING as MAX_WAITING_FACTS
from casemate.monitor.telling import Telling, fact_of
from casemate.operations.incidents import ListIncidents
from support.monitor import channel, found, running


def of(n: int, project: str = "evil", **more: Any) -> Found:
    named = {"entity": f"resources.0.name=function:{project}/f{n}", "project": project}
    return found(n, **{**named, **more})


VICTIM = of(0, "shop")


def noticing(*batch: Found) -> tuple[NoticedLately, Incidents]:
    """Return what is noticed once these stand in the journal."""
    findings, incidents = Findings(), Incidents()
    noticed = NoticedLately(findings, incidents)
    take(noticed, findings, incidents, batch)
    return noticed, incidents


def take(
    noticed: NoticedLately, findings: Findings, incidents: Incidents, batch: tuple[Found, ...]
) -> None:
    for index, each in enumerate(batch, noticed.newest + 1):
        findings.add(each)
        own = {
            "finding": each.id,
            "rule": each.rule,
            "level": str(each.level),
            "title": each.title,
            "entity": each.entity,
        }
        event = {"unmapped": own, "cloud": {"project_uid": each.project}}
        told = [Happened(index, f"e{index}", "Finding", each.at, event)]
        incidents.take(told)
        noticed.take(told)


@pytest.mark.parametrize("rules", [1, MAX_FINDINGS])
def test_a_flood_of_one_project_leaves_findings_of_others(rules: int) -> None:
    findings = Findings()
    findings.add(VICTIM)
    for n in range(1, MAX_FINDINGS + 50 if rules > 1 else MAX_OF_RULE + 50):
        findings.add(of(n, rule=VICTIM.rule if rules == 1 else f"rule-{n % rules}"))
    assert findings.get(VICTIM.id) is not None
    assert findings.get(of(1).id) is None
    assert findings.dropped
    again = Findings()
    again.recall(findings.remembered())
    for one in (findings, again):
        one.add(of(10_000))
    assert again.remembered() == findings.remembered()


def test_what_the_gateway_has_not_looked_at_stays_in_a_flood(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        noticed, _ = noticing(VICTIM, *(of(n) for n in range(1, MAX_KEPT + 100)))
    told = noticed.after(-1)
    assert len(told) == MAX_KEPT
    assert told[0].finding == VICTIM and told[-1].index == noticed.newest
    assert [each.index for each in told] == sorted(each.index for each in told)
    assert noticed.dropped == 100
    assert len(caplog.records) == 1 and of(1).id in caplog.text


def test_what_the_gateway_has_looked_at_goes_first() -> None:
    findings, incidents = Findings(), Incidents()
    noticed = NoticedLately(findings, incidents)
    take(noticed, findings, incidents, tuple(of(n, "a") for n in range(MAX_KEPT)))
    assert len(noticed.after(-1)) == MAX_KEPT
    assert noticed.after(noticed.newest) == ()
    take(noticed, findings, incidents, tuple(of(1000 + n, "b") for n in range(MAX_KEPT)))
    assert [each.finding.project for each in noticed.after(MAX_KEPT - 1)] == ["b"] * MAX_KEPT
    assert not noticed.dropped
    again = NoticedLately(findings, incidents)
    again.recall(noticed.remembered())
    assert again.newest == noticed.newest and again.after(-1) == noticed.after(-1)


def test_an_open_incident_of_another_project_is_not_pushed_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(incidents_module, "MAX_KEPT", 20)
    _, incidents = noticing(VICTIM, *(of(n) for n in range(1, 60)))
    listed = incidents.listed(ListIncidents(limit=100)).incidents
    assert len(listed) == 20
    assert [each.id for each in listed if "shop" in each.projects] == [f"inc_{VICTIM.id}"]


@running
async def test_an_alert_about_another_project_waits_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_message: Message) -> None:
        await asyncio.sleep(60)

    told: list[Fact] = []
    outlet = Outlet("pager", channel(), hangs, node="test", tell=told.append)
    victim = of(0, "shop", level=Level.HIGH)
    outlet.put(victim)
    for n in range(1, MAX_WAITING + 20):
        outlet.put(of(n, level=Level.CRITICAL))
    assert victim.id in outlet._waiting
    assert outlet.state.waiting == MAX_WAITING and outlet.state.dropped == 20


def test_a_message_of_many_shows_some_of_each_project() -> None:
    many = (VICTIM, *(of(n) for n in range(1, 300)), *(of(n, "other") for n in range(300, 303)))
    message = Message(kind=Kind.FINDING, node="n", at=1.0, found=many)
    assert len(message.shown) == MAX_SHOWN
    assert {each.project for each in message.shown} == {"shop", "evil", "other"}
    assert message.shown[0] == many[-1] and VICTIM.id in text(message)
    shown = [each["id"] for each in document(message)["findings"]]
    assert shown == [each.id for each in reversed(message.shown)]
    assert VICTIM.id in shown


def test_what_waits_to_be_recorded_is_of_everybody_in_turn() -> None:
    telling = Telling()
    for n in range(1, MAX_WAITING_FACTS + 50):
        telling.tell(fact_of(of(n)))
    telling.tell(fact_of(VICTIM))
    telling.tell(AlertFailed(at=1.0, channel="pager", findings=("a",), reason="r"))
    assert len(telling) == MAX_WAITING_FACTS and telling.missed == 51
    first = telling.next()
    assert f"Finding {VICTIM.id}" in first and any(key.startswith("AlertF") for key in first)
    telling.told(list(first))
    assert len(telling) == MAX_WAITING_FACTS - len(first)
    again = Telling()
    again.recall(telling.remembered())
    assert again.next() == telling.next()
    while rest := again.next():
        again.told(list(rest))
    assert len(again) == 0 and not again._by_share
