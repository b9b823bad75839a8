"""What is tried again: how long is waited, and that its log tells of changes alone."""

from __future__ import annotations

import logging

import pytest

from casemate.monitor import retrying
from casemate.monitor.errors import BusyError, UndeliveredError
from casemate.monitor.retrying import Retried

FAILURE = UndeliveredError("It answers 500.")


def test_the_log_tells_when_it_begins_to_fail_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    tried = Retried("traces", "lake")
    tried._worked()
    for _ in range(3):
        tried._failed(FAILURE)
    assert tried.problem == "It answers 500."
    tried._worked()
    assert tried.problem == ""
    assert [each.getMessage() for each in caplog.records] == [
        "traces do not arrive at lake: It answers 500.",
        "traces arrive at lake again",
    ]


def test_an_answer_that_refuses_ends_the_failures_and_is_said() -> None:
    tried = Retried("traces", "lake")
    tried._failed(FAILURE, "why: ")
    assert tried.problem == "why: It answers 500."
    tried._answered("3 were refused")
    assert (tried._failures, tried.problem) == (0, "3 were refused")


def test_pauses_grow_to_a_bound_and_are_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "_draw", lambda: 1.0)
    tried = Retried("traces", "lake")
    assert tried._pause() == 1.0
    pauses = []
    for _ in range(9):
        tried._failed(FAILURE)
        pauses.append(tried._pause(FAILURE))
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    busy = BusyError("It answers 429.")
    assert tried._pause(busy) == 60.0
    busy.seconds = 7.0
    assert tried._pause(busy) == 7.0
