"""Only what hangs is ended, once, and not for time in which nobody ran."""

from __future__ import annotations

import pytest

from casemate.child.heartbeat import Heart, Pulse
from casemate.supervisor import watchdog
from casemate.supervisor.watchdog import Watchdog


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(watchdog.time, "monotonic", lambda: self.now)


def test_the_silent_one_is_ended_once(monkeypatch) -> None:
    clock, said, killed = Clock(monkeypatch), [], []
    watching = Watchdog(said.append)
    silent, working = Pulse(), Pulse()
    hearts = Heart(silent.theirs), Heart(working.theirs)
    watching.watch("the gateway", lambda: silent, lambda: killed.append("gateway"))
    watching.watch("the vault", lambda: working, lambda: killed.append("vault"))
    watching.watch("the egress proxy", lambda: None, lambda: killed.append("egress"))
    hearts[0].beat()
    for _ in range(60):
        clock.now += 0.25
        hearts[1].beat()
        watching.look()
    assert killed == ["gateway"]
    assert said == ["the gateway has not answered for 10 s; it is ended"]
    silent.close()
    working.close()


def test_a_machine_that_slept_ends_nothing(monkeypatch) -> None:
    clock, killed = Clock(monkeypatch), []
    watching = Watchdog(print)
    pulse = Pulse()
    Heart(pulse.theirs).beat()
    watching.watch("the gateway", lambda: pulse, lambda: killed.append("gateway"))
    for _ in range(5):
        clock.now += 3600
        watching.look()
    assert killed == []
    pulse.close()
