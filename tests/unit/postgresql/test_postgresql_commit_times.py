"""Commits that are slow, or are not answered, are told; a single one is not."""

from __future__ import annotations

import threading
import time

import pytest
from postgresql_samples import connect, connections

from casemate.postgresql import commit_times
from casemate.postgresql.commit_times import RECENT_SECONDS, WAITS_SECONDS, CommitTimes


class Clock:
    """Goes as it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def commit(times: CommitTimes, clock: Clock, seconds: float) -> None:
    with times.timed():
        clock.now += seconds


def test_a_few_slow_ones_are_told_until_they_are_fast_again_or_long_ago() -> None:
    clock = Clock()
    times = CommitTimes(clock)
    commit(times, clock, 9.0)
    commit(times, clock, 2.0)
    assert times.fault() == ""
    commit(times, clock, 2.0)
    assert times.fault().startswith("commits take 2.0 s on the database server")
    for _ in range(3):
        assert times.fault()
        commit(times, clock, 0.01)
    assert times.fault() == ""
    for _ in range(5):
        commit(times, clock, 2.0)
    assert times.fault()
    clock.now += RECENT_SECONDS
    assert times.fault() == ""


def test_one_that_is_not_answered_is_told_before_it_ends() -> None:
    clock = Clock()
    times = CommitTimes(clock)
    with pytest.raises(ValueError), times.timed():
        assert times.fault() == ""
        clock.now += WAITS_SECONDS
        assert times.fault().endswith("by the database server for 5 s")
        raise ValueError
    assert times.fault() == ""


def test_connections_tell_of_their_writers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a server whose commits are slow. Before: nobody was told."""
    monkeypatch.setattr(commit_times, "SLOW_SECONDS", 0.05)
    monkeypatch.setattr(commit_times, "WAITS_SECONDS", 0.2)
    slow = connect(url)
    slow.define(
        "CREATE FUNCTION tests.later() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(NEW.c); RETURN NULL; END'; "
        "CREATE CONSTRAINT TRIGGER later AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION tests.later()"
    )
    slow.close()
    opened = connections(url)
    writer = opened.own(opened.open_writer())
    doubts = opened.faults()  # the server of the tests forgets everything

    def change(seconds: float) -> None:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t (c) VALUES (?)", (seconds,))
        writer.execute("COMMIT")

    for seconds in (0.06, 0.06, 0.06, 0.06):
        change(seconds)
    (told,) = opened.faults()[len(doubts) :]
    assert told.startswith("commits take 0.1 s on the database server")
    waiting = threading.Thread(target=change, args=(0.6,))
    waiting.start()
    time.sleep(0.4)
    assert "has not been answered" in opened.faults()[-1]
    waiting.join()
    opened.end(writer.as_engine())
    opened.close()
