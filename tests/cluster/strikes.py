"""The strikes: each of a kind with a name, and followed until all is well again."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import time
from collections.abc import Callable

from cluster.judging import gap
from cluster.machines import Machine, cut_pair
from cluster.patroni import TTL, Cluster, wait_for
from cluster.writers import Node

FROZEN = TTL + 12
STEPS = (3600.0, -3600.0, 8.0, -8.0)
"""Seconds: an hour is refused by nodes, 8 s are not."""
STEPPED, FULL, SLOW = 8.0, 15.0, 20.0
SYNC_SECONDS = 0.7
_HASTE_SECONDS = 30.0
"""Who cannot write for so long has too few servers left that follow: they are waited for."""
KINDS = (
    *("engine-kills", "kills", "freezes", "dcs-freezes", "cuts", "switches", "lags"),
    *("clocks", "fulls", "slows", "revocations"),
)


class Storm:
    """Strikes at one cluster, each followed by its recovery."""

    def __init__(
        self, cluster: Cluster, nodes: list[Node], moments: random.Random, *, in_a_row: int = 1
    ) -> None:
        """Strike when `moments` says so.

        Up to `in_a_row` primaries are killed without waiting for those killed before to follow
        again: the next one dies as soon as it has acknowledged something.
        """
        self._cluster, self._nodes, self._moments = cluster, nodes, moments
        self._in_a_row, self._killed = in_a_row, 0
        self._pairs = itertools.cycle(
            itertools.combinations(sorted(cluster.machines.values(), key=lambda m: m.name), 2)
        )
        self.gaps: dict[str, list[float]] = {}
        self.rebuilt = 0

    async def strike(self, kind: str) -> None:
        """Strike once and wait until all is well; raises TimeoutError if it does not get so."""
        await asyncio.sleep(self._moments.uniform(0.5, 2.0))
        began = time.monotonic()
        acts: dict[str, Callable[[], None]] = {
            "engine-kills": self._kill_engine,
            "kills": self._kill_machine,
            "freezes": self._freeze_primary,
            "dcs-freezes": self._freeze_both,
            "cuts": self._cut,
            "switches": self._cluster.switch_over,
            "lags": self._lag,
            "clocks": self._step_clock,
            "fulls": self._fill_disk,
            "slows": self._slow_disk,
            "revocations": self._revoke,
        }
        await asyncio.to_thread(acts[kind])
        self._killed = self._killed + 1 if kind == "engine-kills" else 0
        last = self._killed % self._in_a_row == 0
        if last or not await self._are_written(_HASTE_SECONDS):
            self.rebuilt += await asyncio.to_thread(self._cluster.recover)
            if not await self._are_written(60):
                raise TimeoutError("nobody can write any more")
        self.gaps.setdefault(kind, []).append(gap(self._nodes, began, time.monotonic()))

    async def _are_written(self, seconds: float) -> bool:
        """Wait until some changes are acknowledged, or refused for good; False if neither."""
        before = sum(node.counts["acknowledged"] for node in self._nodes)
        deadline = time.monotonic() + seconds
        while sum(node.counts["acknowledged"] for node in self._nodes) < before + 5:
            if any(node.refused for node in self._nodes):
                return True
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    def _leader(self) -> Machine:
        wait_for(lambda: self._cluster.leader() is not None, 60, "there is a primary")
        return self._cluster.leader() or self._cluster.databases[0]

    def _kill_engine(self) -> None:
        self._leader().signal(signal.SIGKILL, "postgres")
        time.sleep(1)

    def _kill_machine(self) -> None:
        machine = self._leader()
        machine.kill()
        wait_for(lambda: self._cluster.leader() not in (None, machine), 90, "another leads")
        time.sleep(1)
        if not machine.processes():  # its watchdog may have reset it
            self._cluster.start_machine(machine)

    def _freeze_primary(self) -> None:
        """Freeze the primary's machine, and all that is on it."""
        leader = self._leader()
        if leader in self._cluster.dcs:
            other = next(machine for machine in self._cluster.dcs if machine is not leader)
            self._cluster.move_dcs_leader(other)
        self._freeze([leader])

    def _freeze_both(self) -> None:
        """Freeze it with the leader of etcd: on it, or on its own machine."""
        leader = self._leader()
        if leader in self._cluster.dcs:
            self._cluster.move_dcs_leader(leader)
            self._freeze([leader])
        else:
            self._freeze([leader, *[m for m in [self._cluster.dcs_leader()] if m is not None]])

    def _freeze(self, machines: list[Machine]) -> None:
        for machine in machines:
            machine.freeze()
        time.sleep(FROZEN)
        # What was swapped out goes on a little later: etcd or Patroni, the one or the other.
        order = [(machine, name) for machine in machines for name in ("etcd", "")]
        if len(machines) > 1 or self._moments.random() < 0.5:
            self._moments.shuffle(order)
        for machine, name in order:
            machine.wake(name)
            time.sleep(self._moments.choice([0.0, 0.005, 0.02, 0.05]))
        time.sleep(2)

    def _revoke(self) -> None:
        """Freeze both, and end the lease of who leads meanwhile, in the moment of waking.

        That is what older releases of etcd do by themselves when their leader wakes.
        """
        leader = self._leader()
        if leader in self._cluster.dcs:
            self._cluster.move_dcs_leader(leader)
        frozen = [leader, *{self._cluster.dcs_leader() or leader} - {leader}]
        for machine in frozen:
            machine.freeze()
        time.sleep(FROZEN)
        asked = next(machine for machine in self._cluster.dcs if machine not in frozen)
        lease = self._cluster.leader_lease(asked)
        for machine in frozen:
            machine.wake()
        time.sleep(self._moments.choice([0.0, 0.005, 0.02, 0.05]))
        self._cluster.revoke(lease, asked)
        time.sleep(2)

    def _step_clock(self) -> None:
        """Step the clock of the primary's machine, and back."""
        leader = self._leader()
        leader.faults.step_clock(self._moments.choice(STEPS))
        time.sleep(STEPPED)
        leader.faults.step_clock(0)

    def _fill_disk(self) -> None:
        """Leave the primary no room on its disk."""
        disk = self._leader().disk
        if disk is not None:
            disk.fill()
            time.sleep(FULL)
            disk.empty()

    def _slow_disk(self) -> None:
        """Make the disk of the primary, or of its standbys, slow."""
        leader = self._leader()
        others = [machine for machine in self._cluster.databases if machine is not leader]
        chosen = self._moments.choice([[leader], others])
        for machine in chosen:
            machine.faults.slow_disk(SYNC_SECONDS)
        time.sleep(SLOW)
        for machine in chosen:
            machine.faults.slow_disk(0)

    def _cut(self) -> None:
        one, other = next(self._pairs)
        cut_pair(one, other)
        time.sleep(TTL + 6)
        one.join()
        other.join()

    def _lag(self) -> None:
        """Have the primary lose its standbys for a moment, and its machine die in it."""
        leader = self._leader()
        others = [machine for machine in self._cluster.databases if machine is not leader]
        for machine in others:
            cut_pair(leader, machine)
        time.sleep(2.0)
        leader.kill()
        # Its kernel lives on here: joined at once, it would still send what was on its way.
        wait_for(lambda: self._cluster.leader() not in (None, leader), 90, "another leads")
        for machine in (leader, *others):
            machine.join()
        self._cluster.start_machine(leader)
