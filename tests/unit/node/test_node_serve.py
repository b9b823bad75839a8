"""How soon a gateway that ended by itself is started again."""

from __future__ import annotations

from casemate.node.serve import failures_in_a_row, restart_pause


def test_one_that_ended_after_a_steady_run_is_started_again_at_once() -> None:
    assert failures_in_a_row(4, ran=3600.0) == 1
    assert restart_pause(failures_in_a_row(4, ran=3600.0)) == 0.0


def test_one_that_keeps_ending_waits_longer_each_time_up_to_a_bound() -> None:
    failures, pauses = 0, []
    for _ in range(8):
        failures = failures_in_a_row(failures, ran=0.5)
        pauses.append(restart_pause(failures))
    assert pauses == [0.0, 0.2, 1.0, 5.0, 15.0, 15.0, 15.0, 15.0]
