"""Incidents over HTTP: what is said and done is a fact before it is answered."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from api_fake_control import Client, Parts
from msgspec.structs import replace

from casemate.model.deployment import Quarantine
from casemate.model.facts import Actor, Fact
from casemate.model.response_facts import IncidentActed, IncidentUpdated
from casemate.operations.findings import OnCallShift
from casemate.operations.incidents import Incident, IncidentEvent, IncidentState, ListIncidents
from casemate.operations.quarantine import QuarantineFunction
from support.monitor import incident

ID = incident().id


def read(parts: Parts, fact: Fact) -> None:
    """Have the monitor read a fact as it does, unless more was found than who closed it saw."""
    if not isinstance(fact, IncidentUpdated) or fact.change != "state":
        return
    line = IncidentEvent(
        at=round(fact.at, 3), kind="state", by=fact.by, text=f"{fact.value}: {fact.text}"
    )
    [known] = parts.monitor.known
    more: dict[str, Any] = {"timeline": (*known.timeline, line)}
    if fact.seen_at >= known.last_at or fact.value == "open":
        more["state"] = IncidentState(fact.value)
    parts.monitor.known = [replace(known, **more)]


@pytest.fixture
def told(parts: Parts) -> list[Fact]:
    parts.monitor.known = [incident()]
    found: list[Fact] = []
    parts.service.facts.listen(IncidentUpdated, partial(read, parts))
    for kind in (IncidentUpdated, IncidentActed):
        parts.service.facts.listen(kind, found.append)
    return found


def test_they_are_listed_and_shown(ask: Client, parts: Parts, told: list[Fact]) -> None:
    page = ask("GET", "/incidents?project=shop&state=open&level=high&limit=5").json()
    assert page["incidents"][0]["id"] == ID
    assert parts.monitor.wanted == ListIncidents(
        project="shop",
        state="open",
        level="high",
        limit=5,  # type: ignore[arg-type]
    )
    shown = ask("GET", f"/incidents/{ID}").json()
    assert shown["rules"][0]["rule"] == "sql-injection"
    assert ask("GET", f"/incidents/{ID}?project=shop").status_code == 200
    assert ask("GET", f"/incidents/{ID}?project=other").status_code == 404
    assert ask("GET", "/incidents/none").status_code == 404
    assert ask("GET", "/incidents?state=loud").status_code == 400


def test_one_about_several_projects_is_not_that_of_one(ask: Client, parts: Parts) -> None:
    parts.monitor.known = [incident(projects=("shop", "mine"))]
    assert ask("GET", f"/incidents/{ID}?project=shop").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("assign", {"owner": "ada", "outside": True}, ("assign", "ada", "")),
        ("assign", {"owner": ""}, ("assign", "", "")),
        ("note", {"text": "a scanner"}, ("note", "", "a scanner")),
        ("state", {"state": "resolved", "reason": "mended"}, ("state", "resolved", "mended")),
        ("state", {"reason": "mended"}, ("state", "resolved", "mended")),
        ("state", {"state": "open", "reason": "again"}, ("state", "open", "again")),
    ],
)
def test_what_is_said_is_a_fact(
    ask: Client,
    parts: Parts,
    told: list[Fact],
    path: str,
    body: dict[str, str],
    expected: tuple[str, str, str],
) -> None:
    assert ask("POST", f"/incidents/{ID}/{path}", json=body).status_code == 204
    [fact] = told
    assert isinstance(fact, IncidentUpdated)
    assert (fact.change, fact.value, fact.text) == expected
    assert fact.incident == ID and fact.by
    assert parts.recorder.waited >= 1


def test_nobody_is_assigned_whom_the_node_does_not_know(
    ask: Client, parts: Parts, told: list[Fact], monkeypatch: pytest.MonkeyPatch
) -> None:
    people = SimpleNamespace(all=lambda: (SimpleNamespace(name="ada"),))
    monkeypatch.setattr(parts.service.accounts, "people", people, raising=False)
    refused = ask("POST", f"/incidents/{ID}/assign", json={"owner": "adaa"})
    assert refused.status_code == 422 and "--outside" in refused.text
    assert not told
    shift = OnCallShift(rotation="primary", person="bob", since=0.0, until=1.0)

    async def on_call(_days: int) -> tuple[OnCallShift, ...]:
        return (shift,)

    monkeypatch.setattr(parts.monitor, "on_call", on_call)
    for name in ("ada", "user:ada", "bob"):
        done = ask("POST", f"/incidents/{ID}/assign", json={"owner": name})
        assert done.status_code == 204, done.text
    assert [one.value for one in told if isinstance(one, IncidentUpdated)] == [
        "ada",
        "user:ada",
        "bob",
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("note", {"text": ""}),
        ("note", {"text": "x" * 1001}),
        ("assign", {"owner": "x" * 129}),
        ("state", {"state": "resolved"}),
        ("state", {"state": "gone", "reason": "x"}),
        ("contain", {"reason": ""}),
        ("contain", {"reason": "x", "kill": "yes"}),
    ],
)
def test_what_is_out_of_form_is_refused(
    ask: Client, told: list[Fact], path: str, body: dict[str, str]
) -> None:
    assert ask("POST", f"/incidents/{ID}/{path}", json=body).status_code == 400
    assert not told


def test_nobody_says_that_one_is_contained(ask: Client, told: list[Fact]) -> None:
    body = {"state": "contained", "reason": "x"}
    assert ask("POST", f"/incidents/{ID}/state", json=body).status_code == 409
    assert not told


def test_one_that_there_is_not_is_404(ask: Client, told: list[Fact]) -> None:
    for path, body in (("note", {"text": "x"}), ("contain", {"reason": "x"})):
        assert ask("POST", f"/incidents/none/{path}", json=body).status_code == 404
    assert not told


def test_functions_are_put_into_quarantine(ask: Client, parts: Parts, told: list[Fact]) -> None:
    done = ask("POST", f"/incidents/{ID}/contain", json={"reason": "it steals", "kill": True})
    assert done.status_code == 200, done.text
    [action] = done.json()["actions"]
    assert action["target"] == "function:shop/report"
    [fact] = told
    assert isinstance(fact, IncidentActed)
    assert (fact.project, fact.function, fact.problem) == (
        "shop",
        "report",
        action["problem"],
    )
    assert action["done"] is not bool(action["problem"])


def test_who_closes_it_first_has_and_the_other_is_told(
    ask: Client, parts: Parts, told: list[Fact]
) -> None:
    """Also before the monitor has read of it."""

    def close(state: str, reason: str) -> str:
        answer = ask("POST", f"/incidents/{ID}/state", json={"state": state, "reason": reason})
        assert answer.status_code in (204, 409), answer.text
        return answer.text

    assert close("resolved", "mended in 9") == ""
    said = close("false-alarm", "our scanner")
    assert "closed already, as resolved, by" in said and "mended in 9" in said
    assert len(told) == 1
    assert close("open", "it goes on") == "" and close("false-alarm", "our scanner") == ""
    assert "as false-alarm" in close("resolved", "x") and len(told) == 3


def test_what_another_node_or_the_monitor_says_of_it_counts(
    ask: Client, parts: Parts, told: list[Fact]
) -> None:
    line = IncidentEvent(at=50.0, kind="state", by="user:bob", text="resolved: done: all of it")
    parts.monitor.known = [incident(state=IncidentState.RESOLVED, timeline=(line,))]
    answer = ask("POST", f"/incidents/{ID}/state", json={"reason": "x"})
    assert answer.status_code == 409 and not told
    assert "by user:bob at 1970-01-01 00:00:50Z: done: all of it" in answer.text


def test_what_was_closed_though_more_was_found_since_is_open(
    ask: Client, parts: Parts, told: list[Fact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monitor reads a finding after who closes it has looked, and before the closing."""
    looked = parts.monitor.incident

    async def behind(id: str) -> Incident:
        seen = await looked(id)
        monkeypatch.setattr(parts.monitor, "incident", looked)
        parts.monitor.known = [replace(seen, last_at=seen.last_at + 60)]
        return seen

    monkeypatch.setattr(parts.monitor, "incident", behind)
    refused = ask("POST", f"/incidents/{ID}/state", json={"reason": "x"})
    assert refused.status_code == 409 and f"The incident {ID} stays open" in refused.text
    assert "incident show" in refused.text and len(told) == 1
    assert ask("POST", f"/incidents/{ID}/state", json={"reason": "y"}).status_code == 204
    assert parts.monitor.known[0].state is IncidentState.RESOLVED


def test_a_closing_that_is_opened_again_at_once_was_one(
    ask: Client, parts: Parts, told: list[Fact]
) -> None:
    def reopened(_fact: Fact) -> None:
        parts.monitor.known = [replace(parts.monitor.known[0], state=IncidentState.OPEN)]

    parts.service.facts.listen(IncidentUpdated, reopened)
    assert ask("POST", f"/incidents/{ID}/state", json={"reason": "x"}).status_code == 204


def test_what_the_monitor_has_not_read_is_not_said_to_be_closed(
    ask: Client, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.api.incidents.READ_SECONDS", 0.05)
    parts.monitor.known = [incident()]
    answer = ask("POST", f"/incidents/{ID}/state", json={"reason": "x"})
    assert answer.status_code == 503 and "on record" in answer.text
    assert "incident show" in answer.text
    again = ask("POST", f"/incidents/{ID}/state", json={"reason": "y"})
    assert again.status_code == 409 and "closed already" in again.text
    opened = ask("POST", f"/incidents/{ID}/state", json={"state": "open", "reason": "y"})
    assert opened.status_code == 204, "for which nothing is waited"


def test_what_was_in_quarantine_already_says_by_whom(
    ask: Client, parts: Parts, told: list[Fact], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def held(operation: QuarantineFunction, *, by: Actor) -> Quarantine:
        of = {"project": operation.project, "function": operation.function, "since": 1.0}
        if operation.reason.endswith("mine"):
            return Quarantine(reason=operation.reason, by=by.principal, **of)  # type: ignore[arg-type]
        return Quarantine(reason="it steals", by="user:bob", **of)  # type: ignore[arg-type]

    monkeypatch.setattr(parts.service.control, "quarantine", held)
    for reason, before in (("mine", ""), ("later", "by user:bob: it steals")):
        [action] = ask("POST", f"/incidents/{ID}/contain", json={"reason": reason}).json()[
            "actions"
        ]
        assert action["done"] and action.get("before", "") == before


def test_one_about_no_function_says_what_else_there_is(ask: Client, parts: Parts) -> None:
    parts.monitor.known = [incident(things=("203.0.113.9",))]
    done = ask("POST", f"/incidents/{ID}/contain", json={"reason": "x"})
    assert done.status_code == 409 and "tokens revoke" in done.text


def test_so_many_functions_are_not_stopped_at_once(
    ask: Client, parts: Parts, told: list[Fact]
) -> None:
    parts.monitor.known = [incident(things=tuple(f"function:shop/f{n}" for n in range(11)))]
    done = ask("POST", f"/incidents/{ID}/contain", json={"reason": "x"})
    assert done.status_code == 409 and "at most 10" in done.text
    assert "--function" in done.text and not told


def test_those_that_are_named_are_stopped_and_no_other(
    ask: Client, parts: Parts, told: list[Fact]
) -> None:
    """Who attacks eleven functions must not be out of reach of what contains an incident."""
    parts.monitor.known = [incident(things=tuple(f"function:shop/f{n}" for n in range(11)))]

    def contain(*functions: str) -> Any:
        body = {"reason": "x", "functions": functions}
        return ask("POST", f"/incidents/{ID}/contain", json=body)

    done = contain("shop/f10", "shop/f3", "shop/f10")
    assert done.status_code == 200, done.text
    assert [each["target"] for each in done.json()["actions"]] == [
        "function:shop/f10",
        "function:shop/f3",
    ]
    assert len(told) == 2
    refused = contain("shop/f3", "shop/other")
    assert refused.status_code == 409 and "not about shop/other" in refused.text
    for wrong in (("shop",), ("shop/f/1",), ("shop/f\n",), tuple(f"s/f{n}" for n in range(11))):
        assert contain(*wrong).status_code == 400, wrong
    assert len(told) == 2
