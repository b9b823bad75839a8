"""The strikes at whole nodes and at what they share, two lanes at once: nodes, and the database."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from cluster.judging import longest_gap
from cluster.machines import Machine
from cluster.nodes.load import Load
from cluster.nodes.machine import NodeMachine
from cluster.patroni import Cluster, wait_for

FROZEN = 22.0
"""Seconds: more than twice as long as what a node holds stays its own."""
CUT, OTHERS = 18.0, 8.0
"""Seconds without the database, or the bucket, of which a node that is cut off says so."""
SYNC_SECONDS, SLOW = 2.0, 60.0
NODE_KINDS = ("node-kills", "node-freezes", "cut-database", "cut-bucket", "cut-nodes")
DATABASE_KINDS = ("failovers", "machine-kills", "switches", "slow-commits")
KINDS = (*NODE_KINDS, *DATABASE_KINDS)
_BEGINS = 240.0
_ALL_WELL = 240.0


class Storm:
    """Strikes, each waited for until what it struck is well again."""

    def __init__(
        self,
        cluster: Cluster,
        nodes: list[NodeMachine],
        load: Load,
        start: Callable[[NodeMachine], None],
        bucket: str,
    ) -> None:
        """Strike at `cluster` and `nodes`; `start` starts one of these, `bucket` is an address."""
        self._cluster, self._nodes, self._load = cluster, nodes, load
        self._start, self._bucket = start, bucket
        self.gaps: dict[str, list[float]] = {}
        self.done: Counter[str] = Counter()
        self.untold: list[str] = []
        """What a node should have said of itself, and has not."""

    async def strike(self, kind: str) -> None:
        """Strike once. Raises TimeoutError if what was struck does not get well."""
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            "node-kills": self._kill_node,
            "node-freezes": self._freeze_node,
            "cut-database": self._cut_database,
            "cut-bucket": self._cut_bucket,
            "cut-nodes": self._cut_nodes,
            "failovers": self._fail_over,
            "machine-kills": self._kill_machine,
            "switches": self._switch_over,
            "slow-commits": self._slow_commits,
        }
        began = time.monotonic()
        await acts[kind]()
        self.gaps.setdefault(kind, []).append(
            longest_gap(self._load.done_at, began, time.monotonic())
        )
        self.done[kind] += 1

    # -- nodes -----------------------------------------------------------------------------------

    async def _node(self) -> NodeMachine:
        """Return one that is well, where another one is as well: it has to answer."""
        deadline = time.monotonic() + _BEGINS
        while True:
            ready = await asyncio.to_thread(lambda: [one for one in self._nodes if one.is_ready()])
            if len(ready) >= 2:
                return random.choice(ready)
            if time.monotonic() > deadline:
                raise TimeoutError(f"of the nodes only {[one.name for one in ready]} are well")
            for one in self._nodes:
                if one.has_ended():
                    self._load.failures[f"{one.name} had to be started"] += 1
                    await asyncio.to_thread(self._start, one)
            await asyncio.sleep(0.2)

    async def _kill_node(self) -> None:
        node = await self._node()
        await asyncio.to_thread(node.kill_node)
        await asyncio.sleep(random.uniform(0, 2))
        await asyncio.to_thread(self._start, node)

    async def _freeze_node(self) -> None:
        node = await self._node()
        await asyncio.to_thread(node.freeze_node)
        await asyncio.sleep(FROZEN)
        await asyncio.to_thread(node.wake_node)
        await self._well(node)

    async def _cut_database(self) -> None:
        """Its way to all servers of the database, and to nothing else."""
        node = await self._node()
        with _Cut(node, [one.address for one in self._cluster.databases]):
            await asyncio.sleep(CUT)
            if await asyncio.to_thread(node.is_ready):
                self.untold.append(f"{node.name} says that it is ready without the database")
        await self._well(node)

    async def _cut_bucket(self) -> None:
        node = await self._node()
        with _Cut(node, [self._bucket]):
            told = await self._is_told(node, "bucket", "object store", 50)
            if not told or not await asyncio.to_thread(node.is_ready):
                self.untold.append(f"{node.name} says nothing of the bucket, or is not ready")
        await self._well(node)

    async def _cut_nodes(self) -> None:
        node = await self._node()
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
        await asyncio.to_thread(node.wait_until_ready, _ALL_WELL)

    # -- the database ----------------------------------------------------------------------------

    def _leader(self) -> Machine:
        wait_for(lambda: self._cluster.leader() is not None, 60, "there is a primary")
        return self._cluster.leader() or self._cluster.databases[0]

    async def _recovered(self) -> None:
        await asyncio.to_thread(self._cluster.recover)
        before, deadline = len(self._load.done_at), time.monotonic() + _ALL_WELL
        while len(self._load.done_at) < before + 5:
            if time.monotonic() > deadline:
                raise TimeoutError("nobody can write any more")
            await asyncio.sleep(0.1)

    async def _fail_over(self) -> None:
        """Kill the primary's PostgreSQL: its synchronous standby takes its place."""
        leader = await asyncio.to_thread(self._leader)
        await asyncio.to_thread(leader.signal, signal.SIGKILL, "postgres")
        await asyncio.sleep(1)
        await self._recovered()

    async def _kill_machine(self) -> None:
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


class _Cut:
    """A machine and some addresses lose each other; nobody is told."""

    def __init__(self, machine: Machine, addresses: list[str]) -> None:
        self._machine, self._addresses = machine, addresses

    def __enter__(self) -> None:
        for address in self._addresses:
            self._machine.cut(address)

    def __exit__(self, *_: object) -> None:
        self._machine.join()
