"""Errors by what is the same of them, over the API: whose are looked at, and how many."""

from __future__ import annotations

import time
from typing import Any

import pytest
from api_fake_control import GUEST_TEXT, Client, FakeControl

from casemate.model.invocation import ErrorRecord, Outcome


def error(number: int, **changed: Any) -> ErrorRecord:
    fields: dict[str, Any] = {"project": "shop", "function": "f", "type": "KeyError"}
    fields["at"] = float(number)
    return ErrorRecord(
        id=f"err_{number}",
        invocation=f"inv_{number}",
        version=number,
        outcome=Outcome.HANDLER_ERROR,
        message=f"of {number}",
        trace='  File "/function/code/app.py", line 3, in handler\n',
        **{**fields, **changed},
    )


@pytest.fixture
def failed(control: FakeControl) -> FakeControl:
    errors = [error(1), error(2), error(3, type="ValueError"), error(4, project="mail")]
    control.error_records = {each.id: each for each in errors}
    return control


def test_they_are_grouped(failed: FakeControl, ask: Client) -> None:
    answer = ask("GET", "/error-groups", params={"project": "shop"}).json()
    assert answer["looked_at"] == 3
    assert [(group["type"], group["count"], group["versions"]) for group in answer["groups"]] == [
        ("ValueError", 1, [3]),
        ("KeyError", 2, [1, 2]),
    ]
    assert answer["groups"][0]["place"] == "app.py in handler"


def test_only_so_many_are_looked_at(failed: FakeControl, ask: Client) -> None:
    assert ask("GET", "/error-groups", params={"limit": "2"}).json()["looked_at"] == 2
    assert ask("GET", "/error-groups", params={"limit": "1001"}).status_code == 400


def test_one_that_goes_meanwhile_is_left_out(failed: FakeControl, ask: Client) -> None:
    listed = failed.error_records

    class Going(dict[str, ErrorRecord]):
        def __contains__(self, key: object) -> bool:
            return key != "err_2" and super().__contains__(key)

    failed.error_records = Going(listed)
    assert ask("GET", "/error-groups", params={"project": "shop"}).json()["looked_at"] == 2


def test_a_function_needs_its_project(failed: FakeControl, ask: Client) -> None:
    assert ask("GET", "/error-groups", params={"function": "f"}).status_code == 400


def test_who_may_not_read_errors_reads_none(failed: FakeControl, ask: Client) -> None:
    answer = ask("GET", "/error-groups", params={"project": "shop"}, key=GUEST_TEXT)
    assert answer.status_code == 403 and "KeyError" not in answer.text


def test_what_began_a_moment_ago_is_new_and_not_rarer_than_before(
    control: FakeControl, ask: Client
) -> None:
    now = time.time()
    errors = [
        error(1, at=now - 100),
        error(3, at=now - 99),
        error(2, at=now - 5, type="ValueError"),
    ]
    control.error_records = {each.id: each for each in errors}
    groups = ask("GET", "/error-groups", params={"project": "shop"}).json()["groups"]
    assert {group["type"]: group["trend"] for group in groups} == {
        "KeyError": "new",
        "ValueError": "new",
    }
    since = {"since": str(now - 110), "project": "shop"}
    groups = ask("GET", "/error-groups", params=since).json()["groups"]
    assert [group["trend"] for group in groups] == ["new", "falling"]
