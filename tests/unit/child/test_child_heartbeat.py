"""A process that works is told from one that hangs, and from one that is gone."""

from __future__ import annotations

import asyncio
import os

from casemate.child.heartbeat import MOST_TOLD, SILENT_SECONDS, START_SECONDS, Heart, Pulse


def test_one_that_beats_never_hangs() -> None:
    pulse = Pulse()
    heart = Heart(os.dup(pulse.theirs))
    pulse.started()
    for _ in range(100):
        heart.beat()
        assert not pulse.feel(SILENT_SECONDS)
    assert pulse.felt
    pulse.close()
    pulse.close()


def test_a_beat_says_how_much_there_is_to_do() -> None:
    pulse = Pulse()
    told = iter((0, 1, 2, MOST_TOLD, MOST_TOLD + 1, 1_000_000))
    heart = Heart(pulse.theirs, lambda: next(told))
    assert pulse.busy == 0
    for expected in (0, 1, 2, MOST_TOLD, MOST_TOLD, MOST_TOLD):
        heart.beat()
        assert not pulse.feel(1.0)
        assert pulse.felt and pulse.busy == expected
    pulse.close()


def test_silence_counts_from_the_last_beat_and_is_told_until_given_up() -> None:
    pulse = Pulse()
    Heart(pulse.theirs).beat()
    assert not pulse.feel(100.0)
    assert not any(pulse.feel(1.0) for _ in range(int(SILENT_SECONDS)))
    assert pulse.feel(1.0)
    assert pulse.feel(1.0)
    pulse.give_up()
    assert not pulse.feel(1.0)
    pulse.close()


def test_a_start_may_take_longer() -> None:
    pulse = Pulse()
    assert not pulse.feel(SILENT_SECONDS + 1)
    assert not pulse.felt
    assert pulse.feel(START_SECONDS)
    pulse.close()


def test_an_end_is_no_silence() -> None:
    pulse = Pulse()
    pulse.started()
    assert not any(pulse.feel(START_SECONDS) for _ in range(5))
    pulse.close()
    assert not pulse.feel(START_SECONDS)


def test_a_full_or_broken_pipe_holds_nobody_up() -> None:
    pulse = Pulse()
    heart = Heart(os.dup(pulse.theirs))
    for _ in range(100_000):
        heart.beat()
    pulse.close()
    heart.beat()
    Heart(None).beat()


def test_a_loop_beats_by_itself() -> None:
    pulse = Pulse()

    async def main() -> None:
        Heart(pulse.theirs).beat_in(asyncio.get_running_loop())
        Heart(None).beat_in(asyncio.get_running_loop())

    asyncio.run(main())
    assert not pulse.feel(START_SECONDS)
    assert pulse.felt
    pulse.close()
