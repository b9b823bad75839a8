"""Our nodes on one PostgreSQL, for `bench.simulation`: what they do, and what it costs.

Follows `data/postgresql` (one lock for each project to the end of the commit, what waits goes into
one transaction, hints after it), `delivery` (leases of what there is, settled together), and the
standing work of `nodes` and `data/postgresql/coordinator.py`: looks, beats, and looking for what
waits. Left out: what many functions' code does, the load balancer, and the network's time.
"""

from __future__ import annotations

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

    patience: float = 0.0
    """Seconds for which all nodes but one wait before they look what a hint told of; then they ask
    without the lock. 0: all of them lease at once."""
    divided: bool = False
    """Each project is looked at by one node in turn, instead of by each."""
    spread: bool = False
    """Projects are led by all nodes, instead of by the first."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated."""

    nodes: int
    cores: float = 4
    """Of each node's machine."""
    server_cores: int = 16
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
    server: float
    """Cores of PostgreSQL that were at work."""


class _Project:
    def __init__(self, simulation: Simulation) -> None:
        self.lock = Places(simulation, 1)
        self.waiting = 0


class _Counts:
    def __init__(self) -> None:
        self.calls = self.sent = self.handled = self.in_vain = 0

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
        self.server = machine or Places(made, scene.server_cores)
        self.served = 0.0
        self.disk = Disk(made, costs.send.fixed.wait)
        self.projects = [_Project(made) for _ in range(scene.projects)]
        self.control = Places(made, 1)
        self.counts = _Counts()
        self.nodes = [_Node(self, number) for number in range(scene.nodes)]

    def found(self, seconds: float, before: float = 1.0) -> Found:
        """Let it run, and count for so long after a while."""
        for node in self.nodes:
            node.start()
        self.simulation.run(before)
        counted, served = self.counts.copy(), self.served
        self.simulation.run(before + seconds)
        made = self.counts - counted
        return Found(
            calls=made.calls / seconds,
            sent=made.sent / seconds,
            handled=made.handled / seconds,
            in_vain=made.in_vain / seconds,
            server=(self.served - served) / seconds,
        )

    def serve(self, seconds: float) -> Use:
        """Have the server spend time on something."""
        self.served += seconds
        return Use(seconds, self.server)


class _Node:
    def __init__(self, model: Model, number: int) -> None:
        self.model, self.number = model, number
        made = model.simulation
        self.machine = model.machine or Places(made, max(1, round(model.scene.cores)))
        self.gateway = Places(made, 1)
        self.lanes = [_Lane(self, project) for project in model.projects]

    def start(self) -> None:
        """Begin everything, out of step with other nodes."""
        model, made = self.model, self.model.simulation
        scene, out_of_step = model.scene, made.random.random
        for standing in (self._looks, self._beats, self._polls):
            made.start(standing(), out_of_step() * LOOK_SECONDS)
        for _ in range(max(1, scene.callers // CHUNK) if scene.callers else 0):
            made.start(self._calls(min(CHUNK, scene.callers)))
        for index, lane in enumerate(self.lanes):
            made.start(lane.writes())
            made.start(lane.tells())
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

    def _beats(self) -> Step:
        model, costs, nodes = self.model, self.model.costs, self.model.scene.nodes
        leads = model.scene.standing * KINDS
        while True:
            cost = costs.beat.of(nodes)
            if model.scene.design.spread:
                cost = cost.plus(costs.leads.each, leads / nodes)
            else:
                cost = cost.plus((costs.led if self.number else costs.leads).each, leads)
            yield self.own(cost.node)
            yield model.serve(cost.server)
            # What is told to the control store: one transaction of all nodes at a time.
            yield Take(self.model.control)
            yield from self.transact(costs.send.fixed)
            self.model.control.give_back()
            yield Pause(BEAT_SECONDS)

    def _polls(self) -> Step:
        scene = self.model.scene
        projects = scene.standing / (scene.nodes if scene.design.divided else 1)
        while True:
            begun = self.model.simulation.now
            left = projects
            while left > 0:
                cost = self.model.costs.poll.of(min(left, POLLED_AT_ONCE))
                yield self.own(cost.node)
                yield self.model.serve(cost.server)
                left -= POLLED_AT_ONCE
            yield Pause(max(0.0, begun + POLL_SECONDS - self.model.simulation.now))

    def transact(self, cost: Cost) -> Step:
        """Make one transaction; its lock is held already."""
        yield self.own(cost.node)
        yield self.model.serve(cost.server)
        if cost.wait:
            yield Durable(self.model.disk)


class _Lane:
    """One project on one node: its writer, its hints, its delivery."""

    def __init__(self, node: _Node, project: _Project) -> None:
        self.node, self.model, self.project = node, node.model, project
        made = node.model.simulation
        self._written = Signal(made)
        self._queue: list[tuple[str, int, Signal]] = []
        self._to_tell, self._ready = Signal(made), Signal(made)
        self.got = 0
        self._is_ready = self._heard = False

    def sends(self, count: int) -> Step:
        """Send events, so many at a time, each once the one before is kept."""
        kept = Signal(self.model.simulation)
        while True:
            if self.model.machine is not None:
                yield Use(self.model.scene.load * count, self.node.machine)
            yield from self.node.work(self.model.spends.accept, count)
            self.change("send", count, kept)
            yield kept
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
            yield from self.node.transact(self._cost(batch))
            self.project.lock.give_back()
            if sent := sum(count for kind, count, _ in batch if kind == "send"):
                self.project.waiting += sent
                self._to_tell.tell()
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

    def hear(self) -> None:
        """Another node told that there is something."""
        design = self.model.scene.design
        nodes = self.model.scene.nodes
        first = self.model.projects.index(self.project) % nodes == self.node.number
        if not design.patience or first:
            self.look()
        elif not self._heard:
            self._heard = True
            self.model.simulation.start(self._ask_later(), design.patience)

    def _ask_later(self) -> Step:
        self._heard = False
        yield self.model.serve(self.model.costs.poll.of(1).server)
        if self.project.waiting:
            self.look()

    def tells(self) -> Step:
        """Tell the other nodes, at most once in so long."""
        nodes = self.model.nodes
        while True:
            yield self._to_tell
            if len(nodes) > 1:
                cost = self.model.costs.tell.of(len(nodes))
                yield self.model.serve(cost.server)
                index = self.node.lanes.index(self)
                yield Pause(HEARD_SECONDS)
                for other in nodes:
                    if other is not self.node:
                        other.lanes[index].hear()
            yield Pause(TELL_SECONDS)

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
