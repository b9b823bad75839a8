"""Use, budgets, quotas and prices over HTTP: whose they are, and what is refused by name."""

from __future__ import annotations

import time
from typing import Any

import pytest
from api_fake_control import GUEST_TEXT, INVOKER_TEXT, Client, FakeControl, Parts

from casemate.model.estimate import Estimate
from casemate.model.usage import DAY, Usage, UsageBy, UsageSpan
from casemate.operations import usage as operations

BUDGET = {"amount": 5, "unit": "requests", "per": "day", "hard": True}


def test_use_of_this_month_is_shown(ask: Client, control: FakeControl) -> None:
    control.usage_rows = (Usage(project="t", function="f", requests=3, cpu_us=9),)
    found = ask("GET", "/usage").json()
    assert found["rows"] == [{"project": "t", "function": "f", "requests": 3, "cpu_us": 9}]
    asked = control.asked_usage
    assert asked is not None and asked.by is UsageBy.FUNCTION and asked.each is None
    assert asked.since % DAY == 0 and asked.until % DAY == 0 and asked.until > time.time()
    assert found["since"] == asked.since and not found["more"]


def test_what_is_old_is_asked_for_by_days(ask: Client, control: FakeControl) -> None:
    ask("GET", "/usage?since=1000000&until=1000001&by=route&each=day&project=t&function=f")
    asked = control.asked_usage
    assert asked is not None
    assert (asked.since, asked.until) == (11 * DAY, 12 * DAY)
    assert (asked.by, asked.each, asked.project) == (UsageBy.ROUTE, UsageSpan.DAY, "t")


def test_an_account_is_who_answers_for_callers(ask: Client, parts: Parts) -> None:
    makers = {"token:1": "user:ada", "token:2": "user:ada"}
    parts.accounts.answerable = lambda caller: makers.get(caller, caller)  # type: ignore[attr-defined]
    parts.control.usage_rows = (
        Usage(caller="token:1", requests=1, peak=7),
        Usage(caller="token:2", requests=2, peak=9),
        Usage(caller="user:bob", requests=4),
    )
    assert ask("GET", "/usage?by=account").json()["rows"] == [
        {"account": "user:ada", "requests": 3, "peak": 9},
        {"account": "user:bob", "requests": 4},
    ]


def test_estimates_are_told_with_their_error(ask: Client, parts: Parts) -> None:
    parts.accounts.answerable = lambda caller: "user:ada"  # type: ignore[attr-defined]
    journal = Estimate(sampled=9, us_per_request=120.5, error_us=3.0)
    one = {"guard_sampled": 1, "guard_us": 4, "guard_squares": 16, "journal": journal}
    more = {"guard_sampled": 1, "guard_us": 6, "guard_squares": 36, "journal": journal}
    parts.control.usage_rows = (
        Usage(caller="token:1", requests=1, **one),
        Usage(caller="token:2", requests=2, **more),
    )
    [row] = ask("GET", "/usage?by=account").json()["rows"]
    # 12.706 times the root of 2 / 2: Student's t of one degree of freedom.
    assert row["guard"] == {"sampled": 2, "us_per_request": 5.0, "error_us": 12.706}
    assert row["journal"] == {"sampled": 9, "us_per_request": 120.5, "error_us": 3.0}
    parts.control.usage_rows = (Usage(caller="token:1", requests=1),)
    [row] = ask("GET", "/usage?by=account").json()["rows"]
    assert "guard" not in row and "journal" not in row


def test_what_is_too_much_is_said(
    ask: Client, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.api.usage.MAX_ROWS", 2)
    control.usage_rows = tuple(Usage(function=f"f{n}") for n in range(3))
    found = ask("GET", "/usage").json()
    assert found["more"] and len(found["rows"]) == 2
    assert operations.MAX_ROWS == 50_000


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/usage?function=f", 400),
        ("/usage?by=colour", 400),
        ("/usage?each=year", 400),
        ("/usage?since=-1", 400),
        ("/usage?since=99999999999&until=5", 400),
    ],
)
def test_bad_questions(ask: Client, path: str, status: int) -> None:
    assert ask("GET", path).status_code == status


def test_only_a_function_that_there_is_is_let_run(ask: Client) -> None:
    wanted = {"seconds": 60, "reason": "a sale"}
    gone = ask("POST", "/unusual/t/gone/lift", json=wanted)
    assert gone.status_code == 404 and ask("GET", "/budgets").json()["unusual"] == []
    assert ask("POST", "/unusual/t/gone/lift", json={"seconds": 60}).status_code == 400


def test_budgets_are_set_lifted_and_removed(ask: Client) -> None:
    assert ask("PUT", "/budgets/t/day", json=BUDGET).json()["budget"]["amount"] == 5.0
    lift = {"seconds": 60, "reason": "a sale"}
    lifted = ask("POST", "/budgets/t/day/lift", json=lift)
    assert lifted.json()["lifted_until"] > time.time()
    ask("PUT", "/budgets/t/soft", json={**BUDGET, "hard": False})
    nothing_to_lift = ask("POST", "/budgets/t/soft/lift", json=lift)
    assert nothing_to_lift.status_code == 409
    assert "t/soft is soft: it refuses nothing" in nothing_to_lift.json()["detail"]
    assert ask("DELETE", "/budgets/t/soft").status_code == 204
    quota = {"calls": 5, "seconds": 1, "each": "address"}
    assert ask("PUT", "/quotas/t/q", json=quota).json()["quota"]["calls"] == 5
    found = ask("GET", "/budgets").json()
    assert (len(found["budgets"]), len(found["quotas"])) == (1, 1)
    nothing = {"budgets": [], "quotas": [], "unusual": []}
    assert ask("GET", "/budgets?project=other").json() == nothing
    for name in ("day", "q"):
        assert ask("DELETE", f"/budgets/t/{name}").status_code == 204
        assert ask("DELETE", f"/budgets/t/{name}").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": 1e300},
        {"amount": "5"},
        {"unit": "hours"},
        {"per": "year"},
        {"hard": 1},
        {"function": "A b"},
        {"caller": "ada"},
        {"caller": "user:ada\n"},
        {"colour": "red"},
    ],
)
def test_what_is_no_budget_is_refused(ask: Client, wrong: dict[str, Any]) -> None:
    assert ask("PUT", "/budgets/t/day", json=BUDGET | wrong).status_code == 400
    assert ask("GET", "/budgets").json()["budgets"] == []


def test_whoever_may_call_a_function_does_not_set_what_it_may_use(ask: Client) -> None:
    ask("PUT", "/budgets/t/day", json=BUDGET)
    for key in (INVOKER_TEXT, GUEST_TEXT):
        for method, path, body in (
            ("PUT", "/budgets/t/day", BUDGET),
            ("POST", "/budgets/t/day/lift", {"seconds": 60, "reason": "x"}),
            ("DELETE", "/budgets/t/day", None),
            ("PUT", "/quotas/t/q", {"calls": 5}),
            ("PUT", "/prices", {"text": "x"}),
            ("GET", "/budgets", None),
            ("GET", "/usage", None),
            ("GET", "/prices", None),
        ):
            assert ask(method, path, key=key, json=body).status_code == 403, path
    assert ask("GET", "/budgets").json()["budgets"][0]["lifted_until"] is None


def test_prices(ask: Client) -> None:
    shown = ask("GET", "/prices").json()
    assert shown["name"] == "example" and "gb_second" in shown["text"]
    text = shown["text"].replace("example", "ours").replace("EUR", "CHF")
    assert ask("PUT", "/prices", json={"text": text}).json()["currency"] == "CHF"
    assert ask("GET", "/prices").json()["name"] == "ours"
    broken = ask("PUT", "/prices", json={"text": text.replace('"0.20"', '"-0.20"')})
    assert broken.status_code == 422 and "negative" in broken.text
    assert ask("GET", "/prices").json()["text"] == text
