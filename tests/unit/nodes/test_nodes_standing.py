"""When a node takes no calls, by clocks that go on while it is stopped."""

from __future__ import annotations

from casemate.nodes.standing import LEAVE_SECONDS, Standing


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_node_alone_always_takes_calls() -> None:
    clock = Clock()
    standing = Standing(None, clock)
    clock.now += 1e6
    assert (standing.refusal(), standing.age) == ("", 0.0)


def test_what_is_too_old_is_not_decided_on_the_moment_it_is() -> None:
    """A process that was stopped and wakes asks this before any task of its own runs."""
    clock = Clock()
    standing = Standing(10.0, clock)
    clock.now += 10.0
    assert standing.refusal() == ""
    clock.now += 0.1
    assert "10 s" in standing.stale()
    standing.known(clock.now - 11)  # what was asked before it was stopped says nothing
    assert standing.stale()
    standing.known(clock.now)
    assert standing.stale() == ""


def test_what_was_known_later_is_not_forgotten() -> None:
    clock = Clock()
    standing = Standing(10.0, clock)
    standing.known(105.0)
    standing.known(101.0)
    clock.now = 114.0
    assert standing.stale() == ""


def test_a_drained_node_rests_and_returns_and_both_are_told_once() -> None:
    clock, told = Clock(), []
    standing = Standing(10.0, clock)
    standing.on_rest = lambda: told.append("rest")
    standing.on_return = lambda: told.append("return")
    standing.drain(True)
    assert (standing.refusal(), standing.stale()) == ("The node is drained.", "")
    standing.known(clock.now)
    standing.drain(False)
    standing.drain(False)
    assert told == ["rest", "return"]


def test_calls_that_still_come_are_taken_for_a_while_and_no_events() -> None:
    """Who spreads calls over nodes has asked by then whether it is ready."""
    clock = Clock()
    standing = Standing(30.0, clock)
    standing.drain(True)
    assert standing.refusal() and not standing.calls_refusal()
    clock.now += LEAVE_SECONDS - 0.1
    assert not standing.calls_refusal()
    clock.now += 0.2
    assert standing.calls_refusal() == "The node is drained."
    standing.drain(False)
    assert not standing.calls_refusal()
    standing.drain(True)
    standing.lose("another one is in its place")
    assert standing.calls_refusal() == "another one is in its place"


def test_it_does_not_return_while_it_is_drained_and_knows_too_little() -> None:
    clock, told = Clock(), []
    standing = Standing(10.0, clock)
    standing.on_return = lambda: told.append("return")
    standing.drain(True)
    clock.now += 20
    standing.drain(False)
    assert told == []
    standing.known(clock.now)
    assert told == ["return"]


def test_a_wrong_clock_and_a_lost_place_are_named() -> None:
    standing = Standing(10.0, Clock())
    standing.doubt_clock(-3600.0)
    assert "-3600 s off" in standing.stale()
    standing.doubt_clock(0.0)
    assert standing.stale() == ""
    standing.lose("Another is this node now.")
    standing.drain(False)
    standing.known(100.0)
    assert standing.refusal() == "Another is this node now."
