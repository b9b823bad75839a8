"""When dependencies are imported ahead: for whom, how often, and when they are let go of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from dispatch_sandbox import VirtualLoop, run, version_of

from casemate.dispatch import dependencies_ahead
from casemate.dispatch.dependencies_ahead import MOST, MOST_OF_PROJECT, DependenciesAhead
from casemate.model.deployment import Version
from casemate.model.errors import UnavailableError
from casemate.sandbox.dependency_zygotes import DependencyZygote, Kind, Wanted

ROOM = 1 << 30


class Zygotes:
    """In place of what makes them: each takes a second."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.made: list[DependencyZygote] = []
        self.fault: Exception | None = None
        self.asked = 0
        self.verified = 0
        self.imports = frozenset({"pandas"})
        self.on_lost: Callable[[DependencyZygote], None] = lambda _: None

    def __iter__(self) -> Iterator[DependencyZygote]:
        return iter([one for one in self.made if one.alive])

    def numbers(self) -> list[int]:
        return [one.number for one in self]

    @property
    def memory(self) -> int:
        return sum(one.memory for one in self)

    def wanted(self, version: Version) -> Wanted | None:
        if version.function.startswith("plain"):
            return None
        kind = Kind(version.project, "3.13", version.digest[:1], (), 256, 1, False)
        return Wanted(version, kind, self.imports)

    async def verify(self) -> None:
        self.verified += 1

    async def prepare(self, wanted: Wanted, *, seconds: float) -> DependencyZygote:
        self.asked += 1
        await asyncio.sleep(1)
        if self.fault is not None:
            raise self.fault
        one = DependencyZygote(self.asked, wanted)
        one.since, one.seconds, one.memory = self.loop.time(), 1.0, 50 << 20
        self.made.append(one)
        return one

    def close(self, one: DependencyZygote) -> None:
        one.alive = False

    def close_all(self) -> None:
        for one in self.made:
            one.alive = False


class Scene:
    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.zygotes = Zygotes(loop)
        self.ahead = DependenciesAhead(self.zygotes, loop)  # type: ignore[arg-type]
        self.present: list[Version] = []

    async def pass_seconds(self, seconds: int, room: int = ROOM) -> None:
        for _ in range(seconds):
            self.ahead.look(self.present, room=room)
            await asyncio.sleep(1)

    def left(self, *names: str) -> None:
        for name in names:
            self.ahead.left(version_of(name=name))


def play(scene: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def playing(loop: VirtualLoop) -> None:
        await scene(Scene(loop))

    run(playing)


def test_one_is_made_where_several_functions_have_the_same() -> None:
    async def scene(s: Scene) -> None:
        s.left("a")
        await s.pass_seconds(20)
        assert s.zygotes.asked == 0
        s.present.append(version_of(name="b"))
        await s.pass_seconds(20)
        assert s.zygotes.asked == 1
        s.ahead.came(version_of(name="a"))
        await s.pass_seconds(100)
        assert not list(s.zygotes) and s.zygotes.asked == 1

    play(scene)


def test_none_is_made_for_a_plain_function_or_without_room() -> None:
    async def scene(s: Scene) -> None:
        s.left("plain-a", "plain-b")
        assert not s.ahead.active
        s.left("a", "b")
        await s.pass_seconds(20, room=0)
        assert s.zygotes.asked == 0

    play(scene)


def test_what_turns_out_to_be_too_large_goes() -> None:
    async def scene(s: Scene) -> None:
        s.left("a", "b")
        await s.pass_seconds(8, room=10 << 20)
        assert s.zygotes.asked >= 1 and not list(s.zygotes)

    play(scene)


def test_a_quarter_of_the_time_is_spent_on_it_at_most() -> None:
    async def scene(s: Scene) -> None:
        s.left("a", "b")
        for _ in range(100):
            await s.pass_seconds(1)
            s.zygotes.close_all()  # each is taken at once
        assert 10 <= s.zygotes.asked <= 26

    play(scene)


def test_what_fails_is_tried_ever_more_rarely() -> None:
    async def scene(s: Scene) -> None:
        s.left("a", "b")
        s.zygotes.fault = UnavailableError("no")
        await s.pass_seconds(1000)
        assert 4 <= s.zygotes.asked <= 12
        assert set(s.ahead.problems.values()) == {"no"}

    play(scene)


def test_what_fails_is_tried_after_what_was_never_tried() -> None:
    """Eight that fail, deployed first, were tried some thirty times before another one."""
    tried: list[str] = []

    async def scene(s: Scene) -> None:
        s.zygotes.fault = UnavailableError("it imports nothing")
        for number in range(8):
            for name in "ab":
                s.ahead.left(_of(version_of(name=name), f"fails-{number}", "d"))
        preparing = s.zygotes.prepare

        async def prepare(wanted: Wanted, *, seconds: float) -> DependencyZygote:
            tried.append(wanted.kind.project)
            return await preparing(wanted, seconds=seconds)

        s.zygotes.prepare = prepare  # type: ignore[method-assign]
        await s.pass_seconds(40)
        for name in "ab":
            s.ahead.left(_of(version_of(name=name), "new", "d"))
        await s.pass_seconds(200)

    play(scene)
    assert sorted(tried[:8]) == [f"fails-{number}" for number in range(8)]
    assert "new" in tried[8:12]
    assert max(tried.count(f"fails-{number}") for number in range(8)) <= 6


def test_so_is_what_ends_while_it_waits() -> None:
    async def scene(s: Scene) -> None:
        s.left("a", "b")
        for _ in range(1000):
            await s.pass_seconds(1)
            for one in s.zygotes:
                one.alive, one.reason = False, "the zygote is gone"
                s.zygotes.on_lost(one)
        assert 4 <= s.zygotes.asked <= 12

    play(scene)


def test_there_are_few_of_a_project_and_of_a_node() -> None:
    async def scene(s: Scene) -> None:
        s.zygotes.wanted = lambda v: Wanted(  # type: ignore[method-assign]
            v, Kind(v.project, "3.13", v.digest, (), 256, 1, False), frozenset({"pandas"})
        )
        for project in range(9):
            for number in range(4):
                for name in "ab":
                    one = version_of(name=f"{name}{number}")
                    s.ahead.left(_of(one, f"p{project}", f"{number}" * 64))
        await s.pass_seconds(300)
        made = list(s.zygotes)
        assert len(made) == MOST
        projects = [one.kind.project for one in made]
        assert max(map(projects.count, projects)) <= MOST_OF_PROJECT
        assert len(set(projects)) == MOST

    play(scene)


def _of(version: Version, project: str, digest: str) -> Version:
    import msgspec

    return msgspec.structs.replace(version, project=project, digest=digest)


def test_they_end_with_their_function_in_quarantine_and_when_memory_is_short() -> None:
    async def scene(s: Scene) -> None:
        for end in (
            lambda: s.ahead.retire(set()),
            lambda: s.ahead.contain(frozenset({("t", "a"), ("t", "b")})),
            lambda: s.ahead.let_go(1),
        ):
            s.left("a", "b")
            await s.pass_seconds(8)
            assert len(list(s.zygotes)) == 1
            end()
            assert not list(s.zygotes)
        assert s.ahead.let_go(1) == 0

    play(scene)


def test_nothing_is_left_an_hour_after_the_last_zygote_has_gone() -> None:
    async def scene(s: Scene) -> None:
        s.left("a", "b")
        await s.pass_seconds(int(dependencies_ahead.WITHOUT_SECONDS) + 200)
        assert not s.ahead.active
        assert s.zygotes.asked <= 3 and s.zygotes.verified > 100

    play(scene)
