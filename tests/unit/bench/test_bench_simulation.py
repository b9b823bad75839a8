"""The simulation of many nodes: clock and queues, what follows from them, and that it repeats."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import pytest
from bench.charts import svg
from bench.cluster_costs import Cost, Costs, Growing, Reading, between
from bench.cluster_model import BEFORE, Design, Found, Model, Node, Scene, Work
from bench.cluster_nodes import Rates, Spent
from bench.cluster_scaling import Measured, compare, known_everywhere, simulate
from bench.results import Machine
from bench.simulation import Disk, Durable, Pause, Places, Signal, Simulation, Step, Take, Use


def cost(node: float, server: float) -> Cost:
    return Cost(node=node * 1e-6, server=server * 1e-6)


def growing(fixed: Cost, each: Cost) -> Growing:
    return Growing(fixed=fixed, each=each)


NOTHING = cost(0, 0)
COSTS = Costs(
    disk=3e-4,
    send=growing(cost(700, 400), cost(40, 20)),
    settle=growing(cost(1400, 800), cost(40, 25)),
    in_vain=cost(900, 300),
    look=cost(150, 40),
    functions=Reading(each=cost(60, 20), bytes=4000.0),
    beat=growing(cost(400, 350), cost(0, 0.5)),
    leads=growing(NOTHING, cost(0.9, 0.3)),
    led=growing(NOTHING, cost(0.6, 0.9)),
    poll=growing(cost(90, 0), cost(30, 280)),
    left=growing(cost(100, 50), cost(30, 300)),
    tell=growing(cost(250, 20), cost(0, 35)),
)
CALL = Work(gateway=100e-6, rest=150e-6)
NODE = Node(call=CALL, accept=CALL, event=CALL)


def test_at_one_moment_what_was_asked_first_happens_first_and_nothing_in_the_past() -> None:
    made, seen = Simulation(), list[str]()
    for name in ("a", "b"):
        made.at(1.0, lambda name=name: seen.append(f"{name} {made.now}"))
    made.at(0.5, lambda: seen.append("c"))
    made.run(2.0)
    assert seen == ["c", "a 1.0", "b 1.0"] and made.now == 2.0
    with pytest.raises(ValueError, match="past"):
        made.at(-0.1, made.random.random)


def test_who_finds_no_place_waits_in_line() -> None:
    made = Simulation()
    places, ends = Places(made, 2), list[float]()

    def use() -> Step:
        yield Use(1.0, places)
        ends.append(made.now)

    for _ in range(5):
        made.start(use())
    made.run(10.0)
    assert ends == [1.0, 1.0, 2.0, 2.0, 3.0]
    assert places.busy() == pytest.approx(5.0)
    with pytest.raises(ValueError, match="at least one"):
        Places(made, 0)


def test_commits_that_wait_together_are_one_write() -> None:
    made, ends = Simulation(), list[float]()
    disk = Disk(made, 1.0)

    def commit(at: float) -> Step:
        yield Pause(at)
        yield Durable(disk)
        ends.append(made.now)

    for at in (0.0, 0.1, 0.2, 0.9):
        made.start(commit(at))
    made.run(10.0)
    assert ends == [1.0, 2.0, 2.0, 2.0]


def test_a_signal_that_came_first_is_not_lost_and_a_lock_is_given_back() -> None:
    made, seen = Simulation(), list[float]()
    told, lock = Signal(made), Places(made, 1)

    def wait() -> Step:
        yield told
        yield Take(lock)
        yield Pause(1.0)
        lock.give_back()
        seen.append(made.now)

    told.tell()
    made.start(wait())
    made.start(wait(), 0.5)
    made.at(0.6, told.tell)
    made.run(5.0)
    assert seen == [1.0, 2.0]


def test_the_same_is_simulated_twice_and_the_seed_matters() -> None:
    scene = Scene(nodes=3, projects=2, arrivals=50.0)
    found = [Model(scene, COSTS, NODE, seed).found(1.0) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_calls_are_bounded_by_the_gateway_and_by_the_cores() -> None:
    # 100 us of one thread at a time; 250 us of a machine with one core.
    for cores, most in ((4, 10_000), (1, 4_000)):
        calls = Model(Scene(nodes=2, cores=cores, callers=64), COSTS, NODE).found(1.0).calls
        assert 0.9 * most < calls / 2 <= most


def test_events_that_are_sent_are_all_handled_once() -> None:
    model = Model(Scene(nodes=2, senders=16), COSTS, NODE)
    assert model.through(1.0) > 100
    assert model.counts.handled == model.counts.kept == model.counts.sent > 0
    assert model.projects[0].waiting == 0


def test_it_shows_what_was_mended() -> None:
    scene = Scene(nodes=6, projects=6, arrivals=20.0, standing=2000)
    now = Model(scene, COSTS, NODE).found(0.5)
    before = Model(msgspec.structs.replace(scene, design=BEFORE), COSTS, NODE).found(0.5)
    assert now.in_vain < before.in_vain / 2
    assert now.server < before.server
    # One after the other, each alone makes a difference of its own.
    for design in (Design(divided=False), Design(together=False)):
        other = Model(msgspec.structs.replace(scene, design=design), COSTS, NODE).found(0.5)
        assert other.server > now.server


def test_databases_add_up_until_nodes_are_what_bounds() -> None:
    def handled(databases: int) -> float:
        scene = Scene(nodes=4, projects=8, senders=64, server_cores=1, databases=databases)
        return Model(scene, COSTS, NODE).found(0.3, 0.2).handled

    one, two, eight = handled(1), handled(2), handled(8)
    assert two > 1.25 * one
    assert eight < 1.25 * two


def test_a_line_goes_through_both_costs_and_is_never_below_zero() -> None:
    line = between(2, cost(20, 40), 10, cost(100, 30))
    assert line.of(10).node == pytest.approx(100e-6) and line.of(2).node == pytest.approx(20e-6)
    assert line.each.server == 0 and line.of(5).server == pytest.approx(40e-6)


def spent(gateway: float, rest: float) -> Spent:
    return Spent(gateway=gateway, rest=rest, server=1e-5, load=2e-5)


MEASURED = Measured(
    machine=Machine(
        processor="Made Up", cores=2, memory=1 << 30, kernel="6.1", python="3.11", load_before=3.0
    ),
    costs=COSTS,
    turns=[
        (
            count,
            Rates(
                calls=5000.0,
                sent=900.0,
                through=800.0,
                call=spent(1e-4, 1e-4),
                event=spent(4e-4, 2e-4),
                cores=1.5,
            ),
        )
        for count in (1, 2)
    ],
    path={"rate": 1.0, "gateway": 1.0, "p50": 1.0},
    hints={"p99_ms": 20.0},
)


def test_real_nodes_are_compared_by_the_cores_that_they_had() -> None:
    one, two = compare(MEASURED)
    # 1.5 cores of what is 220 us a call: others have the rest.
    assert one.simulated_calls == pytest.approx(1.5 / 220e-6, rel=0.1)
    assert two.simulated_calls == pytest.approx(one.simulated_calls, rel=0.1)
    assert one.simulated_through > 100


def test_a_deploy_is_known_later_the_more_functions_there_are() -> None:
    few, many = (known_everywhere(COSTS, count, 3, 16) for count in (1_000, 1_000_000))
    assert few < 1.0 < 60 < many
    assert known_everywhere(COSTS, 1_000_000, 100, 16) > many


def test_all_of_it_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "found", lambda *_: FOUND)
    charts = simulate(MEASURED)
    assert len(charts) == 6
    for chart in charts.values():
        root = ElementTree.fromstring(svg(chart))
        notes = [one.text or "" for one in root.iter()]
        assert any("bench.cluster_scaling: simulated" in one and "load 3" in one for one in notes)


FOUND = Found(calls=1.0, sent=1.0, handled=1.0, in_vain=0.0, server=1.0, kept_ms=1.0)
