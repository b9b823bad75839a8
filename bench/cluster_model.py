"""Our nodes on one PostgreSQL, for `bench.simulation`: what they do, and what it costs.

Follows `data/postgresql` (one lock for each project to the end of the commit, what waits goes into
one transaction, hints after it), `delivery` (leases of what there is, settled together), and the
standing work of `nodes` and `data/postgresql/coordinator.py`: looks, beats, and looking for what
waits. Left out: what many functions' code does, the load balancer, and the network's time.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Final

import msgspec

from bench.cluster_costs import Cost, Costs
from bench.simulation import (
    MOST_TOGETHER,
    Disk,
    Durable,
    Pause,
    Places,
    Signal,
    Simulation,
    Step,
    Take,
    Use,
)
from casemate.data.postgresql.coordinator import BEAT_SECONDS, POLL_SECONDS, TELL_SECONDS
from casemate.data.postgresql.hints import LATER_SECONDS, MOST_LATER
from casemate.nodes.following import LOOK_SECONDS

FOR_EACH_PROJECT: Final = 500
"""Functions that one manifest may have."""
POLLED_AT_ONCE: Final = 16
MOST_LEASED: Final = 200
HEARD_SECONDS: Final = 0.0005
"""From when a hint is told until another node's thread has it, on one network."""
CHUNK: Final = 8
"""Calls or events that are simulated as one."""
KINDS: Final = 2
"""Kinds of work that one node leads a project in."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole node spends on one call or event, beside the state that it shares. Seconds."""

    gateway: float
    """In the gateway's process, of which one thread runs at a time."""
    rest: float
    """In all its other processes."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What every node spends."""

    call: Work
    """A call that is waited for."""
    accept: Work
    """A call whose event is kept, without keeping it."""
    event: Work
    """An event that is handled, without leasing and settling it."""


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """What of our design is another one in comparisons."""

    together: bool = True
    """Nodes look one after the other at what a hint told of, all but the first without the lock;
    hints are fewer the more nodes there are. Else all lease at once, and each tells in 3 ms."""
    divided: bool = True
    """Each project is looked at by one node in turn, instead of by each."""
    spread: bool = True
    """Projects are led by all nodes, instead of by the first."""


BEFORE: Final = Design(together=False, divided=False, spread=False)
"""As it was before this was simulated."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated."""

    nodes: int
    cores: float = 4
    """Of each node's machine."""
    server_cores: int = 16
    """Of each database."""
    databases: int = 1
    """In which projects live, each on a server of its own. The first has the control store."""
    shared: int = 0
    """Cores of one machine that all nodes, the server and the load share; 0: each has its own."""
    projects: int = 1
    """That events are sent to."""
    standing: int = 1
    """That have functions here, those included."""
    callers: int = 0
    """Connections to each node that call and wait, each after its last."""
    senders: int = 0
    """Connections to each node that send events, each after its last."""
    arrivals: float = 0.0
    """Events a second that come to each project, each at any of the nodes."""
    load: float = 0.0
    """Seconds that a call or sent event costs who sends it, where the machine is shared."""
    design: Design = Design()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it, a second."""

    calls: float
    sent: float
    handled: float
    in_vain: float
    """Leases that found nothing."""
    kept_ms: float
    """The median of how long it took to keep an event."""
    server: float
    """Cores of PostgreSQL that were at work, of all databases."""


class _Project:
    def __init__(self, simulation: Simulation, database: int) -> None:
        self.database = database
        self.lock = Places(simulation, 1)
        self.waiting = 0


class _Counts:
    def __init__(self) -> None:
        self.calls = self.sent = self.kept = self.handled = self.in_vain = 0

    def __sub__(self, other: _Counts) -> _Counts:
        found = _Counts()
        for name in vars(found):
            setattr(found, name, getattr(self, name) - getattr(other, name))
        return found

    def copy(self) -> _Counts:
        return self - _Counts()


class Model:
    """All of one scene."""

    def __init__(self, scene: Scene, costs: Costs, node: Node, seed: int = 1) -> None:
        """Set it up."""
        self.scene, self.costs, self.spends = scene, costs, node
        self.simulation = made = Simulation(seed)
        machine = Places(made, scene.shared) if scene.shared else None
        self.machine = machine
        numbers = range(scene.databases)
        self.servers = [machine or Places(made, scene.server_cores) for _ in numbers]
        self.served = 0.0
        self.disks = [Disk(made, costs.disk) for _ in numbers]
        self.projects = [_Project(made, n % scene.databases) for n in range(scene.projects)]
        self.control = Places(made, 1)
        self.counts = _Counts()
        self.took: list[float] = []
        self.ending = False
        self.nodes: list[_Node] = []
        self.nodes = [_Node(self, number) for number in range(scene.nodes)]

    def found(self, seconds: float, before: float = 1.0) -> Found:
        """Let it run, and count for so long after a while."""
        for node in self.nodes:
            node.start()
        if self.scene.arrivals:
            for index in range(self.scene.projects):
                self.simulation.start(self._arrivals(index))
        self.simulation.run(before)
        counted, served = self.counts.copy(), self.served
        self.took.clear()
        self.simulation.run(before + seconds)
        made = self.counts - counted
        return Found(
            calls=made.calls / seconds,
            sent=made.sent / seconds,
            handled=made.handled / seconds,
            in_vain=made.in_vain / seconds,
            server=(self.served - served) / seconds,
            kept_ms=1000 * statistics.median(self.took) if self.took else 0.0,
        )

    def through(self, seconds: float, most: float = 120.0) -> float:
        """Let events be sent for so long, and all be handled; return how many a second were."""
        for node in self.nodes:
            node.start()
        self.simulation.run(seconds)
        self.ending = True
        while self.counts.handled < self.counts.kept and self.simulation.now < most:
            self.simulation.run(self.simulation.now + 0.05)
        return self.counts.handled / self.simulation.now

    def _arrivals(self, index: int) -> Step:
        random = self.simulation.random
        while True:
            yield Pause(random.expovariate(self.scene.arrivals))
            lane = self.nodes[random.randrange(len(self.nodes))].lanes[index]
            self.simulation.start(lane.keeps())

    def serve(self, seconds: float, database: int = 0) -> Use:
        """Have a server spend time on something."""
        self.served += seconds
        return Use(seconds, self.servers[database])

    def by_database(self, indexes: Iterable[int]) -> dict[int, int]:
        """Return in which databases some of the projects are, and how many in each."""
        return Counter(self.projects[index].database for index in indexes)


class _Node:
    def __init__(self, model: Model, number: int) -> None:
        self.model, self.number = model, number
        made = model.simulation
        self.machine = model.machine or Places(made, max(1, round(model.scene.cores)))
        self.gateway = Places(made, 1)
        self._to_tell: dict[int, None] = {}
        self._heard: dict[int, float] = {}
        self._dues: set[float] = set()
        self._wake = Signal(made)
        self.lanes = [_Lane(self, *one) for one in enumerate(model.projects)]

    def start(self) -> None:
        """Begin everything, out of step with other nodes."""
        model, made = self.model, self.model.simulation
        scene, out_of_step = model.scene, made.random.random
        made.start(self._looks(), out_of_step() * LOOK_SECONDS)
        made.start(self._tells(), out_of_step() * LOOK_SECONDS)
        for database in range(scene.databases):
            made.start(self._beats(database), out_of_step() * LOOK_SECONDS)
            made.start(self._polls(database), out_of_step() * LOOK_SECONDS)
        for _ in range(max(1, scene.callers // CHUNK) if scene.callers else 0):
            made.start(self._calls(min(CHUNK, scene.callers)))
        for index, lane in enumerate(self.lanes):
            made.start(lane.writes())
            made.start(lane.handles())
            count = scene.senders // len(self.lanes)
            count += index < scene.senders % len(self.lanes)
            for first in range(0, count, CHUNK):
                made.start(lane.sends(min(CHUNK, count - first)), out_of_step() * 0.01)

    def work(self, work: Work, count: int) -> Step:
        """Spend on so many calls or events: the gateway's part, then the rest beside it."""
        yield Use(work.gateway * count, self.gateway, self.machine)
        yield Use(work.rest * count, self.machine)

    def own(self, seconds: float) -> Use:
        """Spend time in the gateway."""
        return Use(seconds, self.gateway, self.machine)

    def _calls(self, count: int) -> Step:
        while True:
            if self.model.machine is not None:
                yield Use(self.model.scene.load * count, self.machine)
            yield from self.work(self.model.spends.call, count)
            self.model.counts.calls += count

    def _looks(self) -> Step:
        look = self.model.costs.look
        while True:
            yield self.own(look.node)
            yield self.model.serve(look.server)
            yield Pause(LOOK_SECONDS)

    def _beats(self, database: int) -> Step:
        model, costs, nodes = self.model, self.model.costs, self.model.scene.nodes
        leads = model.scene.standing * KINDS / model.scene.databases
        while True:
            cost = costs.beat.of(nodes)
            if model.scene.design.spread:
                cost = cost.plus(costs.leads.each, leads / nodes)
                cost = cost.plus(costs.led.each, leads - leads / nodes)
            else:
                cost = cost.plus((costs.led if self.number else costs.leads).each, leads)
            yield self.own(cost.node)
            yield model.serve(cost.server, database)
            if not database:
                # What is told to the control store: one transaction of all nodes at a time.
                yield Take(self.model.control)
                yield from self.transact(costs.send.fixed, database)
                self.model.control.give_back()
            yield Pause(BEAT_SECONDS)

    def _polls(self, database: int) -> Step:
        scene = self.model.scene
        projects = scene.standing / scene.databases
        projects /= scene.nodes if scene.design.divided else 1
        while True:
            begun = self.model.simulation.now
            left = projects
            while left > 0:
                cost = self.model.costs.poll.of(min(left, POLLED_AT_ONCE))
                yield self.own(cost.node)
                yield self.model.serve(cost.server, database)
                left -= POLLED_AT_ONCE
            yield Pause(max(0.0, begun + POLL_SECONDS - self.model.simulation.now))

    def told(self, index: int) -> None:
        """Have the other nodes told of a project."""
        if len(self.model.nodes) > 1:
            self._to_tell[index] = None
            self._wake.tell()

    def _tells(self) -> Step:
        model, nodes = self.model, self.model.scene.nodes
        pause = TELL_SECONDS * (nodes if model.scene.design.together else 1)
        while True:
            if not self._to_tell:
                yield self._wake
                continue
            told, self._to_tell = tuple(self._to_tell), {}
            cost = model.costs.tell.of(nodes - 1)
            for database in model.by_database(told):
                yield self.own(model.costs.tell.fixed.node)
                yield model.serve(cost.server, database)
            model.simulation.at(HEARD_SECONDS, partial(self._all_hear, told))
            yield Pause(pause)

    def _all_hear(self, told: tuple[int, ...]) -> None:
        for other in self.model.nodes:
            if other is not self:
                other.hear(told)

    def hear(self, told: tuple[int, ...]) -> None:
        """Another node told that there is something."""
        scene, made = self.model.scene, self.model.simulation
        for index in told:
            before = (self.number - index) % scene.nodes
            if not scene.design.together or not before:
                self.lanes[index].look()
            elif index not in self._heard:
                at = made.now + min(before * LATER_SECONDS, MOST_LATER)
                due = math.ceil(at / LATER_SECONDS) * LATER_SECONDS
                self._heard[index] = due
                if due not in self._dues:
                    self._dues.add(due)
                    made.start(self._look_at_heard(due), due - made.now)

    def _look_at_heard(self, due: float) -> Step:
        self._dues.discard(due)
        heard = [index for index, at in self._heard.items() if at <= due]
        for index in heard:
            del self._heard[index]
        for database, count in self.model.by_database(heard).items():
            cost = self.model.costs.left.of(count)
            yield self.own(cost.node)
            yield self.model.serve(cost.server, database)
        for index in heard:
            if self.model.projects[index].waiting:
                self.lanes[index].look()

    def transact(self, cost: Cost, database: int) -> Step:
        """Make one transaction; its lock is held already."""
        yield self.own(cost.node)
        yield self.model.serve(cost.server, database)
        yield Durable(self.model.disks[database])


class _Lane:
    """One project on one node: its writer, its hints, its delivery."""

    def __init__(self, node: _Node, index: int, project: _Project) -> None:
        self.node, self.model, self.project = node, node.model, project
        made = node.model.simulation
        self._written = Signal(made)
        self._queue: list[tuple[str, int, Signal]] = []
        self._ready = Signal(made)
        self.got = 0
        self._is_ready = False
        self._index = index

    def sends(self, count: int) -> Step:
        """Send events, so many at a time, each once the one before is kept."""
        kept = Signal(self.model.simulation)
        while not self.model.ending:
            if self.model.machine is not None:
                yield Use(self.model.scene.load * count, self.node.machine)
            yield from self.node.work(self.model.spends.accept, count)
            yield from self._keep(count, kept)

    def keeps(self) -> Step:
        """Keep one event that came."""
        kept = Signal(self.model.simulation)
        yield from self.node.work(self.model.spends.accept, 1)
        yield from self._keep(1, kept)

    def _keep(self, count: int, kept: Signal) -> Step:
        begun = self.model.simulation.now
        self.change("send", count, kept)
        yield kept
        self.model.took.append(self.model.simulation.now - begun)
        self.model.counts.sent += count

    def change(self, kind: str, count: int, made: Signal) -> None:
        """Have something be in the next transaction."""
        self._queue.append((kind, count, made))
        self._written.tell()

    def writes(self) -> Step:
        """Make what waits in one transaction, one after the other."""
        while True:
            if not self._queue:
                yield self._written
                continue
            batch, size = list[tuple[str, int, Signal]](), 0
            while self._queue and size < MOST_TOGETHER:
                batch.append(self._queue.pop(0))
                size += batch[-1][1] if batch[-1][0] == "send" else 1
            yield Take(self.project.lock)
            yield from self.node.transact(self._cost(batch), self.project.database)
            self.project.lock.give_back()
            if sent := sum(count for kind, count, _ in batch if kind == "send"):
                self.project.waiting += sent
                self.model.counts.kept += sent
                self.node.told(self._index)
                self.look()
            for _, _, made in batch:
                made.tell()

    def _cost(self, batch: list[tuple[str, int, Signal]]) -> Cost:
        """Return what a transaction costs, and take what it leases."""
        costs = self.model.costs
        cost = Cost(node=0.0, server=0.0)
        if sent := sum(count for kind, count, _ in batch if kind == "send"):
            cost = cost.plus(costs.send.of(sent))
        for kind, count, _ in batch:
            if kind == "settle":
                cost = cost.plus(costs.settle.of(count), 0.5)
            elif kind == "lease":
                self.got = min(self.project.waiting, count)
                self.project.waiting -= self.got
                self.model.counts.in_vain += not self.got
                half = costs.settle.of(self.got)
                cost = cost.plus(half, 0.5) if self.got else cost.plus(costs.in_vain)
        return cost

    def look(self) -> None:
        """Look what there is to lease, unless that is about to be done anyway."""
        if not self._is_ready:
            self._is_ready = True
            self._ready.tell()

    def handles(self) -> Step:
        """Lease what there is, run it, settle it with the next lease."""
        leased, settled = Signal(self.model.simulation), Signal(self.model.simulation)
        while True:
            yield self._ready
            self._is_ready = False
            while True:
                self.change("lease", MOST_LEASED, leased)
                yield leased
                got = self.got
                if not got:
                    break
                for first in range(0, got, CHUNK):
                    yield from self.node.work(self.model.spends.event, min(CHUNK, got - first))
                self.model.counts.handled += got
                self.change("settle", got, settled)
                if got < MOST_LEASED:
                    yield settled
                    break
