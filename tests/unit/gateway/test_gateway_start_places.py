"""Places in which functions start: who comes next, who is ended, and that none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from casemate.gateway import start_places
from casemate.gateway.start_places import PROMISED_SECONDS, StartPlaces
from casemate.model.errors import UnavailableError


class Clock:
    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


class Starts:
    """Starts that go on until they are let go or ended."""

    def __init__(self, places: int) -> None:
        self.clock = Clock()
        self.places = StartPlaces(places, self.clock)
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._go: dict[str, asyncio.Event] = {}

    async def begin(self, project: str) -> None:
        self._go[project] = asyncio.Event()
        self.tasks[project] = asyncio.ensure_future(self._start(project))
        await settled()

    async def _start(self, project: str) -> None:
        try:
            async with self.places.hold((project,)) as place, place.bounded(1800.0):
                self.begun.append(project)
                await self._go[project].wait()
        except UnavailableError as error:
            assert f"more than {PROMISED_SECONDS:.0f} s" in error.message and error.next_step
            self.ended.append(project)

    async def finish(self, project: str) -> None:
        self._go[project].set()
        await self.tasks[project]
        await settled()

    async def pass_seconds(self, seconds: float) -> None:
        """Let time pass, and the places look at it."""
        self.clock.now += seconds
        self.places._look()
        await settled()

    async def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def run(places: int, scene: Callable[[Starts], Awaitable[None]]) -> None:
    async def whole() -> None:
        starts = Starts(places)
        try:
            await scene(starts)
        finally:
            await starts.close()
        assert starts.places._free == places and not starts.places._held

    asyncio.run(whole())


def test_nobody_holds_all_places_for_longer_than_is_promised() -> None:
    """Sixteen projects of sixteen people, each with functions that start for ever."""

    async def scene(starts: Starts) -> None:
        for number in range(16):
            await starts.begin(f"slow{number}")
        await starts.begin("honest")
        await starts.pass_seconds(PROMISED_SECONDS - 1)
        assert not starts.ended and "honest" not in starts.begun
        await starts.pass_seconds(2)
        assert len(starts.ended) == 1 and starts.begun[-1] == "honest"
        await starts.pass_seconds(10 * PROMISED_SECONDS)
        assert len(starts.ended) == 1, "nobody waits"
        await starts.finish("honest")

    run(16, scene)


def test_whoever_has_had_most_is_ended_and_has_least_comes_first() -> None:
    async def scene(starts: Starts) -> None:
        for name in ("a", "b"):
            await starts.begin(name)
        await starts.pass_seconds(PROMISED_SECONDS + 60)
        await starts.finish("b")
        await starts.begin("c")
        await starts.begin("b")  # has had as much as a place was promised, and waits again
        await starts.begin("new")
        await starts.pass_seconds(1)
        assert starts.ended == ["a"] and starts.begun[-1] == "new"
        await starts.pass_seconds(PROMISED_SECONDS)
        # Both have had less than what waits: a long start of honest people goes on.
        assert starts.ended == ["a"]
        await starts.pass_seconds(PROMISED_SECONDS)
        assert starts.ended[1:] in (["c"], ["new"]) and starts.begun[-1] == "b"

    run(2, scene)


def test_who_asks_again_and_again_comes_after_who_has_had_less() -> None:
    async def scene(starts: Starts) -> None:
        await starts.begin("eve")
        await starts.pass_seconds(60)
        await starts.finish("eve")
        await starts.begin("first")
        await starts.begin("eve")
        await starts.begin("ada")
        await starts.finish("first")
        assert starts.begun == ["eve", "first", "ada"]
        await starts.finish("ada")
        assert starts.begun[-1] == "eve"

    run(1, scene)


def test_what_was_had_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_places, "_MAX_KNOWN", 20)

    async def scene(starts: Starts) -> None:
        for number in range(50):
            await starts.begin(f"p{number}")
            await starts.pass_seconds(number)
            await starts.finish(f"p{number}")
        assert len(starts.places._used) <= 20
        most = starts.places._use("p49")
        starts.clock.now += start_places.HALF_LIFE
        assert starts.places._use("p49") == pytest.approx(most / 2)

    run(1, scene)


def test_a_place_is_given_to_the_next_where_who_waited_has_gone() -> None:
    async def scene(starts: Starts) -> None:
        for name in ("a", "gone", "b"):
            await starts.begin(name)
        starts.tasks["gone"].cancel()
        await starts.finish("a")
        assert starts.begun == ["a", "b"]
        # Gone in the very moment in which it was given one.
        for name in ("late", "c"):
            await starts.begin(name)
        starts._go["b"].set()
        while starts.places._waiting and len(starts.places._waiting) > 1:
            await asyncio.sleep(0)
        starts.tasks["late"].cancel()
        await settled()
        assert starts.begun == ["a", "b", "c"]

    run(1, scene)


def test_what_is_kept_after_a_start_is_not_ended() -> None:
    """Between a start and its end a change is made durable: that goes on."""

    async def scene(starts: Starts) -> None:
        kept = asyncio.Event()

        async def deploy() -> None:
            async with starts.places.hold(("a",)) as place:
                async with place.bounded(1800.0):
                    pass
                await kept.wait()

        task = asyncio.ensure_future(deploy())
        await settled()
        await starts.begin("b")
        await starts.pass_seconds(PROMISED_SECONDS * 5)
        assert not task.done() and starts.begun == []
        kept.set()
        await task
        await settled()
        assert starts.begun == ["b"]

    run(1, scene)


def test_a_start_has_its_own_bound_as_well() -> None:
    async def scene(starts: Starts) -> None:
        with pytest.raises(TimeoutError):
            async with starts.places.hold(("a",)) as place, place.bounded(0.01):
                await asyncio.sleep(10)

    run(1, scene)
