"""Simulate many nodes with what is measured here, check it against real ones, and draw it.

    python -m bench.cluster_scaling [--docs FOLDER] [--json FILE] [--seconds N] [--rounds N]
                                    [--measured FILE]

Measures service times, runs 1, 2 and 3 whole nodes on one PostgreSQL (in network namespaces as
root), compares a node on PostgreSQL with one on SQLite, and how long hints take; then simulates.
All of it shares these cores with whatever else runs: the least disturbed of several turns counts.
`--measured` takes an earlier run's JSON instead of measuring. Exit codes: 0 done, 1 not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from scripts.demo_cluster.places import postgresql

from bench import cluster_costs, hints
from bench.charts import Chart, Line, svg
from bench.cluster_costs import Costs
from bench.cluster_model import BEFORE, FOR_EACH_PROJECT, Design, Found, Model, Node, Scene, Work
from bench.cluster_nodes import CONNECTIONS, FAILURES, Rates, Spent, invoke_path, nodes
from bench.environment import check_tools
from bench.processes import adopt_orphans, clear_leftovers
from bench.results import Machine, this_machine
from bench.simulation import Places, Simulation, Step, Use

COMMAND = "python -m bench.cluster_scaling"
CHARTS = Path(__file__).parent.parent / "docs" / "reference" / "charts"
TURNS = (1, 2, 3, 2, 1)
"""How many nodes run in each turn of a round."""
COUNTS = (1, 3, 10, 30, 100)
Dear = TypeVar("Dear", Costs, Node)
FUNCTIONS = (1_000, 10_000, 100_000, 1_000_000)
STALE_SECONDS = 10.0
"""After which a node that does not know what was changed refuses calls (`max_stale`)."""
STEADY = Scene(nodes=1, projects=100, arrivals=10.0, standing=1_000_000 // FOR_EACH_PROJECT)
"""1,000 events a second in 100 projects of the 2,000 that a million functions are in."""


class Measured(msgspec.Struct, kw_only=True):
    """What a run measured, and where."""

    machine: Machine
    costs: Costs
    turns: list[tuple[int, Rates]]
    """With how many nodes, in the order in which it was measured."""
    path: dict[str, float]
    """On PostgreSQL by SQLite: calls a second, and the gateway's processor time for each."""
    hints: dict[str, float]

    def node(self, count: int = 1) -> Node:
        """Return what each of so many nodes spends: the least disturbed of their turns counts."""
        call, event = self._least(count)
        return Node(call=_work(call), **_split(event, call, self.crowded(count)))

    def crowded(self, count: int) -> Costs:
        """Return what PostgreSQL costs beside so many nodes on this machine.

        Each does as much for an event as one alone does, by the statements that are logged; but
        caches are colder and threads take turns more often where all share two cores.
        """
        dearer = self._least(count)[1].server / self._least(1)[1].server
        return msgspec.convert(_times(msgspec.to_builtins(self.costs), dearer), Costs)

    def _least(self, count: int) -> tuple[Spent, Spent]:
        found = [rates for nodes, rates in self.turns if nodes == count]
        return (
            min((one.call for one in found), key=lambda one: one.whole),
            min((one.event for one in found), key=lambda one: one.whole),
        )


def _work(spent: Spent) -> Work:
    return Work(gateway=spent.gateway, rest=spent.rest)


def _split(event: Spent, call: Spent, costs: Costs) -> dict[str, Work]:
    """Return what an event costs when it is accepted and when it is run, without the database.

    Together they are what was measured; it runs with what a call costs at the most.
    """
    kept = costs.send.each.node + costs.settle.each.node
    gateway = max(0.0, event.gateway - kept)
    run = min(gateway * 0.7, call.gateway)
    return {
        "accept": Work(gateway=gateway - run, rest=0.0),
        "event": Work(gateway=run, rest=event.rest),
    }


# -- measuring -------------------------------------------------------------------------------------


def measure(seconds: int, rounds: int) -> Measured:
    """Measure all of it."""
    check_tools()  # before the minutes that service times take
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="cmcost-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with postgresql(folder) as url:
            _say("service times")
            costs = asyncio.run(cluster_costs.measure(folder, url, seconds / 2))
        told = Path(name) / "hints"
        told.mkdir(mode=0o755)
        with postgresql(told) as url:
            _say("hints")
            found = asyncio.run(hints.run(url, told, seconds * 2.0, 3))
    turns: list[tuple[int, Rates]] = []
    with nodes(max(TURNS)) as made:
        for number in range(rounds):
            for count in TURNS[bool(number) :]:
                _say(f"{count} nodes")
                made.set(count)
                turns.append((count, made.turn(seconds)))
        _say("a node on PostgreSQL beside one on SQLite")
        path = invoke_path(made, 2, 6 * rounds)
    numbers = {name: float(str(value)) for name, value in found.items()}
    return Measured(machine=machine, costs=costs, turns=turns, path=path, hints=numbers)


# -- comparing -------------------------------------------------------------------------------------


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What real nodes did, by what the simulation says of as many on as much of a processor."""

    nodes: int
    calls: float
    simulated_calls: float
    crowded_calls: float
    """Simulated with the service times of as many nodes, which share a machine."""
    through: float
    simulated_through: float
    crowded_through: float


def compare(measured: Measured) -> list[Compared]:
    """Simulate each turn, with the share of the cores that it had.

    Once with the service times of one node, as charts are, and once with those of as many on this
    machine: what is left between that and real nodes is of locks, batches, hints and leases.
    """
    found: dict[int, list[Compared]] = {}
    for count, rates in measured.turns:
        cores = measured.machine.cores
        slower = cores / rates.cores
        """All that is done takes longer where others have a part of the cores."""
        scene = Scene(nodes=count, shared=cores, load=rates.call.load)
        called = msgspec.structs.replace(scene, callers=CONNECTIONS)
        sent = msgspec.structs.replace(scene, senders=CONNECTIONS)
        alone, crowded = (
            (_dearer(measured.crowded(like), slower), _dearer(measured.node(like), slower))
            for like in (1, count)
        )
        found.setdefault(count, []).append(
            Compared(
                nodes=count,
                calls=rates.calls,
                simulated_calls=Model(called, *alone).found(2.0).calls,
                crowded_calls=Model(called, *crowded).found(2.0).calls,
                through=rates.through,
                simulated_through=Model(sent, *alone).through(4.0),
                crowded_through=Model(sent, *crowded).through(4.0),
            )
        )
    names = [name for name in Compared.__struct_fields__ if name != "nodes"]
    return [
        Compared(nodes=n, **{k: statistics.median(getattr(one, k) for one in by) for k in names})
        for n, by in sorted(found.items())
    ]


def _dearer(costs: Dear, times: float) -> Dear:
    return msgspec.convert(_times(msgspec.to_builtins(costs), times), type(costs))


def _times(value: object, times: float) -> object:
    if isinstance(value, dict):
        return {name: _times(one, times) for name, one in value.items()}
    return float(str(value)) * times


# -- simulating ------------------------------------------------------------------------------------


def known_everywhere(costs: Costs, functions: int, count: int, server_cores: int) -> float:
    """Return the seconds after a deploy until the last of so many nodes has read all functions."""
    made = Simulation()
    server = Places(made, server_cores)
    known: list[float] = []

    def read() -> Step:
        yield Use(costs.functions.each.server * functions, server)
        yield Use(costs.functions.each.node * functions, Places(made, 1))
        known.append(made.now)

    for _ in range(count):
        made.start(read(), made.random.random() * 0.5)  # the look in which it is noticed
    made.run(1e6)
    return max(known)


def simulate(measured: Measured) -> dict[str, Chart]:
    """Return the charts."""
    costs, node = measured.costs, measured.node()
    machine = measured.machine
    note = f"{COMMAND}: simulated; service times of {machine.cores} cores, Linux {machine.kernel}"
    if machine.load_before > 1:
        note += f", load {machine.load_before:.0f}"

    def found(scene: Scene, seconds: float = 1.0) -> Found:
        return Model(scene, costs, node).found(seconds)

    steady = {
        name: {
            n: found(msgspec.structs.replace(STEADY, nodes=n, design=design, server_cores=64))
            for n in COUNTS
        }
        for name, design in (("now", Design()), ("before", BEFORE))
    }
    idle = {
        name: {
            n: found(Scene(nodes=n, standing=STEADY.standing, design=design, server_cores=64), 10.0)
            for n in COUNTS
        }
        for name, design in (("now", Design()), ("before", BEFORE))
    }

    def full(count: int, projects: int) -> float:
        scene = Scene(nodes=count, projects=projects, standing=projects, senders=64)
        return found(scene).handled or 1.0

    rates = {(n, p): full(n, p) for n in COUNTS for p in (1, 10, 100)}
    rates |= {(n, p): full(n, p) for n in (10, 100) for p in (3, 30)}

    def spread(count: int, databases: int) -> float:
        scene = Scene(nodes=count, projects=100, standing=100, senders=100, databases=databases)
        return found(scene).handled or 1.0

    return {
        "cluster-server": _by_nodes(
            "What nodes cost PostgreSQL: 1,000 events a second, 1 M functions",
            "cores of PostgreSQL at work",
            {
                f"{name}{what}": {n: max(one.server, 0.001) for n, one in by.items()}
                for what, both in (("", steady), (", no events", idle))
                for name, by in both.items()
            },
            note,
        ),
        "cluster-keep": _by_nodes(
            "Keeping an event: 1,000 a second in 100 projects",
            "p50, ms",
            {name: {n: one.kept_ms for n, one in by.items()} for name, by in steady.items()},
            note,
        ),
        "cluster-events": _by_nodes(
            "The most events: 64 senders at each node, PostgreSQL with 16 cores",
            "events a second",
            {f"{p} project{'s' * (p > 1)}": {n: rates[n, p] for n in COUNTS} for p in (1, 10, 100)},
            note,
        ),
        "cluster-projects": _chart(
            "The most events by projects: each has a lock of its own",
            ("projects that events go to", "events a second"),
            {f"{n} nodes": {p: rates[n, p] for p in (1, 3, 10, 30, 100)} for n in (10, 100)},
            note,
            COUNTS,
        ),
        "cluster-databases": _chart(
            "The most events by databases: 100 projects, 16 cores of PostgreSQL for each",
            ("databases that projects live in", "events a second"),
            {f"{n} nodes": {d: spread(n, d) for d in COUNTS} for n in (10, 100)},
            note,
            COUNTS,
        ),
        "cluster-functions": _chart(
            "Until all nodes know a deploy, by functions there are",
            ("functions", "seconds"),
            {
                **{
                    f"{n} nodes": {f: known_everywhere(costs, f, n, 16) for f in FUNCTIONS}
                    for n in (3, 10, 100)
                },
                "calls are refused": dict.fromkeys(FUNCTIONS, STALE_SECONDS),
            },
            note,
            FUNCTIONS,
        ),
    }


def _by_nodes(title: str, y: str, lines: dict[str, dict[int, float]], note: str) -> Chart:
    return _chart(title, ("nodes", y), lines, note, COUNTS)


def _chart(
    title: str,
    axes: tuple[str, str],
    lines: dict[str, dict[int, float]],
    note: str,
    ticks: Sequence[int],
) -> Chart:
    return Chart(
        title=title,
        x=axes[0],
        y=axes[1],
        lines=tuple(
            Line(name, tuple((float(x), y) for x, y in by.items() if y > 0))
            for name, by in lines.items()
        ),
        ticks=tuple((float(one), f"{one:,}") for one in ticks),
        note=note,
    )


def text(measured: Measured, compared: Sequence[Compared], charts: dict[str, Chart]) -> str:
    """Return all figures as lines."""
    lines = ["real nodes here, and simulated with the service times of one of them:"]
    for one in compared:
        for what, real, alone, crowded in (
            ("calls", one.calls, one.simulated_calls, one.crowded_calls),
            ("events", one.through, one.simulated_through, one.crowded_through),
        ):
            lines.append(
                f"  {one.nodes} nodes: {real:,.0f} {what}/s, simulated {alone:,.0f} "
                f"({alone / real:.2f}), with the times of {one.nodes} on this machine "
                f"{crowded:,.0f} ({crowded / real:.2f})"
            )
    path = ", ".join(f"{name} {value:.3f}" for name, value in measured.path.items())
    lines.append(f"a call on PostgreSQL by one on SQLite: {path}")
    lines.append("hints: " + ", ".join(f"{k} {v:g}" for k, v in measured.hints.items()))
    read = measured.costs.functions
    lines.append(
        f"a function: {read.each.node * 1e6:.0f} us of a node and {read.each.server * 1e6:.0f} us "
        f"of PostgreSQL to read, {read.bytes / 1000:.1f} kB to hold"
    )
    for name, chart in charts.items():
        lines.append(f"{name}: {chart.title} ({chart.y})")
        for line in chart.lines:
            points = ", ".join(f"{x:,.0f}: {y:,.3g}" for x, y in line.points)
            lines.append(f"  {line.name:22} {points}")
    return "\n".join(lines)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}; load {os.getloadavg()[0]:.0f}\n")


def main(arguments: Sequence[str], measure: Callable[[int, int], Measured] = measure) -> int:
    """Measure, simulate, draw, print; return the exit code."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--docs", type=Path, metavar="FOLDER", default=CHARTS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--measured", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args(arguments)
    adopt_orphans()
    try:
        if chosen.measured:
            measured = msgspec.json.decode(chosen.measured.read_bytes(), type=Measured)
        else:
            measured = measure(chosen.seconds, chosen.rounds)
    except FAILURES as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        clear_leftovers()
    if chosen.json:
        chosen.json.write_bytes(msgspec.json.encode(measured))
    charts = simulate(measured)
    chosen.docs.mkdir(parents=True, exist_ok=True)
    for name, chart in charts.items():
        (chosen.docs / f"{name}.svg").write_text(svg(chart), "utf-8")
    print(text(measured, compare(measured), charts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
