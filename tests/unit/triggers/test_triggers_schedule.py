"""Schedules over restarts, kills, clocks that are set, redeploys, and data that fails."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from triggers_schedule import START, Clock, MemoryData, settle, version

from casemate.data.coordination import SCHEDULES, Watcher
from casemate.model.event import Event
from casemate.model.trigger import Missed, ScheduleTrigger, TriggerKind
from casemate.triggers import schedule as module
from casemate.triggers.schedule import Schedules
from casemate.triggers.schedule_times import CronTimes

MINUTELY = ScheduleTrigger(name="tick", every=60.0, missed=Missed.ALL, data='{"report": 7}')


class Node:
    """What starts, ends and is killed around the data."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.data = MemoryData()
        self.live = [version(MINUTELY)]
        self.schedules = Schedules(self.data, self.clock, self.clock.monotonic)

    async def start(self) -> None:
        self.schedules = Schedules(self.data, self.clock, self.clock.monotonic)
        self.schedules.replace(self.live)
        await settle(self.schedules)

    async def at(self, seconds: float) -> None:
        """Let the time be so many seconds after the start of everything."""
        self.clock.go_on(START + seconds - self.clock.now)
        await settle(self.schedules)

    async def set(self, seconds: float) -> None:
        """Set the clock to that."""
        self.clock.now = START + seconds
        await settle(self.schedules)

    def kill(self) -> None:
        """Forget everything but the data."""
        if self.schedules._timer is not None:
            self.schedules._timer.cancel()
        self.schedules._closed = True

    @property
    def offsets(self) -> list[float]:
        return [at - START for at in self.data.times()]


def run(body: Callable[[Node], Awaitable[None]]) -> None:
    async def main() -> None:
        node = Node()
        try:
            await body(node)
        finally:
            await node.schedules.close()

    asyncio.run(main())


def test_each_time_is_one_event_in_the_inbox() -> None:
    async def body(node: Node) -> None:
        await node.start()
        for second in range(0, 200, 7):
            await node.at(second)
        assert node.offsets == [60.0, 120.0, 180.0]
        project, kind, name, message = node.data.sent[0]
        assert (project, kind, name) == ("shop", "inbox", "report")
        assert message.expires_at == START + 63 + 6 * 3600, "from when it is kept"
        event = msgspec.json.decode(message.body, type=Event)
        assert event.kind is TriggerKind.SCHEDULE
        assert event.type == "casemate.schedule.tick"
        assert event.source == "/projects/shop/schedules/report/tick"
        assert event.trigger == "tick"
        assert event.time == START + 60
        assert bytes(event.data) == b'{"report": 7}'
        assert event.detail == {"name": "tick", "scheduled_at": START + 60, "missed": 0}
        assert len({event.id for event in node.data.events()}) == 3

    run(body)


def test_it_tells_when_each_is_due() -> None:
    async def body(node: Node) -> None:
        daily = ScheduleTrigger(name="daily", cron="0 12 * * *", timezone="Europe/Zurich")
        node.live = [version(MINUTELY, daily)]
        await node.start()
        found = {status.name: status for status in node.schedules.statuses("shop", "report")}
        assert found["tick"].next_at == START + 60
        assert found["daily"].next_at == START + 10_800
        assert (found["daily"].cron, found["daily"].timezone) == ("0 12 * * *", "Europe/Zurich")
        assert node.schedules.statuses("shop", "other") == ()
        node.data.fail_before = 1
        await node.at(60)
        assert [s.failing for s in node.schedules.statuses("shop", "report")] == [False, True]
        await node.at(65)
        assert [s.failing for s in node.schedules.statuses("shop", "report")] == [False, False]
        node.live = []
        node.schedules.replace(())
        assert node.schedules.statuses("shop", "report") == ()

    run(body)


def test_the_timer_does_it_by_itself() -> None:
    async def main() -> None:
        data = MemoryData()
        schedules = Schedules(data)
        now = asyncio.get_running_loop().time
        begin = now()
        live = [
            version(ScheduleTrigger(name="fast", every=0.05), created_at=module.time.time()),
        ]
        schedules.replace(live)
        while len(data.sent) < 5 and now() - begin < 10:
            await asyncio.sleep(0.01)
        await schedules.close()
        count = len(data.sent)
        assert count >= 5
        times = data.times()
        assert all(b - a == pytest.approx(0.05, abs=1e-5) for a, b in itertools.pairwise(times))
        await asyncio.sleep(0.2)
        assert len(data.sent) == count, "a closed trigger sends nothing"

    asyncio.run(main())


def test_nothing_is_missed_before_the_deploy_nor_shifted_by_a_restart() -> None:
    async def body(node: Node) -> None:
        await node.at(30)
        node.live = [version(MINUTELY, created_at=START + 30)]
        await node.start()
        await node.at(85)
        node.kill()
        await node.start()
        await node.at(95)
        assert node.offsets == [90.0]

    run(body)


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        (Missed.SKIP, [60.0, 660.0]),
        (Missed.ONCE, [60.0, 600.0, 660.0]),
        (Missed.ALL, [float(at) for at in range(60, 720, 60)]),
    ],
)
def test_what_was_missed_while_the_node_did_not_run(missed, expected) -> None:
    async def body(node: Node) -> None:
        node.live = [version(msgspec.structs.replace(MINUTELY, missed=missed))]
        await node.start()
        await node.at(60)
        node.kill()
        node.clock.now = START + 610
        await node.start()
        await node.at(660)
        assert node.offsets == expected
        if missed is Missed.ONCE:
            assert [e.detail["missed"] for e in node.data.events()] == [0, 8, 0]

    run(body)


def test_at_most_a_thousand_of_the_missed() -> None:
    async def body(node: Node) -> None:
        await node.start()
        node.kill()
        node.clock.now = START + 60 * 5000
        await node.start()
        assert len(node.offsets) == 1000
        assert node.offsets[-1] == 60 * 5000
        assert node.data.writes == 2, "all of them in one transaction"
        await node.at(60 * 5001)
        assert node.offsets[-1] == 60 * 5001

    run(body)


@pytest.mark.parametrize("many", [1, 12])
@pytest.mark.parametrize("missed", [Missed.ONCE, Missed.ALL])
def test_others_have_their_turns_while_missed_times_are_looked_for(
    many: int, missed: Missed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, hundreds of schedules held the node's event loop for 50 ms each."""
    looked, most = 0, 0
    after, made = CronTimes.after, Schedules._message

    def counted(times: CronTimes, moment: float) -> float | None:
        nonlocal looked
        looked += 4
        return after(times, moment)

    def counted_event(schedules: Schedules, *rest: Any) -> Any:
        nonlocal looked
        looked += 1
        return made(schedules, *rest)

    async def others() -> None:
        nonlocal looked, most
        while True:
            most, looked = max(most, looked), 0
            await asyncio.sleep(0)

    async def body(node: Node) -> None:
        node.live = [
            version(ScheduleTrigger(name="tick", cron="* * * * *", missed=missed), function=f"f{n}")
            for n in range(many)
        ]
        await node.start()
        node.kill()
        node.clock.now = START + 17 * 3600
        monkeypatch.setattr(CronTimes, "after", counted)
        monkeypatch.setattr(Schedules, "_message", counted_event)
        turns = asyncio.create_task(others())
        await asyncio.sleep(0)
        await node.start()
        turns.cancel()
        assert len(node.data.sent) == many * (1000 if missed is Missed.ALL else 2)

    run(body)
    # Of both there is at most one piece in a turn, beside the next time of those that are done.
    assert most <= 4 * 16 + 64 + 4 * 8


def test_a_deploy_that_was_killed_before_its_position_was_kept() -> None:
    async def body(node: Node) -> None:
        node.clock.now = START + 61  # deployed at START; nothing was ever written
        await node.start()
        assert node.offsets == [60.0]

    run(body)


def test_a_version_that_becomes_live_later_missed_nothing() -> None:
    async def body(node: Node) -> None:
        node.live = []
        await node.start()
        await node.at(10_000)
        node.schedules.replace([version(MINUTELY)])
        await settle(node.schedules)
        assert node.offsets == []
        await node.at(10_020)
        assert node.offsets == [10_020.0], "still counted from its deploy"

    run(body)


def test_what_passes_while_a_schedule_is_removed_is_not_missed() -> None:
    async def body(node: Node) -> None:
        await node.start()
        await node.at(60)
        node.schedules.replace([])
        await settle(node.schedules)
        await node.at(600)
        assert not node.schedules._schedules, "nothing is left of it in memory"
        node.schedules.replace([version(MINUTELY, number=2, created_at=START + 600)])
        await settle(node.schedules)
        await node.at(660)
        assert node.offsets == [60.0, 660.0]
        # The same, with the node down in between.
        node.schedules.replace([])
        await settle(node.schedules)
        node.kill()
        node.clock.now = START + 1200
        node.live = [version(MINUTELY, number=1)]
        await node.start()
        await node.at(1260)
        # It was live when the node started, so what is after its removal counts.
        assert node.offsets[2:] == [float(at) for at in range(720, 1261, 60)]

    run(body)


def test_a_redeploy_with_the_same_schedule_changes_nothing_of_it() -> None:
    async def body(node: Node) -> None:
        await node.start()
        for second in range(0, 300, 50):  # more often than it comes
            await node.at(second)
            number = 2 + second
            node.schedules.replace([version(MINUTELY, number=number, created_at=START + second)])
            await settle(node.schedules)
        assert node.offsets == [60.0, 120.0, 180.0, 240.0]

    run(body)


def test_another_schedule_of_the_same_name_starts_anew() -> None:
    async def body(node: Node) -> None:
        await node.start()
        await node.at(90)
        slower = msgspec.structs.replace(MINUTELY, every=100.0)
        node.schedules.replace([version(slower, number=2, created_at=START + 90)])
        await settle(node.schedules)
        await node.at(189)
        assert node.offsets == [60.0]
        await node.at(190)
        assert node.offsets == [60.0, 190.0]

    run(body)


def test_other_data_comes_with_the_next_time() -> None:
    async def body(node: Node) -> None:
        await node.start()
        await node.at(60)
        newer = msgspec.structs.replace(MINUTELY, data='"new"')
        node.schedules.replace([version(newer, number=2, created_at=START + 60)])
        await settle(node.schedules)
        await node.at(120)
        assert [bytes(event.data) for event in node.data.events()] == [b'{"report": 7}', b'"new"']
        node.schedules.replace([version(number=3)])
        await settle(node.schedules)
        await node.at(180)
        assert node.offsets == [60.0, 120.0]

    run(body)


@pytest.mark.parametrize("policy", list(Missed))
def test_a_clock_set_forward_is_time_that_was_missed(policy) -> None:
    async def body(node: Node) -> None:
        node.live = [version(msgspec.structs.replace(MINUTELY, missed=policy))]
        await node.start()
        await node.at(60)
        await node.set(3605)
        expected = {Missed.SKIP: 1, Missed.ONCE: 2, Missed.ALL: 60}[policy]
        assert len(node.offsets) == expected
        assert node.offsets[-1] == (60.0 if policy is Missed.SKIP else 3600.0)
        await node.at(3660)
        assert node.offsets[-1] == 3660.0

    run(body)


@pytest.mark.parametrize("policy", list(Missed))
def test_what_a_clock_set_forward_a_little_leaves_out_is_late_and_not_missed(policy) -> None:
    async def body(node: Node) -> None:
        node.live = [version(msgspec.structs.replace(MINUTELY, missed=policy))]
        await node.start()
        await node.at(59)
        await node.set(90)
        assert node.offsets == [60.0]
        assert node.data.events()[0].detail["missed"] == 0

    run(body)


def test_a_clock_set_back_a_little_repeats_nothing() -> None:
    async def body(node: Node) -> None:
        cron = ScheduleTrigger(name="tick", cron="*/10 * * * *")
        node.live = [version(cron)]
        await node.start()
        await node.at(1200)
        assert node.offsets == [600.0, 1200.0]
        await node.set(-4000)
        await node.at(1200)
        assert node.offsets == [600.0, 1200.0]
        await node.at(1800)
        assert node.offsets == [600.0, 1200.0, 1800.0]

    run(body)


def test_a_clock_set_back_makes_no_coming_time_a_missed_one() -> None:
    async def body(node: Node) -> None:
        cron = ScheduleTrigger(name="tick", cron="0 12 * * *", missed=Missed.SKIP)
        node.live = [version(cron)]
        node.clock.now = START + 20 * 3600
        await node.start()
        before = len(node.offsets)
        await node.set(0)
        await node.at(86400)
        assert len(node.offsets) == before + 1

    run(body)


def test_a_clock_that_was_years_ahead_stops_nothing() -> None:
    async def body(node: Node) -> None:
        cron = ScheduleTrigger(name="other", cron="*/10 * * * *")
        node.live = [version(MINUTELY, cron)]
        await node.start()
        await node.set(1e8)
        ahead = len(node.offsets)
        await node.set(0)
        await node.at(59)
        assert len(node.offsets) == ahead
        await node.at(600)
        assert sorted(node.offsets[ahead:])[-2:] == [600.0, 600.0]

    run(body)


def test_a_clock_that_is_set_is_noticed_while_the_timer_sleeps(monkeypatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.02)

    async def body(node: Node) -> None:
        node.live = [version(ScheduleTrigger(name="tick", every=86400.0))]
        await node.start()
        node.clock.now = START + 86400
        await asyncio.sleep(0.2)
        assert node.offsets == [86400.0]

    run(body)


def test_data_that_fails_delays_and_does_not_double_or_drop() -> None:
    async def body(node: Node) -> None:
        node.live = [version(msgspec.structs.replace(MINUTELY, missed=Missed.SKIP))]
        await node.start()
        node.data.fail_before = 3
        await node.at(60)
        assert node.offsets == []
        for second in (61, 63, 67, 75):
            await node.at(second)
        assert node.offsets == [60.0]
        node.data.fail_after = 1  # written, but nobody was told
        await node.at(120)
        await node.at(125)
        await node.at(180)
        assert node.offsets == [60.0, 120.0, 180.0]
        node.data.fail_before = 8  # longer than what is late: still not missed, the node ran
        await node.at(240)
        for second in range(241, 600):
            await node.at(second)
        assert node.offsets[3:5] == [240.0, 300.0]

    run(body)


def test_one_that_fails_does_not_hold_up_another() -> None:
    async def body(node: Node) -> None:
        broken = ScheduleTrigger(name="broken", cron="not cron")
        node.live = [version(broken, MINUTELY)]
        await node.start()
        await node.at(60)
        assert node.offsets == [60.0]

    run(body)


def test_a_position_that_is_none_starts_anew() -> None:
    async def body(node: Node) -> None:
        node.data.positions["shop", "schedule/report/tick"] = b"rubbish"
        await node.start()
        await node.at(60)
        assert node.offsets == [60.0]

    run(body)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_happens_each_time_comes_once_and_in_order(data) -> None:
    """Kills, failures before and after the write, redeploys: the times are those of the rate."""

    async def body(node: Node) -> None:
        await node.start()
        second = 0.0
        for _ in range(data.draw(st.integers(5, 25))):
            happening = data.draw(st.sampled_from(["kill", "before", "after", "deploy", "time"]))
            if happening == "kill":
                node.kill()
                await asyncio.sleep(0)
                node.clock.now += data.draw(st.floats(0, 400))
                second = node.clock.now - START
                await node.start()
            elif happening == "before":
                node.data.fail_before = data.draw(st.integers(1, 4))
            elif happening == "after":
                node.data.fail_after = 1
            elif happening == "deploy":
                node.live = [version(MINUTELY, number=int(second) + 2, created_at=START + second)]
                node.schedules.replace(node.live)
                if data.draw(st.booleans()):
                    await settle(node.schedules)
            second += data.draw(st.floats(0, 150))
            await node.at(second)
        node.data.fail_before = node.data.fail_after = 0
        for _ in range(3):
            second += 61
            await node.at(second)
        assert node.offsets == [60.0 * k for k in range(1, int(second // 60) + 1)]

    run(body)


class Leading:
    """Coordination of a node that leads when a test says so."""

    def __init__(self, clock: Clock, leads: bool) -> None:
        self.clock = clock
        self.is_leader = leads
        self.sought: set[str] = set()
        self.watchers: list[Watcher] = []

    def leads(self, kind: str, project: str) -> bool:
        return self.is_leader and kind == SCHEDULES and project in self.sought

    def seek(self, kind: str, projects: Iterable[str]) -> None:
        self.sought = set(projects)

    def watch(self, watcher: Watcher) -> None:
        self.watchers.append(watcher)

    def lead(self, now: bool) -> None:
        self.is_leader = now
        for watcher in self.watchers:
            watcher.changed()


def among(data: MemoryData, clock: Clock, leads: bool) -> tuple[Schedules, Leading]:
    leading = Leading(clock, leads)
    return Schedules(data, monotonic=clock.monotonic, coordination=leading), leading  # type: ignore[arg-type]


def test_only_the_node_that_leads_sends_and_the_next_one_goes_on_from_there() -> None:
    async def scene() -> None:
        data, clock = MemoryData(), Clock()
        first, leading = among(data, clock, True)
        second, waiting = among(data, clock, False)
        live = [version(ScheduleTrigger(name="tick", every=10.0))]
        for schedules in (first, second):
            schedules.replace(live)
            await settle(schedules)
        for _ in range(3):
            clock.go_on(10.0)
            await settle(second)
            await settle(first)
        assert data.times() == [START + 10, START + 20, START + 30]
        assert data.writes == 4
        # What it shows is when the next one is, though it does not send.
        await settle(second)
        (status,) = second.statuses("shop", "report")
        assert status.next_at == START + 40
        # The first is gone for a while: nothing is left out, nothing comes twice.
        leading.lead(False)
        clock.go_on(25.0)
        await settle(first)
        assert len(data.sent) == 3
        waiting.lead(True)
        await settle(second)
        assert data.times() == [START + n for n in (10, 20, 30, 40, 50)]
        await settle(first)
        clock.go_on(10.0)
        await settle(first)
        await settle(second)
        assert data.times()[5:] == [START + 60]
        await first.close()
        await second.close()

    asyncio.run(scene())


def test_two_nodes_that_both_believe_that_they_lead_send_each_time_once() -> None:
    async def scene() -> None:
        data, clock = MemoryData(), Clock()
        nodes = [among(data, clock, True)[0] for _ in range(3)]
        live = [version(ScheduleTrigger(name="tick", every=10.0))]
        for schedules in nodes:
            schedules.replace(live)
        for _ in range(6):
            await asyncio.gather(*map(settle, nodes))
            clock.go_on(10.0)
        await asyncio.gather(*map(settle, nodes))
        times = data.times()
        assert times == sorted(set(times)) == [START + 10.0 * n for n in range(1, 7)]
        for schedules in nodes:
            await schedules.close()

    asyncio.run(scene())


def test_the_end_of_a_schedule_is_noted_by_the_node_that_leads() -> None:
    async def scene() -> None:
        data, clock = MemoryData(), Clock()
        first, leading = among(data, clock, True)
        second, waiting = among(data, clock, False)
        for schedules in (first, second):
            schedules.replace([version(ScheduleTrigger(name="tick", every=10.0))])
            await settle(schedules)
        for schedules in (second, first):
            schedules.replace([])
            await settle(schedules)
        assert b'"active":false' in next(iter(data.positions.values()))
        assert leading.sought == set() and waiting.sought == {"shop"}
        clock.go_on(61.0)
        await settle(second)
        assert waiting.sought == set()
        assert not first._schedules and not second._schedules
        assert data.sent == []
        await first.close()
        await second.close()

    asyncio.run(scene())
