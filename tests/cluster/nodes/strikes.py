"""The strikes at whole nodes and at what they share, in lanes at once: nodes, and the database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

from cluster.judging import longest_gap
from cluster.machines import Machine
from cluster.nodes.load import Load
from cluster.nodes.machine import NodeMachine
from cluster.patroni import TTL, Cluster, wait_for

FROZEN = (12.0, 22.0)
"""Seconds: what a node holds stays its own for 10 when it is not seen."""
MACHINE_FROZEN = TTL + 2.0
CUT, OTHERS = 18.0, 8.0
"""Seconds without the database, or the bucket, of which a node that is cut off says so."""
SYNC_SECONDS, SLOW = 2.0, 60.0
NODE_KINDS = ("node-kills", "node-freezes", "cut-database", "cut-bucket", "cut-nodes")
DATABASE_KINDS = (
    *("failovers", "backend-kills", "machine-kills", "switches", "slow-commits"),
    *("machine-freezes", "both-freezes"),
)
TOLD_KINDS = ("cut-database", "cut-bucket", "cut-nodes", "slow-commits")
"""What a node has to say of itself, which nobody can judge while other things fail, too."""
STANDBY_KINDS = ("standby-kills", "standby-freezes")
DCS_KINDS = ("dcs-kills", "dcs-freezes")
KINDS = (*NODE_KINDS, *DATABASE_KINDS, *STANDBY_KINDS, *DCS_KINDS)
KILLS = tuple(kind for kind in KINDS if kind.endswith("-kills") or kind == "failovers")
FREEZES = tuple(kind for kind in KINDS if kind.endswith("-freezes"))
_EARLY = 4
"""So often at most a node of a lane of its own is killed before it was well once."""
_STARTS, _LIVES = 8.0, 12.0
"""Seconds in which a node of a lane of its own is killed: of its start, and of being well."""
_CALM = (20.0, 8.0)
"""Seconds between two strikes at PostgreSQL, and at etcd, at most: else nobody ever writes."""
_RESTART_SECONDS = 3.0
_BEGINS = 600.0
_ALL_WELL = 600.0
_HASTE_SECONDS = 30.0
"""Who cannot write for so long has too few servers left that follow: they are waited for."""


class Storm:
    """Strikes, each waited for until what it struck is well again; kills of nodes are not."""

    def __init__(
        self,
        cluster: Cluster,
        nodes: list[NodeMachine],
        load: Load,
        start: Callable[[NodeMachine], None],
        bucket: str,
        *,
        in_a_row: int = 1,
    ) -> None:
        """Strike at `cluster` and `nodes`; `start` starts one of these, `bucket` is an address.

        Of PostgreSQL's primaries `in_a_row` are killed before those killed first follow again.
        """
        self._cluster, self._nodes, self._load = cluster, nodes, load
        self._start, self._bucket, self._in_a_row = start, bucket, in_a_row
        self._struck: set[NodeMachine] = set()
        self._choosing = asyncio.Lock()
        self._machines, self._dcs = asyncio.Lock(), asyncio.Lock()
        """Held while a machine of PostgreSQL, or one of etcd, is away for long: one at a time."""
        self._recovering = asyncio.Lock()
        self._failovers = 0
        self._early: Counter[str] = Counter()
        self.gaps: dict[str, list[float]] = {}
        self.done: Counter[str] = Counter()
        self.killed_well = 0
        """Of the kills of nodes those of one that was well; others were about to start."""
        self.untold: list[str] = []
        """What a node should have said of itself, and has not."""

    async def strike(self, kind: str, own: NodeMachine | None = None) -> None:
        """Strike once: at a lane's own node, or at any. Raises TimeoutError if that stays ill."""
        at_nodes: dict[str, Callable[[NodeMachine | None], Awaitable[None]]] = {
            "node-kills": self._kill_node,
            "node-freezes": self._freeze_node,
            "cut-database": self._cut_database,
            "cut-bucket": self._cut_bucket,
            "cut-nodes": self._cut_nodes,
        }
        at_database: dict[str, Callable[[], Awaitable[None]]] = {
            "failovers": self._fail_over,
            "machine-kills": self._kill_machine,
            "switches": self._switch_over,
            "slow-commits": self._slow_commits,
            "backend-kills": self._kill_backend,
            "machine-freezes": self._freeze_machine,
            "both-freezes": self._freeze_both,
            "standby-kills": self._kill_standby,
            "standby-freezes": self._freeze_standby,
            "dcs-kills": self._kill_dcs,
            "dcs-freezes": self._freeze_dcs,
        }
        if kind not in at_nodes:
            await asyncio.sleep(random.uniform(0, _CALM[kind in DCS_KINDS]))
        began = time.monotonic()
        if kind in at_nodes:
            await at_nodes[kind](own)
        else:
            await at_database[kind]()
        self.gaps.setdefault(kind, []).append(
            longest_gap(self._load.done_at, began, time.monotonic())
        )
        self.done[kind] += 1

    async def end(self) -> None:
        """Wait until all nodes are well. Raises TimeoutError if one does not get so."""
        for node in self._nodes:
            await self._start_again(node)
        for node in self._nodes:
            await self._well(node)

    # -- nodes -----------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _node(self, own: NodeMachine | None, *, well: bool = True) -> AsyncIterator[_Chosen]:
        """Choose one where another is well that nobody strikes: that has to answer.

        In a lane of its own it is enough that it was, since it was started. What is struck is well
        itself, unless it may be struck while it starts, too.
        """
        deadline = time.monotonic() + _BEGINS
        while (chosen := await self._chosen(own, well=well)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{own.name if own else 'a node'} and another are not well")
            for one in self._nodes:
                await self._start_again(one)
            await asyncio.sleep(0.3)
        try:
            yield chosen
        finally:
            self._struck.discard(chosen.node)

    async def _chosen(self, own: NodeMachine | None, *, well: bool) -> _Chosen | None:
        async with self._choosing:
            asked = [one for one in self._nodes if one not in self._struck]
            told = await asyncio.gather(*(asyncio.to_thread(one.is_ready) for one in asked))
            ready = [one for one, is_well in zip(asked, told, strict=True) if is_well]
            node = own or (random.choice(ready) if ready else None)
            if node is None or node in self._struck:
                return None
            # Without the database nobody is ready: one that was, and runs, is enough in a lane.
            well_once = [one for one in asked if one.was_well and not one.has_ended()]
            there = well_once if own else ready
            if all(one is node for one in there) or (well and node not in there):
                return None
            self._struck.add(node)
            return _Chosen(node, node in there)

    async def _start_again(self, node: NodeMachine) -> None:
        """Start one that ended by itself, as whatever looks after it does: not at once."""
        if node.has_ended() and node not in self._struck:
            self._struck.add(node)
            try:
                await asyncio.sleep(_RESTART_SECONDS)
                self._load.failures[f"{node.name} had to be started"] += 1
                await asyncio.to_thread(self._start, node)
            finally:
                self._struck.discard(node)

    async def _kill_node(self, own: NodeMachine | None) -> None:
        """Kill it: in a lane of its own at any moment, of its start too."""
        well = own is None or self._early[own.name] >= _EARLY or random.random() < 0.3
        if own is not None:
            self._early[own.name] = 0 if well else self._early[own.name] + 1
            if well and not own.was_well:
                await self._well(own)
            await asyncio.sleep(random.uniform(0, _LIVES if well else _STARTS))
        async with self._node(own, well=well) as (node, was_well):
            self.killed_well += was_well
            await asyncio.to_thread(node.kill_node)
            await asyncio.sleep(random.uniform(0, 1 if own else 2))
            await asyncio.to_thread(self._start, node)

    async def _freeze_node(self, own: NodeMachine | None) -> None:
        async with self._node(own) as (node, _):
            await asyncio.to_thread(node.freeze_node)
            await asyncio.sleep(random.uniform(*FROZEN))
            await asyncio.to_thread(node.wake_node)
            if own is None:
                await self._well(node)

    async def _cut_database(self, own: NodeMachine | None) -> None:
        """Its way to all servers of the database, and to nothing else."""
        async with self._node(own) as (node, _):
            with _Cut(node, [one.address for one in self._cluster.databases]):
                await asyncio.sleep(CUT)
                if await asyncio.to_thread(node.is_ready):
                    self.untold.append(f"{node.name} says that it is ready without the database")
            await self._well(node)

    async def _cut_bucket(self, own: NodeMachine | None) -> None:
        async with self._node(own) as (node, _):
            with _Cut(node, [self._bucket]):
                told = await self._is_told(node, "bucket", "object store", 50)
                if not told or not await asyncio.to_thread(node.is_ready):
                    self.untold.append(f"{node.name} says nothing of the bucket, or is not ready")
            await self._well(node)

    async def _cut_nodes(self, own: NodeMachine | None) -> None:
        async with self._node(own) as (node, _):
            with _Cut(node, [one.address for one in self._nodes if one is not node]):
                await asyncio.sleep(OTHERS)
                if not await asyncio.to_thread(node.is_ready):
                    self.untold.append(f"{node.name} is not ready without the other nodes")
            await self._well(node)

    async def _is_told(self, node: NodeMachine, part: str, words: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if words in await asyncio.to_thread(node.wrong, part):
                return True
            await asyncio.sleep(1)
        return False

    async def _well(self, node: NodeMachine) -> None:
        deadline = time.monotonic() + _ALL_WELL
        while not await asyncio.to_thread(node.is_ready):
            await self._start_again(node)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{node.name} is not ready: {node.said_last()}")
            await asyncio.sleep(0.3)

    # -- the database ----------------------------------------------------------------------------

    def _leader(self) -> Machine:
        wait_for(lambda: self._cluster.leader() is not None, _ALL_WELL, "there is a primary")
        return self._cluster.leader() or self._cluster.databases[0]

    async def _recovered(self) -> None:
        async with self._recovering:
            await asyncio.to_thread(self._cluster.recover, _ALL_WELL)
        if not await self._are_written(_ALL_WELL):
            raise TimeoutError("nobody can write any more")

    async def _are_written(self, seconds: float) -> bool:
        """Wait until some changes are acknowledged; False if they are not."""
        before, deadline = len(self._load.done_at), time.monotonic() + seconds
        while len(self._load.done_at) < before + 5:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.1)
        return True

    async def _fail_over(self) -> None:
        """Kill the primary's PostgreSQL: its synchronous standby takes its place."""
        leader = await asyncio.to_thread(self._leader)
        await asyncio.to_thread(leader.signal, signal.SIGKILL, "postgres")
        await asyncio.sleep(1)
        self._failovers += 1
        if self._failovers % self._in_a_row == 0 or not await self._are_written(_HASTE_SECONDS):
            await self._recovered()

    async def _freeze_machine(self) -> None:
        """Freeze the primary's machine for longer than its time to live."""
        async with self._machines:
            await self._freeze([await asyncio.to_thread(self._leader)])
        await self._recovered()

    async def _freeze_both(self) -> None:
        """Freeze it with that of etcd's leader, on whose word it leads."""
        async with self._machines, self._dcs:
            leader = await asyncio.to_thread(self._leader)
            other = await asyncio.to_thread(self._cluster.dcs_leader)
            await self._freeze([leader, *([other] if other is not None else [])])
        await self._recovered()

    async def _freeze(self, machines: list[Machine]) -> None:
        for machine in machines:
            await asyncio.to_thread(machine.freeze)
        await asyncio.sleep(MACHINE_FROZEN)
        random.shuffle(machines)
        for machine in machines:
            await asyncio.to_thread(machine.wake)
            await asyncio.sleep(random.choice((0.0, 0.005, 0.02, 0.05)))
        await asyncio.sleep(2)

    # -- its standbys, and etcd ------------------------------------------------------------------

    def _standby(self) -> Machine:
        """Return one that follows the primary."""
        deadline = time.monotonic() + _ALL_WELL
        while True:
            leader = self._cluster.leader()
            following = [machine for machine in self._cluster.healthy() if machine is not leader]
            if leader is not None and following:
                return random.choice(following)
            if time.monotonic() > deadline:
                raise TimeoutError("nobody follows the primary")
            time.sleep(0.3)

    async def _kill_standby(self) -> None:
        """Kill its PostgreSQL: commits wait for the other one, or for its return."""
        standby = await asyncio.to_thread(self._standby)
        await asyncio.to_thread(standby.signal, signal.SIGKILL, "postgres")
        await asyncio.sleep(random.uniform(1, 4))
        if not await self._are_written(_HASTE_SECONDS):
            await self._recovered()

    async def _freeze_standby(self) -> None:
        async with self._machines:
            await self._freeze([await asyncio.to_thread(self._standby)])
        await self._recovered()

    async def _kill_dcs(self) -> None:
        """Kill a member of etcd, its leader more often than others, and start it again."""
        async with self._dcs:
            machine = await asyncio.to_thread(self._dcs_member)
            await asyncio.to_thread(machine.kill)
            await asyncio.sleep(random.uniform(0, 2))
            await asyncio.to_thread(self._cluster.start_etcd, machine)
            await self._dcs_whole()

    async def _freeze_dcs(self) -> None:
        """Freeze the leader of etcd for longer than the primary's time to live."""
        async with self._dcs:
            machine = await asyncio.to_thread(self._cluster.dcs_leader)
            await self._freeze([machine or self._cluster.dcs[0]])
            await self._dcs_whole()

    def _dcs_member(self) -> Machine:
        leader = self._cluster.dcs_leader() if random.random() < 0.25 else None
        return leader or random.choice(self._cluster.dcs)

    async def _dcs_whole(self) -> None:
        await asyncio.to_thread(wait_for, self._cluster.dcs_whole, _ALL_WELL, "all of etcd is well")

    async def _kill_backend(self) -> None:
        """Kill one process of the primary: PostgreSQL ends all others and recovers by itself."""
        leader = await asyncio.to_thread(self._leader)
        processes = await asyncio.to_thread(leader.processes, "postgres")
        if processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(processes), signal.SIGKILL)
        await asyncio.sleep(1)
        if not await self._are_written(_HASTE_SECONDS):
            await self._recovered()

    async def _kill_machine(self) -> None:
        async with self._machines:
            leader = await asyncio.to_thread(self._leader)
            await asyncio.to_thread(leader.kill)
            await asyncio.to_thread(
                wait_for, lambda: self._cluster.leader() not in (None, leader), 90, "another leads"
            )
            await asyncio.sleep(1)
            await asyncio.to_thread(self._cluster.start_machine, leader)
        await self._recovered()

    async def _switch_over(self) -> None:
        await asyncio.to_thread(self._cluster.switch_over)
        await self._recovered()

    async def _slow_commits(self) -> None:
        """Have the standbys sync slowly: each commit waits for one of them."""
        leader = await asyncio.to_thread(self._leader)
        others = [machine for machine in self._cluster.databases if machine is not leader]
        for machine in others:
            machine.faults.slow_disk(SYNC_SECONDS)
        try:
            told = await asyncio.gather(
                *(self._is_told(node, "check", "commit", SLOW) for node in self._nodes)
            )
            if not any(told):
                self.untold.append("no node says that commits are slow")
        finally:
            for machine in others:
                machine.faults.slow_disk(0)
        await self._recovered()


class _Chosen(NamedTuple):
    """A node that is struck, and whether it was well before."""

    node: NodeMachine
    was_well: bool


class _Cut:
    """A machine and some addresses lose each other; nobody is told."""

    def __init__(self, machine: Machine, addresses: list[str]) -> None:
        self._machine, self._addresses = machine, addresses

    def __enter__(self) -> None:
        for address in self._addresses:
            self._machine.cut(address)

    def __exit__(self, *_: object) -> None:
        self._machine.join()
