"""A channel: levels, folding, rates, retries, bounds; and that one delays no other."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest

from casemate.detection import Since
from casemate.model.facts import Fact
from casemate.model.level import Level
from casemate.model.response_facts import AlertFailed, AlertSent
from casemate.monitor import outlet as outlet_module
from casemate.monitor.errors import UndeliveredError
from casemate.monitor.escalating import seconds_alone, seconds_of_night, waits_for_morning
from casemate.monitor.messages import Kind, Message
from casemate.monitor.outlet import MAX_FOLDED, MAX_WAITING, RULE_PER_MINUTE, Outlet, said
from support.monitor import Sink, channel, found, running
from support.waiting import until


class World:
    def __init__(self, **settings: object) -> None:
        self.sink = Sink()
        self.told: list[Fact] = []
        self.outlet = Outlet(
            "pager", channel(**settings), self.sink.send, node="test", tell=self.told.append
        )
        self.task = asyncio.get_running_loop().create_task(self.outlet.run())

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@running
async def test_what_is_grave_enough_is_told_and_recorded() -> None:
    world = World(level="high")
    world.outlet.put(found(1, level=Level.MEDIUM))
    world.outlet.put(found(2, level=Level.HIGH))
    world.outlet.put(found(3, level=Level.CRITICAL))
    await until(lambda: len(world.sink.ids) == 2)
    assert set(world.sink.ids) == {found(2).id, found(3).id}
    assert all(isinstance(each, AlertSent) for each in world.told)
    assert world.outlet.state.sent == 2
    await world.end()


@running
async def test_alike_ones_are_folded_and_told_with_their_count_later() -> None:
    world = World(fold=3600)
    first = found(1)
    world.outlet.put(first)
    await until(lambda: world.sink.ids)
    for n in range(2, 6):
        world.outlet.put(found(n, entity=first.entity, at=first.at + n, count=10))
    assert world.outlet.state.folded == 4
    world.outlet.put(found(9, entity=first.entity, at=first.at + 3601, count=1))
    await until(lambda: len(world.sink.ids) == 2)
    assert world.sink.messages[1].found[0].count == 41
    await world.end()


@running
async def test_what_is_to_be_told_again_is_folded_no_more() -> None:
    world = World(fold=3600)
    for n, entity in enumerate(("a", "b", "a", "b")):
        world.outlet.put(found(n, entity=entity))
    world.outlet.tell_again(found(0, entity="a"))
    again = World(fold=3600)
    again.outlet.recall(world.outlet.remembered())
    again.outlet.put(found(4, entity="a"))
    again.outlet.put(found(5, entity="b"))
    assert again.outlet.state.waiting == 3
    again.outlet.tell_again()
    again.outlet.put(found(6, entity="b"))
    assert again.outlet.state.waiting == 4
    await world.end()
    await again.end()


@running
async def test_a_channel_counts_what_came_since_findings_that_it_tells() -> None:
    world = World(level="high")
    first = found(1, level=Level.HIGH)
    world.outlet.put(first)
    world.outlet.put(found(2, entity=first.entity, at=first.at + 5, level=Level.HIGH))
    since = {Level.LOW: Since(100, first.at + 50), Level.CRITICAL: Since(7, first.at + 9)}
    state = world.outlet.state_with(since)
    assert (state.folded, state.again, state.folded_at) == (1, 7, first.at + 9)
    assert world.outlet.state_with({}).folded_at == first.at + 5
    await world.end()


@running
async def test_a_flood_of_one_rule_goes_in_few_messages() -> None:
    world = World()
    for n in range(300):
        world.outlet.put(found(n))
    world.outlet.put(found(999, rule="another"))
    await until(lambda: len(set(world.sink.ids)) == 301)
    assert len(world.sink.messages) <= RULE_PER_MINUTE + 1
    await world.end()


@running
async def test_a_flood_tells_of_none_before_its_turn() -> None:
    """Neither those that somebody may take yet, nor what waits for the morning."""
    world = World(after=3600)
    for n in range(RULE_PER_MINUTE + 5):
        world.outlet.put(found(n, at=time.time()))
    due = found(999, at=time.time() - 3600)
    world.outlet.put(due)
    await until(lambda: world.sink.ids)
    await asyncio.sleep(0.05)
    assert world.sink.ids == [due.id]
    await world.end()


@running
async def test_no_more_messages_a_minute_than_the_settings_say() -> None:
    world = World(per_minute=3)
    for n in range(10):
        world.outlet.put(found(n, rule=f"rule-{n}"))
    await until(lambda: len(world.sink.messages) == 3)
    await asyncio.sleep(0.1)
    assert len(world.sink.messages) == 3
    assert world.outlet.state.waiting == 7
    await world.end()


@running
async def test_the_gravest_goes_first() -> None:
    world = World(per_minute=1)
    world.outlet.put(found(1, level=Level.MEDIUM))
    world.outlet.put(found(2, level=Level.CRITICAL, rule="grave"))
    await until(lambda: world.sink.ids)
    assert world.sink.ids == [found(2).id]
    await world.end()


@running
async def test_what_is_not_taken_is_tried_again(
    monkeypatch: pytest.MonkeyPatch | None = None,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outlet_module, "FIRST_PAUSE", 0.01)
        world = World()
        world.sink.problem = UndeliveredError("It answers 500.")
        world.outlet.put(found(1))
        await until(lambda: world.outlet.state.problem == "It answers 500.")
        assert world.outlet.state.waiting == 1
        world.sink.problem = None
        await until(lambda: world.sink.ids == [found(1).id])
        assert world.outlet.state.problem == ""
        await world.end()


@running
async def test_what_is_never_taken_is_given_up_and_told() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outlet_module, "FIRST_PAUSE", 0.001)
        patch.setattr(outlet_module, "LONGEST_PAUSE", 0.001)
        patch.setattr(outlet_module, "MAX_ATTEMPTS", 3)
        world = World()
        world.sink.problem = ValueError("rubbish \x1b[31m answer")
        world.outlet.put(found(1))
        await until(lambda: world.outlet.state.failed == 1)
        [told] = world.told
        assert isinstance(told, AlertFailed)
        assert told.findings == (found(1).id,)
        assert "\x1b" not in told.reason
        assert world.outlet.state.waiting == 0
        await world.end()


@running
async def test_one_that_hangs_is_given_up_for_now_and_delays_no_other() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outlet_module, "ATTEMPT_SECONDS", 0.05)
        hanging, other = World(), World()
        hanging.sink.hangs = True
        hanging.outlet.put(found(1))
        other.outlet.put(found(1))
        await until(lambda: other.sink.ids)
        await until(lambda: "was not taken within" in hanging.outlet.state.problem)
        patch.setattr(outlet_module, "ATTEMPT_SECONDS", 60.0)
        message = Message(kind=Kind.FINDING, node="n", at=1.0, found=(found(2),))
        again = asyncio.ensure_future(hanging.outlet.deliver(message))
        await asyncio.sleep(0.01)
        assert hanging.outlet.state.problem, "one that is tried again does not look well meanwhile"
        again.cancel()
        await hanging.end()
        await other.end()


@running
async def test_what_waits_is_bounded_and_the_gravest_stay() -> None:
    world = World()
    world.sink.hangs = True
    world.outlet.put(found(0, level=Level.CRITICAL))
    for n in range(1, MAX_WAITING + 20):
        world.outlet.put(found(n, level=Level.MEDIUM))
    state = world.outlet.state
    assert state.waiting == MAX_WAITING
    assert state.dropped == state.failed == 20
    assert found(0).id in world.outlet._waiting
    assert sum(len(each.findings) for each in world.told) == 20  # type: ignore[attr-defined]
    await world.end()


@running
async def test_what_is_known_of_entities_is_bounded() -> None:
    world = World()
    world.sink.hangs = True
    for n in range(MAX_FOLDED + 100):
        world.outlet.put(found(n))
    assert len(world.outlet._folded) == MAX_FOLDED
    await world.end()


@running
async def test_it_goes_on_from_what_was_remembered() -> None:
    world = World()
    world.sink.hangs = True
    world.outlet.put(found(1))
    world.outlet.put(found(2))
    await world.end()
    after = World()
    after.outlet.recall(world.outlet.remembered())
    after.outlet.put(found(1))
    after.outlet.put(found(3, entity=found(1).entity, at=found(1).at + 5))
    after.outlet._work.set()
    await until(lambda: sorted(after.sink.ids) == [found(1).id, found(2).id])
    await after.end()


@running
async def test_what_the_journal_says_was_told_is_not_told_again() -> None:
    world = World(per_minute=1)
    world.outlet.put(found(1, rule="a"))
    await until(lambda: world.sink.ids)
    world.outlet.put(found(2, rule="b"))
    world.outlet.settle([found(2).id])
    assert world.outlet.state.waiting == 0
    await world.end()


@running
async def test_an_escalation_is_told_if_nobody_has_taken_it() -> None:
    """Not at once, once its time has come, and not if somebody works on it by then."""
    world = World(after=0.3)
    taken: set[str] = set()
    world.outlet.acknowledged = taken.__contains__
    first, second = found(1, at=time.time()), found(2, at=time.time())
    world.outlet.put(first)
    world.outlet.put(second)
    taken.add(first.id)
    await asyncio.sleep(0.1)
    assert world.sink.ids == []
    await until(lambda: world.sink.ids)
    assert world.sink.ids == [second.id] and world.outlet.state.waiting == 0
    await world.end()


@running
async def test_what_waits_for_an_escalation_is_told_after_a_kill() -> None:
    world = World(after=86_400)
    world.outlet.put(found(1, at=time.time()))
    kept = world.outlet.remembered()
    await world.end()
    again = World(after=0.1)
    again.outlet.recall(kept)
    await until(lambda: again.sink.ids)
    await again.end()


@pytest.mark.parametrize(
    ("quiet", "at", "hours"),
    [
        ("22:00-07:00", "23:00", 8.0),
        ("22:00-07:00", "06:30", 0.5),
        ("22:00-07:00", "07:00", 0.0),
        ("22:00-07:00", "21:59", 0.0),
        ("12:00-13:00", "12:15", 0.75),
        ("12:00-12:00", "12:00", 0.0),
        (None, "03:00", 0.0),
    ],
)
def test_quiet_hours(quiet: str | None, at: str, hours: float) -> None:
    now = 20_000 * 86_400.0 + 3600 * int(at[:2]) + 60 * int(at[3:])
    assert seconds_of_night(channel(quiet=quiet), now) == pytest.approx(3600 * hours)


def test_what_is_critical_waits_for_no_morning() -> None:
    assert waits_for_morning(found(1, level=Level.HIGH))
    assert not waits_for_morning(found(1, level=Level.CRITICAL))


def test_a_clock_that_jumps_lengthens_no_wait() -> None:
    each, settings = found(1, at=1e9), channel(after=600)
    assert seconds_alone(settings, each, 1e9 - 1e6) == 600
    assert seconds_alone(settings, each, 1e9 + 1e6) == 0


class Clock:
    """The time of day, which is set; the loop's clock goes on."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.now = 20_000 * 86_400.0 + 3600 * 23

    def time(self) -> float:
        return self.now


@running
async def test_a_clock_that_is_set_ends_a_night_and_begins_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is asked when something could be sent, not once when it was found."""
    clock = Clock()
    monkeypatch.setattr(outlet_module, "time", clock)
    monkeypatch.setattr(outlet_module, "_MINUTE", 0.05)
    world = World(quiet="22:00-07:00")
    night = clock.now
    world.outlet.put(found(1, at=night))
    await asyncio.sleep(0.2)
    assert world.sink.ids == [] and world.outlet.state.waiting == 1
    clock.now = night + 9 * 3600  # it is morning: somebody has set it right
    await until(lambda: world.sink.ids)
    clock.now = night
    world.outlet.put(found(2, at=night))
    await asyncio.sleep(0.2)
    assert world.sink.ids == [found(1).id]
    # What is critical, and what has waited for a day, wakes people whatever the clock says.
    world.outlet.put(found(3, at=night, level=Level.CRITICAL))
    await until(lambda: len(world.sink.ids) == 2)
    assert world.sink.ids[-1] == found(3).id
    for waiting in world.outlet._waiting.values():
        waiting.latest -= 86_400.0
    await until(lambda: len(world.sink.ids) == 3)
    await world.end()


@running
async def test_what_was_refused_by_day_is_not_tried_again_at_night(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    clock.now -= 2 * 3600
    monkeypatch.setattr(outlet_module, "time", clock)
    monkeypatch.setattr(outlet_module, "FIRST_PAUSE", 0.05)
    world = World(quiet="22:00-07:00")
    world.sink.problem = UndeliveredError("down")
    world.outlet.put(found(1, at=clock.now))
    await until(lambda: world.outlet.state.problem)
    clock.now += 2 * 3600
    world.sink.problem = None
    await asyncio.sleep(0.4)
    assert world.sink.ids == [] and world.outlet.state.waiting == 1
    await world.end()


def test_a_server_without_tls_is_named_as_such() -> None:
    """Before: `SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1029)`."""
    answered, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = ssl.create_default_context().wrap_bio(answered, sent, server_hostname="mail.example")
    with pytest.raises(ssl.SSLWantReadError):
        talk.do_handshake()
    answered.write(b"220 mail.example ESMTP\r\n")
    with pytest.raises(ssl.SSLError) as found:
        talk.do_handshake()
    assert "starttls = true" in said(found.value)
