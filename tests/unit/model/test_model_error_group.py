"""Which errors are the same one, and whether it comes more often."""

from __future__ import annotations

import time
from typing import Any

import pytest

from casemate.model.error_group import (
    MAX_FRAMES,
    MAX_LINE,
    PARTS,
    Trend,
    fingerprint,
    grouped,
    own_frames,
)
from casemate.model.invocation import ErrorRecord, Outcome

TRACE = """Traceback (most recent call last):
  File "/function/code/app.py", line 7, in handler
    return charge(event)
  File "/function/deps/stripe/api.py", line 91, in charge
    raise KeyError(name)
  File "/function/code/shop/orders.py", line 12, in amount
    return order["amount"]
KeyError: 'amount'
"""


def error(at: float = 1.0, **changed: Any) -> ErrorRecord:
    fields: dict[str, Any] = {
        "project": "shop",
        "function": "checkout",
        "version": 7,
        "type": "KeyError",
        "outcome": Outcome.HANDLER_ERROR,
        "message": "'amount'",
        "trace": TRACE,
    }
    return ErrorRecord(
        id=f"err_{at}",
        invocation="inv_1",
        at=at,
        **{**fields, **changed},
    )


def test_only_frames_of_the_functions_own_code_count() -> None:
    frames = ("app.py in handler", "shop/orders.py in amount")
    assert own_frames(TRACE) == (frames, 'return order["amount"]')


def test_a_trace_without_the_code_has_no_line() -> None:
    bare = "\n".join(line for line in TRACE.splitlines() if not line.startswith("    "))
    assert own_frames(bare)[1] == ""
    assert len(own_frames(TRACE.replace("return order", "return " + "o" * 9_999))[1]) == MAX_LINE


SAME: dict[str, dict[str, Any]] = {
    "another message": {"message": "'total'"},
    "another version": {"version": 8},
    "lines that moved": {"trace": TRACE.replace("line 7", "line 9")},
    "another release of a dependency": {"trace": TRACE.replace("api.py", "api_v2.py")},
    "another outcome": {"outcome": Outcome.BLOCKED},
    "another indent": {"trace": TRACE.replace("    return order", "        return order")},
    "another line that called it": {"trace": TRACE.replace("return charge", "await charge")},
}
OTHER: dict[str, dict[str, Any]] = {
    "another type": {"type": "ValueError"},
    "another function of the code": {"trace": TRACE.replace("in amount", "in total")},
    "another line of the function": {"trace": TRACE.replace('order["amount"]', "1 / 0")},
    "another file": {"trace": TRACE.replace("orders.py", "carts.py")},
    "no trace": {"trace": ""},
    "another function": {"function": "refund"},
    "another project": {"project": "mail"},
}


@pytest.mark.parametrize("changed", SAME.values(), ids=SAME)
def test_the_same_one(changed: dict[str, Any]) -> None:
    assert fingerprint(error(**changed)) == fingerprint(error())


@pytest.mark.parametrize("changed", OTHER.values(), ids=OTHER)
def test_another_one(changed: dict[str, Any]) -> None:
    assert fingerprint(error(**changed)) != fingerprint(error())


def test_a_group_tells_when_how_often_and_in_which_versions() -> None:
    errors = [error(at, version=version) for at, version in ((10.0, 7), (80.0, 8), (40.0, 7))]
    [group] = grouped([*errors], 0.0, 100.0)
    assert (group.count, group.first_at, group.last_at) == (3, 10.0, 80.0)
    assert (group.versions, group.latest) == ((7, 8), "err_80.0")
    assert group.place == "shop/orders.py in amount"
    assert group.line == 'return order["amount"]'
    assert sum(group.counts) == 3 and len(group.counts) == PARTS


@pytest.mark.parametrize(
    ("times", "trend"),
    [
        ([90.0, 95.0], Trend.NEW),
        ([5.0, 60.0, 80.0, 90.0, 95.0], Trend.RISING),
        ([10.0, 40.0, 60.0, 95.0], Trend.STEADY),
        ([5.0, 10.0, 20.0, 30.0, 95.0], Trend.FALLING),
        ([5.0, 10.0], Trend.GONE),
    ],
)
def test_the_trend(times: list[float], trend: Trend) -> None:
    [group] = grouped([error(at * 60) for at in times], 0.0, 6000.0)
    assert group.trend is trend


def test_a_single_error_has_no_trend() -> None:
    [group] = grouped([error(60.0)], 0.0, 100.0)
    assert group.trend is Trend.STEADY


def test_what_came_a_moment_ago_is_not_gone() -> None:
    [group] = grouped([error(5.0), error(10.0)], 0.0, 100.0)
    assert group.trend is Trend.FALLING


def test_times_outside_and_no_time_at_all_are_counted_all_the_same() -> None:
    [group] = grouped([error(-5.0), error(500.0)], 0.0, 100.0)
    assert sum(group.counts) == 2
    [group] = grouped([error(5.0)], 5.0, 5.0)
    assert sum(group.counts) == 1


def test_the_newest_group_comes_first() -> None:
    found = grouped([error(1.0), error(9.0, type="ValueError")], 0.0, 10.0)
    assert [group.type for group in found] == ["ValueError", "KeyError"]


def test_a_hostile_trace_costs_no_more_than_its_length() -> None:
    line = '  File "/function/code/' + '", line ' * 200 + ", in " * 200 + "\n"
    began = time.process_time()
    frames, _ = own_frames(line * 40)
    assert time.process_time() - began < 0.5
    assert len(frames) == MAX_FRAMES and all(len(frame) <= 512 for frame in frames)
