"""Zygotes at rest are kept by memory: which go when it is short, and that none goes otherwise."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from dispatch_sandbox import Cores, FakeSandbox, VirtualLoop, run, version_of
from hypothesis import given
from hypothesis import strategies as st

from casemate.dispatch import Dispatcher
from casemate.dispatch.resting import UNMEASURED, HostMemory, Resting, excess
from casemate.model.deployment import Version
from casemate.model.path import Admitted
from support.core import request

MIB = 1 << 20
PLAIN, PANDAS = Resting(3 * MIB, 0.004, 60.0), Resting(40 * MIB, 0.28, 60.0)


class Node:
    def __init__(self, loop: VirtualLoop, memory: int | None) -> None:
        self.loop = loop
        self.sandbox = FakeSandbox(loop)
        self.dispatcher = Dispatcher(
            self.sandbox, resting_memory=memory, saturation=Cores(short=False)
        )  # type: ignore[arg-type]
        self.dispatcher._host_memory = HostMemory("/nowhere")

    async def call(self, version: Version, seconds: float = 0.01) -> bool:
        """Return whether a zygote had to be started."""
        admitted = Admitted(request=request(), version=version, principal="k")
        placed = await self.dispatcher.place(admitted)
        await asyncio.sleep(seconds)
        self.dispatcher.release(placed)
        return placed.cold

    @property
    def kept(self) -> set[str]:
        return {z.version.function for z in self.sandbox.zygotes if z.alive}


def test_what_a_function_holds_is_told_while_it_is_called_as_well() -> None:
    """Beside a call it was told as 0 B."""

    async def scenario(loop: VirtualLoop) -> None:
        node, version = Node(loop, memory=None), version_of()
        admitted = Admitted(request=request(), version=version, principal="k")
        placed = await node.dispatcher.place(admitted)
        name = version.project, version.function
        node.sandbox.zygotes[0].memory = 0
        assert node.dispatcher.loads()[name].held == 0, "not measured yet"
        node.sandbox.zygotes[0].memory = 5 * MIB
        assert node.dispatcher.loads()[name].busy == 1
        assert node.dispatcher.loads()[name].held == 5 * MIB + node.sandbox.zygotes[0].files
        node.dispatcher.release(placed)
        assert node.dispatcher.loads()[name].held >= 5 * MIB

    run(scenario)


def test_the_cheapest_to_make_again_goes_first() -> None:
    assert excess({"pandas": PANDAS, "plain": PLAIN}, memory=42 * MIB) == ["plain"]
    assert excess({"pandas": PANDAS, "plain": PLAIN}, memory=43 * MIB) == []
    assert excess({"pandas": PANDAS, "plain": PLAIN}, memory=0) == ["plain", "pandas"]


def test_what_was_not_called_for_longest_goes_first_among_equals() -> None:
    ages = {age: PLAIN._replace(idle=age) for age in (5.0, 500.0, 50.0)}
    assert excess(ages, memory=6 * MIB) == [500.0]
    assert excess(ages, memory=3 * MIB) == [500.0, 50.0]


def test_an_old_one_that_is_dear_gives_way_to_a_fresh_one_that_is_cheap() -> None:
    old = PANDAS._replace(idle=3600.0)
    assert excess({"old": old, "plain": PLAIN}, memory=42 * MIB) == ["old"]


def test_they_are_no_more_than_a_host_can_count() -> None:
    many = {number: PLAIN._replace(idle=float(number)) for number in range(20)}
    assert excess(many, memory=1 << 40, most=18) == [19, 18]


def test_a_project_cannot_crowd_out_what_another_keeps() -> None:
    mine = {f"mine{n}": PLAIN._replace(project="a", idle=3600.0) for n in range(3)}
    # However dear a flood of another project's pretends to be, and however fresh it is.
    flood = {f"flood{n}": Resting(10 * MIB, 10.0, 1.0, "b") for n in range(50)}
    gone = excess(mine | flood, memory=100 * MIB)
    assert not set(gone) & set(mine) and len(gone) == 41
    gone = excess(mine | flood, memory=1 << 40, most=10)
    assert not set(gone) & set(mine) and len(gone) == 43


def test_what_others_leave_of_the_memory_a_project_may_have() -> None:
    alone = {n: Resting(10 * MIB, 0.1, 1.0, "b") for n in range(10)}
    small = {"a": Resting(MIB, 0.1, 1.0, "a")}
    assert excess(alone | small, memory=101 * MIB) == []


def test_with_more_projects_than_places_the_worth_decides() -> None:
    each = {n: PLAIN._replace(idle=float(n), project=f"p{n}") for n in range(10)}
    assert excess(each, memory=1 << 40, most=8) == [9, 8]


@given(
    st.dictionaries(
        st.integers(),
        st.builds(
            Resting,
            st.integers(0, 1 << 32),
            st.floats(0, 100),
            st.floats(0, 1e6) | st.just(1e300),
            st.sampled_from("abc"),
        ),
        max_size=20,
    ),
    st.integers(0, 1 << 34),
    st.integers(0, 20),
)
def test_what_is_left_always_fits(resting: dict[int, Resting], memory: int, most: int) -> None:
    gone = excess(resting, memory=memory, most=most)
    left = [one for key, one in resting.items() if key not in gone]
    assert sum(one.memory for one in left) <= memory and len(left) <= most
    assert len(set(gone)) == len(gone)
    # Nothing is let go of without need: the last one that went would not have fitted.
    if gone:
        last = resting[gone[-1]]
        assert sum(one.memory for one in left) + last.memory > memory or len(left) + 1 > most


def test_hours_do_not_end_what_there_is_memory_for() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop, 100 * MIB)
        assert await node.call(version_of())
        await asyncio.sleep(5 * 3600.0)
        assert node.dispatcher.spares == 0
        assert not await node.call(version_of())
        # Nobody paid for it, yet it is no older than a zygote may be: ten minutes after its call,
        # half an hour without one.
        assert node.sandbox.opens == 11
        assert [z.alive for z in node.sandbox.zygotes] == [False] * 10 + [True]
        node.dispatcher.close()

    run(scenario)


def test_memory_that_is_short_ends_what_costs_least() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop, 50 * MIB)
        node.sandbox.memory, node.sandbox.open_seconds = 40 * MIB, 0.28
        await node.call(version_of(name="pandas"))
        node.sandbox.memory, node.sandbox.open_seconds = 3 * MIB, 0.004
        for number in range(6):
            await node.call(version_of(name=f"plain{number}"))
            await asyncio.sleep(1.0)
        await asyncio.sleep(20.0)
        assert "pandas" in node.kept and len(node.kept) == 4
        assert node.kept == {"pandas", "plain3", "plain4", "plain5"}
        assert node.dispatcher.resting_memory == 49 * MIB
        node.dispatcher.close()

    run(scenario)


def test_the_files_of_a_bundle_count_as_well() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop, 50 * MIB)
        node.sandbox.files = 30 * MIB
        await node.call(version_of(name="a"))
        await node.call(version_of(name="b"))
        await asyncio.sleep(15.0)
        assert node.kept == {"b"}
        node.dispatcher.close()

    run(scenario)


def test_one_of_which_nothing_is_known_counts_all_the_same() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop, UNMEASURED)
        node.sandbox.memory = 0
        await node.call(version_of(name="a"))
        await node.call(version_of(name="b"))
        await asyncio.sleep(15.0)
        assert len(node.kept) == 1
        node.dispatcher.close()

    run(scenario)


def test_what_serves_or_is_kept_ready_is_never_let_go_of() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop, 0)
        busy = loop.create_task(node.call(version_of(name="busy"), 60.0))
        node.dispatcher.keep_warm([(version_of(name="warm"), 1)])
        await asyncio.sleep(50.0)
        assert node.kept == {"busy", "warm"} and node.dispatcher.resting_memory == 0
        await busy
        await asyncio.sleep(15.0)
        assert node.kept == {"warm"}
        node.dispatcher.close()

    run(scenario)


def test_many_deployed_at_once_do_not_take_more_than_the_budget() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop, 30 * MIB)
        await node.call(version_of(name="called"))
        for number in range(50):
            version = version_of(name=f"f{number}")
            node.dispatcher.adopt(version, await node.sandbox.open(version))  # type: ignore[arg-type]
        await asyncio.sleep(3.0)
        assert len(node.kept) <= 11 and "called" in node.kept
        node.dispatcher.close()

    run(scenario)


def test_a_host_without_free_memory_gets_it_back() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop, 1 << 40)
        for number in range(5):
            await node.call(version_of(name=f"f{number}"))
        await asyncio.sleep(15.0)
        assert len(node.kept) == 5
        node.dispatcher._host_memory.missing = lambda: 7 * MIB  # type: ignore[method-assign]
        await asyncio.sleep(1.0)
        assert len(node.kept) == 2
        node.dispatcher.close()

    run(scenario)


@pytest.mark.parametrize("text", ["", "MemAvailable:", "MemAvailable: x kB", "MemFree: 1 kB"])
def test_what_the_host_does_not_tell_ends_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "meminfo"
    file.write_text(text)
    assert HostMemory(str(file)).missing() == 0
    assert HostMemory("/nowhere").missing() == 0


def test_a_sixteenth_of_the_host_is_to_be_free(tmp_path: Path) -> None:
    file = tmp_path / "meminfo"
    file.write_text("MemTotal: 1 kB\nMemAvailable: 0 kB\n")
    host = HostMemory(str(file))
    reserve = host.missing()
    assert reserve > 0
    file.write_text(f"MemAvailable: {reserve // 1024 - 5} kB\n")
    assert 5 * 1024 <= host.missing() < 6 * 1024
    file.write_text("MemAvailable: 99999999999 kB\n")
    assert host.missing() == 0
