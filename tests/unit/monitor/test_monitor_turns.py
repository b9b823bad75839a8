"""Whom alerts and pages reach: whose turn it is, exactly one of a rotation, whatever the hour."""

from __future__ import annotations

import asyncio
import time
from datetime import date
from typing import Any

import pytest

from casemate.model.level import Level
from casemate.monitor.alerting import MAX_PAGE_AGE, Alerting
from casemate.monitor.consumers import Happened
from casemate.monitor.on_call import Rotation
from casemate.monitor.outlet import PAGED, Outlet
from support.monitor import Sink, channel, found, running
from support.waiting import until

TODAY = date.fromtimestamp(time.time())
PRIMARY = Rotation(people=("ada", "bob"), every="day", at="00:00", begins=TODAY)
SECONDARY = Rotation(people=("eve",), begins=TODAY)


class World:
    def __init__(self, ada: dict[str, Any] | None = None, primary: Rotation = PRIMARY) -> None:
        self.sinks: dict[str, Sink] = {}
        outlets = {}
        for name, of in (("ada", "primary"), ("bob", "primary"), ("eve", "second"), ("team", "")):
            turn = {"on_call": of, "person": name} if of else {}
            given = {**turn, **((ada or {}) if name == "ada" else {})}
            self.sinks[name] = Sink()
            outlets[name] = Outlet(
                name, channel(**given), self.sinks[name].send, node="n", tell=lambda _: None
            )
        self.alerting = Alerting(outlets, {"primary": primary, "second": SECONDARY})
        loop = asyncio.get_running_loop()
        self.tasks = [loop.create_task(one.run()) for one in outlets.values()]

    def page(self, to: str = "*", page: str = "p1", at: float | None = None) -> None:
        event = {
            "unmapped": {"page": page, "to": to, "message": "The shop is\ndown"},
            "actor": {"user": {"name": "playbook:x"}},
        }
        told = Happened(1, "id-1", "PeoplePaged", time.time() if at is None else at, event)
        self.alerting.take([told])

    async def told(self) -> list[str]:
        await asyncio.sleep(0.1)
        return [name for name, sink in self.sinks.items() if sink.ids]

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@running
async def test_a_finding_is_told_to_whose_turn_it_is() -> None:
    world = World()
    turn = world.alerting.shifts(time.time(), 10)[0].person
    world.alerting.put(found(1, at=time.time()))
    other = "bob" if turn == "ada" else "ada"
    assert sorted(await world.told()) == sorted([turn, "eve", "team"])
    assert not world.sinks[other].ids
    await world.end()


@running
async def test_one_of_a_rotation_is_told_whatever_their_hours(monkeypatch: Any = None) -> None:
    """At each of many moments exactly one channel of the rotation takes it."""
    world = World(ada={"after": 900.0})
    genuine = time.time
    try:
        for step in range(60):
            moment = genuine() + 3600 * step
            time.time = lambda moment=moment: moment  # type: ignore[assignment,misc]
            turn = [one.name for one in world.alerting._whose_turn_it_is()]
            assert len(set(turn) & {"ada", "bob"}) == 1 and {"eve", "team"} <= set(turn)
    finally:
        time.time = genuine
    await world.end()


@pytest.mark.parametrize(
    ("to", "names"),
    [
        ("*", {"turn", "eve", "team"}),
        ("primary", {"turn"}),
        ("second", {"eve"}),
        ("team", {"team"}),
        ("ada", {"ada"}),
        ("bob", {"bob"}),
        ("nobody", set()),
    ],
)
def test_a_page_reaches_whom_it_names(to: str, names: set[str]) -> None:
    async def scene() -> None:
        world = World()
        turn = world.alerting.shifts(time.time(), 10)[0].person
        world.page(to)
        assert set(await world.told()) == {turn if one == "turn" else one for one in names}
        await world.end()

    asyncio.run(scene())


@running
async def test_no_hour_is_quiet_for_a_page_and_nobody_is_waited_for() -> None:
    quiet = {"quiet": "00:00-23:59", "after": 86_400.0, "level": "critical"}
    world = World(ada=quiet)
    world.alerting.put(found(1, level=Level.HIGH))
    world.page("ada")
    await until(lambda: world.sinks["ada"].ids)
    [message] = world.sinks["ada"].messages
    assert message.found[0].rule == PAGED and message.found[0].level is Level.CRITICAL
    assert message.found[0].title == "The shop is?down" and message.found[0].who == "playbook:x"
    await world.end()


@running
async def test_the_same_page_is_told_once_and_one_of_long_ago_not_at_all() -> None:
    world = World()
    for _ in range(3):
        world.page("team")
    await until(lambda: world.sinks["team"].ids)
    world.page("team")
    world.page("team", page="old", at=time.time() - MAX_PAGE_AGE - 1)
    await asyncio.sleep(0.1)
    assert len(world.sinks["team"].ids) == 1
    world.page("team", page="p2")
    await until(lambda: len(world.sinks["team"].ids) == 2)
    await world.end()


@running
async def test_a_page_waits_for_nobody_after_a_kill() -> None:
    world = World(ada={"after": 86_400.0})
    outlet = world.alerting.outlets["ada"]
    for task in world.tasks:
        task.cancel()
    world.page("ada")
    remembered = world.alerting.remembered()
    again = World(ada={"after": 86_400.0})
    again.alerting.recall(remembered)
    await until(lambda: again.sinks["ada"].ids)
    assert outlet.state.waiting == 1
    await again.end()


@running
async def test_what_says_nothing_harms_nothing() -> None:
    world = World()
    for event in ({}, {"unmapped": {}}, {"unmapped": {"to": 7, "message": None, "page": []}}):
        told = Happened(1, "i", "PeoplePaged", time.time(), {**event})  # type: ignore[dict-item]
        world.alerting.take([told])
    assert await world.told() == []
    await world.end()


@running
async def test_a_silence_of_a_clock_that_was_ahead_is_none_once_it_is_right() -> None:
    world = World()
    now = time.time()
    own = {"rule": "sql-injection", "seconds": 1800, "reason": "known"}
    world.alerting.take([Happened(1, "id-1", "AlertsSilenced", now + 1e8, {"unmapped": own})])
    world.alerting.put(found(1, at=now + 5, rule="sql-injection"))
    assert world.alerting.outlets["team"].silenced == 0
    assert world.alerting.silences(now) == (), "it said that it is one, for years"
    await world.end()


@running
async def test_a_clock_that_is_set_back_lengthens_no_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    now, steady = time.time(), time.monotonic()
    own = {"rule": "sql-injection", "seconds": 1800, "reason": "known"}
    world.alerting.take([Happened(1, "id-1", "AlertsSilenced", now, {"unmapped": own})])
    each = found(1, at=now + 5, rule="sql-injection")
    world.alerting.put(each)
    assert world.alerting.outlets["team"].silenced == 1 and world.alerting.silences(now)
    # Half an hour goes by, in which the clock is set back by as much.
    monkeypatch.setattr(time, "monotonic", lambda: steady + 1801)
    assert not world.alerting.silences(now)
    world.alerting.put(found(2, at=now + 6, rule="sql-injection"))
    assert world.alerting.outlets["team"].silenced == 1
    # What is read late is of the time at which it was found.
    monkeypatch.setattr(time, "time", lambda: now + 1801)
    world.alerting.put(found(3, at=now + 7, rule="sql-injection"))
    assert world.alerting.outlets["team"].silenced == 2
    kept = world.alerting.remembered()
    world.alerting.recall(kept)
    assert not world.alerting.silences(now + 1801)
    monkeypatch.undo()
    await world.end()
