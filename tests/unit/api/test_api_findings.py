"""Findings, channels and silences over HTTP."""

from __future__ import annotations

import pytest
from api_fake_control import Client, Parts

from casemate.model.facts import PeoplePaged
from casemate.model.response_facts import AlertsSilenced
from casemate.monitor.protocol import AlertsState
from casemate.operations.findings import AlertChannel, AlertSilence, ListFindings, OnCallShift
from support.monitor import found

CHANNEL = AlertChannel(
    name="pager",
    kind="webhook",
    server="a:1",
    level="high",
    waiting=1,
    sent=2,
    failed=3,
    dropped=1,
    folded=4,
    silenced=5,
    problem="It answers 500.",
)


def test_findings_are_listed_as_they_are_asked_for(ask: Client, parts: Parts) -> None:
    parts.monitor.found = [found(1, project="shop"), found(2)]
    page = ask("GET", "/findings?project=shop&level=high&since=7.5&limit=5").json()
    assert [each["id"] for each in page["findings"]] == [found(1).id, found(2).id]
    assert page["findings"][0]["level"] == "high"
    assert parts.monitor.asked == ListFindings(project="shop", level="high", since=7.5, limit=5)
    assert ask("GET", "/findings?level=loud").status_code == 400


def test_a_rule_that_there_is_not_has_not_found_nothing(ask: Client, parts: Parts) -> None:
    assert ask("GET", "/findings?rule=tokens-tried").json()["findings"] == []
    refused = ask("GET", "/findings?rule=tokens-tired")
    assert refused.status_code == 404 and "no rule tokens-tired" in refused.text
    parts.monitor.found = [found(1)]  # of a rule of its own that was removed since
    assert len(ask("GET", "/findings?rule=tokens-tired").json()["findings"]) == 1


def test_one_is_shown_and_not_as_one_of_another_project(ask: Client, parts: Parts) -> None:
    parts.monitor.found = [found(1, project="shop")]
    assert ask("GET", f"/findings/{found(1).id}").json()["rule"] == "tokens-tried"
    assert ask("GET", f"/findings/{found(1).id}?project=shop").status_code == 200
    assert ask("GET", f"/findings/{found(1).id}?project=other").status_code == 404
    assert ask("GET", "/findings/none").status_code == 404


def test_channels_and_silences_are_shown(ask: Client, parts: Parts) -> None:
    silence = AlertSilence(rule="r", since=1.0, until=2.0, reason="why", by="user:ada")
    parts.monitor.state = AlertsState(channels=(CHANNEL,), silences=(silence,), signs_of_life=7)
    shown = ask("GET", "/alerts").json()
    assert shown["channels"][0]["problem"] == "It answers 500."
    assert shown["signs_of_life"] == 7
    assert ask("GET", "/alerts/silences").json()["silences"][0]["by"] == "user:ada"


def test_a_channel_is_tried(ask: Client, parts: Parts) -> None:
    parts.monitor.problem = "It answers 500."
    done = ask("POST", "/alerts/test", json={"channel": "pager"})
    assert done.json() == {"channel": "pager", "problem": "It answers 500."}


def test_a_silence_is_a_fact(ask: Client, parts: Parts) -> None:
    told: list[AlertsSilenced] = []
    parts.service.facts.listen(AlertsSilenced, told.append)
    body = {"rule": "tokens-tried", "seconds": 3600, "reason": "a test"}
    assert ask("POST", "/alerts/silences", json=body).status_code == 204
    [fact] = told
    assert fact.rule == "tokens-tried" and fact.reason == "a test" and fact.by
    assert fact.seconds == 3600
    assert parts.recorder.waited >= 1


@pytest.mark.parametrize("rule", ["tokens-tried", "nonsense"])
def test_without_a_monitor_a_silence_is_only_ended(ask: Client, parts: Parts, rule: str) -> None:
    """Nobody knows whether there is the rule: one of a wrong name hid nothing, and said nothing."""
    told: list[AlertsSilenced] = []
    parts.service.facts.listen(AlertsSilenced, told.append)
    parts.monitor.gone = True
    body = {"rule": rule, "seconds": 3600, "reason": "a test"}
    assert ask("POST", "/alerts/silences", json=body).status_code == 503
    assert not told
    assert ask("POST", "/alerts/silences", json=body | {"seconds": 0}).status_code == 204
    assert [(fact.rule, fact.seconds) for fact in told] == [(rule, 0)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": 8 * 86_400},
        {"seconds": -1},
        {"reason": ""},
        {"rule": "a b"},
        {"rule": "x" * 200},
    ],
)
def test_a_silence_without_end_or_reason_is_refused(
    ask: Client, parts: Parts, wrong: dict[str, object]
) -> None:
    body = {"rule": "tokens-tried", "seconds": 3600, "reason": "a test", **wrong}
    assert ask("POST", "/alerts/silences", json=body).status_code in (400, 422)
    body = {"rule": "nonsense", "seconds": 60, "reason": "a test"}
    assert ask("POST", "/alerts/silences", json=body).status_code == 404


def test_without_a_monitor_nothing_is_shown_and_nothing_is_broken(
    ask: Client, parts: Parts
) -> None:
    parts.monitor.gone = True
    for path in ("/findings", "/findings/x", "/alerts", "/alerts/silences"):
        assert ask("GET", path).status_code == 503


def test_who_is_on_call_is_shown(ask: Client, parts: Parts) -> None:
    shift = OnCallShift(rotation="primary", person="ada", since=1.0, until=2.0)
    later = OnCallShift(rotation="primary", person="bob", since=40 * 86_400.0, until=4e6)
    parts.monitor.shifts = (shift, later)
    shown = ask("GET", "/alerts/on-call").json()["shifts"]
    assert shown == [{"rotation": "primary", "person": "ada", "since": 1.0, "until": 2.0}]
    assert len(ask("GET", "/alerts/on-call?days=92").json()["shifts"]) == 2
    assert ask("GET", "/alerts/on-call?days=93").status_code == 400
    parts.monitor.gone = True
    assert ask("GET", "/alerts/on-call").status_code == 503


def test_people_are_paged_who_are_there(ask: Client, parts: Parts) -> None:
    told: list[PeoplePaged] = []
    parts.facts.listen(PeoplePaged, told.append)
    monitor = parts.service.paging._monitor
    wanted = {"message": "The shop is down", "to": "pager"}
    assert ask("POST", "/alerts/page", json=wanted).status_code == 404
    monitor.state = AlertsState(channels=(CHANNEL,), silences=(), signs_of_life=0)  # type: ignore[attr-defined]
    assert ask("POST", "/alerts/page", json=wanted).status_code == 204
    assert ask("POST", "/alerts/page", json={"message": "all"}).status_code == 204
    assert [(one.to, one.message, one.by) for one in told] == [
        ("pager", "The shop is down", "token:owner"),
        ("*", "all", "token:owner"),
    ]
    assert len({one.page for one in told}) == 2
    for wrong in ({"message": ""}, {"message": "x" * 257}, {"to": "pager"}):
        assert ask("POST", "/alerts/page", json=wrong).status_code == 400
    assert ask("POST", "/alerts/page", json={**wanted, "to": "nobody"}).status_code == 404


def test_the_rule_that_finds_silences_is_not_silenced(ask: Client, parts: Parts) -> None:
    told: list[object] = []
    parts.facts.listen(AlertsSilenced, told.append)
    said = {"rule": "alerts-silenced", "seconds": 60, "reason": "quiet"}
    refused = ask("POST", "/alerts/silences", json=said)
    assert refused.status_code == 409 and "cannot be silenced" in refused.text
    assert not told
