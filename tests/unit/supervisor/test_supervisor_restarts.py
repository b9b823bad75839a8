"""How soon a gateway that ended by itself is started again."""

from __future__ import annotations

from casemate.supervisor.restarts import Restarts


def test_one_that_served_is_started_again_soon_however_often_it_ends() -> None:
    restarts = Restarts()
    pauses = [restarts.pause(served=True, now=float(second)) for second in range(8)]
    assert pauses == [0.0, 0.0, 0.1, 0.2, 0.5, 0.5, 0.5, 0.5]
    assert restarts.pause(served=True, now=3600.0) == 0.0


def test_one_that_never_comes_to_serve_waits_longer_each_time_up_to_a_bound() -> None:
    restarts = Restarts()
    pauses = [restarts.pause(served=False) for _ in range(8)]
    assert pauses == [0.0, 0.2, 1.0, 5.0, 15.0, 15.0, 15.0, 15.0]
    restarts.pause(served=True)
    assert restarts.pause(served=False) == 0.0
