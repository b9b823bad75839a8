"""What is believed of the clock outlives the starts of a node that is ahead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate import set_clock
from casemate.folder.folders import Folders
from casemate.set_clock import BELIEVED_SECONDS, believe
from casemate.supervisor import held_clock
from casemate.supervisor.held_clock import FILE, HeldClock
from support.set_time import Clock

DAY = 86_400.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(set_clock, "time", made)
    yield made
    believe(None)


class Host:
    """A data folder, and what its supervisors say."""

    def __init__(self, folder: Path, time: Clock) -> None:
        self.folders, self.time = Folders(folder), time
        self.folders.journal.mkdir(parents=True)
        self.said: list[str] = []
        self.write()

    def write(self) -> None:
        """Have the journal written, by the clock as it is."""
        pending = self.folders.journal / "pending"
        pending.touch()
        os.utime(pending, (self.time.now, self.time.now))

    def start(self, *, accepted: bool = False) -> HeldClock:
        believe(None)
        return HeldClock(self.folders, self.said.append, accepted=accepted)

    @property
    def is_kept(self) -> bool:
        return (self.folders.data / FILE).exists()


@pytest.fixture
def host(tmp_path: Path, time: Clock) -> Host:
    return Host(tmp_path / "data", time)


def believed(clock: HeldClock, time: Clock) -> float:
    """Return the time that is believed."""
    return clock.believed().off + time.steady


def test_a_second_start_does_not_believe_what_the_first_has_written(
    host: Host, time: Clock
) -> None:
    """Before: the journal had times of the clock that was ahead, and it was believed."""
    began = time.now
    time.now += 300 * DAY
    for _ in range(3):
        clock = host.start()
        assert believed(clock, time) == pytest.approx(began, abs=1)
        assert host.is_kept
        host.write()
    assert "300.0 days ahead" in host.said[0]


def test_what_has_passed_is_not_waited_for_again(
    host: Host, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_clock, "_KEEP_SECONDS", 0.0)
    clock = host.start()
    time.now += 10 * DAY
    clock.look()
    host.write()
    for _ in range(3):
        clock = host.start()
        assert host.is_kept
        time.pass_(3.5 * DAY)
        clock.look()
        host.write()
    assert believed(clock, time) == pytest.approx(time.now)
    assert not host.is_kept
    assert host.said[-1] == "what is over is deleted by the clock again"


@pytest.mark.parametrize("days", [1.5, 3, 29])
def test_a_node_that_was_off_for_days_is_well(host: Host, time: Clock, days: float) -> None:
    """As over a weekend: it deletes after an hour, and nobody is told of anything."""
    began = time.now
    time.pass_(days * DAY)
    clock = host.start()
    assert believed(clock, time) == pytest.approx(began, abs=1)
    assert not host.is_kept and not host.said
    time.pass_(BELIEVED_SECONDS)
    assert believed(clock, time) == pytest.approx(time.now)
    # What leaps from then on is one that runs.
    time.now += 2 * DAY
    time.pass_(BELIEVED_SECONDS)
    assert believed(clock, time) == pytest.approx(time.now - 2 * DAY)


def test_set_right_meanwhile_nothing_is_held(host: Host, time: Clock) -> None:
    time.now += 300 * DAY
    host.start()
    host.write()
    time.now -= 300 * DAY
    clock = host.start()
    assert believed(clock, time) == pytest.approx(time.now)
    assert not host.is_kept


def test_an_operator_says_that_the_clock_is_right(host: Host, time: Clock) -> None:
    time.now += 300 * DAY
    host.start()
    assert believed(host.start(accepted=True), time) == pytest.approx(time.now)
    assert not host.is_kept
    host.write()
    assert believed(host.start(), time) == pytest.approx(time.now)


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"\xff" * 500])
def test_a_file_that_is_none_is_told(host: Host, time: Clock, content: bytes) -> None:
    (host.folders.data / FILE).write_bytes(content)
    assert believed(host.start(), time) == pytest.approx(time.now)
    assert "cannot be read" in host.said[0]


def test_a_node_that_has_never_run_believes_its_clock(tmp_path: Path, time: Clock) -> None:
    clock = HeldClock(Folders(tmp_path), lambda _said: None)
    assert believed(clock, time) == pytest.approx(time.now)
