"""Events that go to their function as they are kept: in order, within bounds, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from delivery_world import OK, World, ended, play

from casemate.data.errors import LimitError
from casemate.data.interface import NewMessage
from casemate.delivery import lane as lanes
from casemate.delivery import settling
from casemate.delivery.incoming import Incoming
from casemate.model.errors import CasemateError
from casemate.model.event import Event
from casemate.model.function import Limits
from casemate.model.invocation import Outcome
from casemate.model.trigger import TriggerKind
from casemate.operations.leases import FindNextDue, KeepLeased, KeepMessages, LeaseMessages
from casemate.sqlite.commit_guard import CommitGuard
from support.core import version

Scene = Callable[[World, Incoming], Awaitable[None]]


def message(value: object, **changes: Any) -> NewMessage:
    event = Event(
        id=f"e{value}"[:20],
        source="/s",
        type="t",
        time=1.0,
        kind=TriggerKind.INVOKE,
        data=msgspec.Raw(msgspec.json.encode(value)),
    )
    return NewMessage(body=msgspec.json.encode(event), **{"caller": "token:a", **changes})


class Kept:
    """Counts by which operation events are kept; `fault` is raised by the next that leases."""

    def __init__(self, world: World) -> None:
        self.leased = self.waiting = 0
        self.fault: Exception | None = None
        self.answered = asyncio.Event()
        """Until it is set, what is leased as it is kept is kept, and not answered."""
        self.answered.set()
        self._change = world.data.change
        world.data.change = self.change

    async def change(self, operation: Any) -> Any:
        if isinstance(operation, KeepLeased):
            self.leased += len(operation.messages)
            fault, self.fault = self.fault, None
            if fault is not None:
                raise fault
            leased = await self._change(operation)
            await self.answered.wait()
            return leased
        if isinstance(operation, KeepMessages):
            self.waiting += len(operation.messages)
        return await self._change(operation)


def play_taken(folder: Path, scene: Callable[[World, Incoming, Kept], Awaitable[None]]) -> None:
    async def inside(world: World) -> None:
        await world.deploy({"name": "f", "limits": Limits(concurrency=2)})
        kept = Kept(world)
        world.delivery.start()
        incoming = Incoming(world.data, world.subscriptions.ensure)
        incoming.taker = world.delivery
        await world.until(lambda: world.delivery._resuming.is_done("t"))
        world.data.leases = 0
        await scene(world, incoming, kept)

    play(folder, inside)


def test_what_there_is_room_for_runs_without_a_lease_of_its_own(tmp_path: Path) -> None:
    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        for value in range(5):
            await incoming.keep("t", "f", (message(value),))
            await world.empty()
        assert world.values() == list(range(5))
        assert (kept.leased, kept.waiting, world.data.leases) == (5, 0, 0)
        assert all(raw.attempt == 1 for raw in world.ran)
        assert not world.delivery._coming

    play_taken(tmp_path, scene)


def test_what_has_waited_longer_runs_before(tmp_path: Path) -> None:
    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        world.refusal = "drained"
        await world.send(*range(3))
        await incoming.keep("t", "f", (message(3),))
        world.refusal = ""
        world.seconds = 0.01
        keeping = incoming.keep("t", "f", (message(4),))
        world.delivery.resume()
        await keeping
        await world.empty()
        assert world.values() == list(range(5))
        assert kept.leased == 1, "it came while the others were being leased"
        assert all(raw.attempt == 1 for raw in world.ran)

    play_taken(tmp_path, scene)


@pytest.mark.parametrize("comes", ["before the lease", "after the lease"])
def test_what_comes_during_a_lease_runs_behind_it(tmp_path: Path, comes: str) -> None:
    """Else one lease that took long would have all that come be leased by one of their own."""

    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        leasing, go_on = asyncio.Event(), asyncio.Event()
        change = world.data.change

        async def held(operation: Any) -> Any:
            if not isinstance(operation, LeaseMessages):
                return await change(operation)
            if comes == "before the lease":
                leasing.set()
                await go_on.wait()
                return await change(operation)
            leased = await change(operation)
            leasing.set()
            await go_on.wait()
            return leased

        world.data.change = held  # type: ignore[method-assign]
        world.seconds = 0.01
        await world.send(*range(3))
        await leasing.wait()
        keeping = incoming.keep("t", "f", (message(3),))
        if comes == "before the lease":
            await keeping
        go_on.set()
        await keeping
        await world.empty()
        assert world.values() == list(range(4))
        assert kept.leased == 1
        await world.until(lambda: not world.delivery._lanes)
        world.data.leases = 0
        await incoming.keep("t", "f", (message(4),))
        await world.empty()
        assert kept.leased == 2 and not world.data.leases, "no more leases than that one"

    play_taken(tmp_path, scene)


def test_how_long_events_take_is_known_after_a_pause(tmp_path: Path) -> None:
    """Else the first that come then would be leased by themselves for want of room."""

    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        for value in range(30):
            await incoming.keep("t", "f", (message(value),))
            await world.empty()
            await world.until(lambda: not world.delivery._lanes)
        await incoming.keep("t", "f", tuple(message(value) for value in range(30, 94)))
        await world.empty()
        assert world.values() == list(range(94))
        assert (kept.leased, kept.waiting, world.data.leases) == (94, 0, 0)
        assert list(world.delivery._costs) == [("t", "f")]
        await world.deploy({"name": "g"})
        world.delivery.update()
        assert not world.delivery._costs, "nothing is known of what is not live any more"

    play_taken(tmp_path, scene)


def test_there_is_room_behind_a_lease_and_none_before_one() -> None:
    lane = lanes.Lane("t", "f")
    lane.slots = 2
    live = version(project="t", name="f")
    assert lane.has_room(live, 1)
    lane.more["t", "inbox", "f"] = None
    assert not lane.has_room(live, 1), "what is due again would wait for as long as others come"
    lane.filling = True
    assert lane.has_room(live, 1)
    lane.refused_until = 1.0
    assert not lane.has_room(live, 1)


def test_what_is_due_again_is_not_overtaken_for_ever(tmp_path: Path) -> None:
    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        world.seconds = 0.002
        await world.send("again", delay=0.05)
        until = asyncio.get_running_loop().time() + 10
        while "again" not in world.values():
            assert asyncio.get_running_loop().time() < until, "others come for ever"
            await incoming.keep("t", "f", tuple(message(n) for n in range(10)))
        assert kept.leased

    play_taken(tmp_path, scene)


def test_ends_are_written_along_with_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "_GATHER_SECONDS", 30.0)
    monkeypatch.setattr(settling, "_ALONG_SECONDS", 30.0)
    commits: list[int] = []
    committed = CommitGuard.committed

    def counted(guard: CommitGuard) -> None:
        commits.append(1)
        committed(guard)

    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        await incoming.keep("t", "f", (message(0),))
        await world.empty()  # by a transaction of its own: the first does not wait
        await incoming.keep("t", "f", (message(1),))
        await world.until(lambda: len(world.ran) == 2)
        monkeypatch.setattr(CommitGuard, "committed", counted)
        await incoming.keep("t", "f", (message(2),))
        await world.until(lambda: len(world.ran) == 3)
        assert len(commits) == 1
        info = await world.data.queue_info("t", "inbox", "f")
        assert info.waiting == 1, "the end of the second is written"

    play_taken(tmp_path, scene)


def test_no_more_are_leased_than_run_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_MOST_KEPT_HERE", 8)

    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        go_on = asyncio.Event()
        run = world.delivery._attempts._run

        async def held(raw: Any) -> Any:
            await go_on.wait()
            return await run(raw)

        world.delivery._attempts._run = held
        for value in range(40):
            await incoming.keep("t", "f", (message(value),))
        assert kept.leased == 2 + 8, "two run"
        assert kept.waiting == 30
        go_on.set()
        await world.empty()
        assert sorted(world.values()) == list(range(40)), "each once"
        assert world.values()[:4] == [0, 1, 2, 3] and world.most_at_once == 2

    play_taken(tmp_path, scene)


@pytest.mark.parametrize(
    "changes", [{"priority": 3}, {"key": "k"}, {"delay": 0.01}, {"deduplication": "d"}, "large"]
)
def test_what_is_large_or_has_an_order_of_its_own_waits(tmp_path: Path, changes: Any) -> None:
    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        large = changes == "large"
        value = "x" * 5000 if large else 1
        await incoming.keep("t", "f", (message(value, **({} if large else changes)),))
        await world.until(lambda: world.values() == [value])
        assert (kept.leased, kept.waiting) == (0, 1)

    play_taken(tmp_path, scene)


@pytest.mark.parametrize("how", ["rests", "quarantined", "unknown", "not resumed"])
def test_nothing_is_taken_where_nothing_is_to_run(tmp_path: Path, how: str) -> None:
    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        function = "g" if how == "unknown" else "f"
        if how == "rests":
            world.refusal = "drained"
        elif how == "quarantined":
            world.quarantine("f")
            world.delivery.update()
        elif how == "not resumed":
            world.delivery._resuming._tasks.clear()
        assert world.delivery.room("t", function, 1) == 0.0
        assert not world.delivery._coming

    play_taken(tmp_path, scene)


@pytest.mark.parametrize("how", ["rests", "quarantined"])
def test_what_may_not_run_any_more_once_it_is_kept_goes_back(tmp_path: Path, how: str) -> None:
    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        kept.answered.clear()
        keeping = incoming.keep("t", "f", (message(1),))
        await world.until(lambda: kept.leased == 1)
        if how == "rests":
            world.refusal = "drained"
        else:
            world.quarantine("f")
            world.delivery.update()
        kept.answered.set()
        await keeping
        await asyncio.sleep(0.05)
        assert world.ran == []
        world.refusal = ""
        world.quarantine()
        world.delivery.update()
        world.delivery.resume()
        await world.empty()
        assert [raw.attempt for raw in world.ran] == [1] and world.values() == [1]

    play_taken(tmp_path, scene)


@pytest.mark.parametrize("fault", [LimitError("full"), RuntimeError("planted")])
def test_what_could_not_be_kept_takes_no_room(tmp_path: Path, fault: Exception) -> None:
    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        kept.fault = fault
        with pytest.raises(type(fault)):
            await incoming.keep("t", "f", (message(1),))
        assert not world.delivery._coming and world.ran == []
        await incoming.keep("t", "f", (message(2),))
        await world.until(lambda: world.values() == [2])

    play_taken(tmp_path, scene)


def test_a_failure_is_tried_again_as_any_other(tmp_path: Path) -> None:
    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        world.answer = lambda raw: (
            ended(Outcome.CRASHED) if raw.attempt == 1 else ended(Outcome.OK, status=200)
        )
        await incoming.keep("t", "f", (message(1),))
        await world.until(lambda: [raw.attempt for raw in world.ran] == [1, 2], seconds=20)
        assert kept.leased == 1 and world.data.leases >= 1

    play_taken(tmp_path, scene)


@pytest.mark.parametrize("ran", [False, True])
def test_a_gateway_that_is_killed_after_it_was_kept_loses_nothing(
    tmp_path: Path, ran: bool
) -> None:
    async def whole() -> None:
        world = World(tmp_path / "data")
        await world.deploy({"name": "f"})
        world.delivery.start()
        await world.until(lambda: world.delivery._resuming.is_done("t"))
        incoming = Incoming(world.data, world.subscriptions.ensure)
        incoming.taker = world.delivery
        world.seconds = 30.0 if not ran else 0.0
        await incoming.keep("t", "f", (message(1),))
        if ran:  # it may have, before it can be looked at
            await world.empty()
        else:
            assert (await world.data.queue_info("t", "inbox", "f")).waiting == 1
        for task in tuple(world.delivery._tasks):  # the process is gone, nothing more is told
            task.cancel()
        await world.data.close()
        again = World(tmp_path / "data")
        try:
            await again.deploy({"name": "f"})
            again.delivery.start()
            await again.empty()
            assert again.values() == ([] if ran else [1])
            assert [raw.attempt for raw in again.ran] == ([] if ran else [2])
        finally:
            await again.delivery.stop(1.0)
            await again.data.close()

    asyncio.run(asyncio.wait_for(whole(), 30))


def test_refused_events_let_others_have_a_turn(tmp_path: Path) -> None:
    """An event that is refused suspends nothing by itself."""

    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        turns = 0

        async def refuse(raw: Any) -> Any:
            world.ran.append(raw)
            return ended(Outcome.INVALID, status=422)

        world.delivery._attempts._run = refuse
        await incoming.keep("t", "f", tuple(message(n) for n in range(30)))

        async def others() -> None:
            nonlocal turns
            while len(world.ran) < 30:
                turns += 1
                await asyncio.sleep(0)

        await others()
        assert turns >= 10

    play_taken(tmp_path, scene)


def test_what_ran_as_it_was_kept_is_not_asked_about(tmp_path: Path) -> None:
    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        asked: list[Any] = []
        read = world.data.read

        async def noted(operation: Any) -> Any:
            asked.extend([operation] if isinstance(operation, FindNextDue) else [])
            return await read(operation)

        world.data.read = noted
        for value in range(5):
            await incoming.keep("t", "f", (message(value),))
            await world.until(lambda: not world.delivery._lanes)
        await world.until(lambda: not world.delivery._tasks)
        assert world.values() == list(range(5)) and kept.leased == 5
        assert asked == [], "nothing can be due that was not before"
        await incoming.keep("t", "f", (message(5, delay=0.01),))
        await world.until(lambda: len(world.ran) == 6)
        await world.until(lambda: not world.delivery._tasks)
        assert asked, "what is leased from there may have left more"

    play_taken(tmp_path, scene)


@pytest.mark.parametrize("end", ["lost", "tried again", "given back"])
def test_what_did_not_end_is_looked_at_again(tmp_path: Path, end: str) -> None:
    async def scene(world: World, incoming: Incoming, kept: Kept) -> None:
        place = ("t", "inbox", "f")
        if end == "lost":
            world.data.faults = [CasemateError("The file is no database.")]
        elif end == "tried again":
            world.answer = lambda raw: ended(Outcome.CRASHED) if raw.attempt == 1 else OK
        else:
            world.refusal = "drained"
            kept.answered.clear()
            keeping = incoming.keep("t", "f", (message(1),))
            await asyncio.sleep(0.05)
            kept.answered.set()
            await keeping
            assert world.ran == []
            world.refusal = ""
            world.delivery.resume()
            await world.empty()
            assert world.values() == [1]
            return
        await incoming.keep("t", "f", (message(1),))
        await world.until(lambda: world.delivery._timers.when(place))
        if end == "lost":
            at = world.delivery._timers.when(place) - asyncio.get_running_loop().time()
            assert 60 < at < 3600, "by when its lease ends"

    play_taken(tmp_path, scene)
