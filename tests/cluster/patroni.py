"""PostgreSQL under Patroni: with the settings of the guide, or with those that it comes with."""

from __future__ import annotations

import base64
import json
import shutil
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from cluster.faults import Watchdog, compile_faults
from cluster.machines import Machine, Network
from support.servers import POSTGRES

TTL, LOOP, RETRY = 20, 2, 5
"""The lowest time to live that Patroni permits, and what fits into it."""


@dataclass(frozen=True)
class Profile:
    """How a cluster is set up."""

    name: str
    apart: bool
    """etcd has machines of its own."""
    dynamic: dict[str, Any]
    postgresql: dict[str, Any]
    parameters: dict[str, str] = field(default_factory=dict)
    loop: int = LOOP
    is_watched: bool = False
    """A watchdog resets a primary's machine that is not heard of."""


GUIDE = Profile(
    "guide",
    True,
    {
        "synchronous_mode": True,
        "synchronous_mode_strict": True,
        "synchronous_node_count": 1,
        "maximum_lag_on_failover": 0,
        "primary_start_timeout": 0,
    },
    {"use_pg_rewind": False, "remove_data_directory_on_diverged_timelines": False},
    {"wal_retrieve_retry_interval": "500ms"},
)
WATCHED = replace(GUIDE, name="watched", is_watched=True)
"""All of the guide, also the watchdog: a simulated one."""
STOCK = Profile("stock", False, {}, {"use_pg_rewind": True}, loop=10)
"""Patroni's own; but for `ttl` and what fits into it, which would be 30 and 10."""
TOGETHER = Profile(
    "sync",
    False,
    {"synchronous_mode": True, "synchronous_mode_strict": True},
    {"use_pg_rewind": True},
    loop=10,
)
"""Synchronous, and otherwise as Patroni's own examples are: what lost in the trial of design."""
PROFILES = {each.name: each for each in (GUIDE, WATCHED, STOCK, TOGETHER)}
DATABASES = ("db1", "db2", "db3")


class Cluster:
    """Three machines with PostgreSQL, three with etcd, or both on the same."""

    def __init__(self, profile: Profile, folder: Path, etcd: Path, patroni: Path) -> None:
        """Make the machines."""
        self.profile, self._etcd, self._patroni = profile, etcd, patroni
        self.network = Network()
        names = DATABASES + (("dcs1", "dcs2", "dcs3") if profile.apart else ())
        self.machines: dict[str, Machine] = {}
        self.watchdogs: list[Watchdog] = []
        try:
            library = compile_faults(folder)
            for number, name in enumerate(names, 1):
                self.machines[name] = Machine(self.network, name, number, folder, library)
        except BaseException:
            self.end()
            raise
        self.databases = [self.machines[name] for name in DATABASES]
        self.dcs = [m for m in self.machines.values() if m.name.startswith("dcs")] or self.databases

    def start(self) -> None:
        """Start all and wait until a primary and a standby are there."""
        for machine in self.dcs:
            self.start_etcd(machine)
        wait_for(lambda: self.dcs_leader() is not None, 30, "etcd has a leader")
        for machine in self.databases:
            machine.mount()
            if self.profile.is_watched:
                self.watchdogs.append(
                    Watchdog(machine.folder / "watchdog", partial(self._reset, machine))
                )
            self._configure(machine)
            self.start_patroni(machine)
        wait_for(self.is_whole, 120, "all of PostgreSQL runs")

    def start_etcd(self, machine: Machine) -> None:
        """Start a member of etcd, anew or with what it had."""
        peers = ",".join(f"{m.name}=http://{m.address}:2380" for m in self.dcs)
        own = f"http://{machine.address}"
        machine.start(
            *(str(self._etcd), "--name", machine.name, "--data-dir", str(machine.folder / "etcd")),
            *("--listen-peer-urls", f"{own}:2380", "--initial-advertise-peer-urls", f"{own}:2380"),
            *("--listen-client-urls", f"{own}:2379", "--advertise-client-urls", f"{own}:2379"),
            *("--initial-cluster", peers, "--initial-cluster-state", "new"),
            log="etcd.log",
        )

    def start_patroni(self, machine: Machine) -> None:
        """Start Patroni, which starts PostgreSQL."""
        machine.start(str(self._patroni), "patroni.json", log="patroni.log", path=str(POSTGRES))

    def start_machine(self, machine: Machine) -> None:
        """Start what ran on a machine that was killed."""
        if machine in self.dcs:
            self.start_etcd(machine)
        if machine in self.databases:
            self.start_patroni(machine)

    def _reset(self, machine: Machine) -> None:
        machine.kill()
        self.start_machine(machine)

    def url(self, database: str) -> str:
        """Return what nodes connect by."""
        places = ",".join(f"{machine.address}:5432" for machine in self.databases)
        return f"postgresql://casemate@{places}/{database}?sslmode=disable"

    def members(self) -> dict[str, dict[str, Any]]:
        """Return what Patroni says of each member, asked itself; nothing of who does not answer."""
        found = {}
        for machine in self.databases:
            with suppress(OSError, ValueError):
                found[machine.name] = _json(f"http://{machine.address}:8008/patroni")
        return found

    def timeline(self) -> int:
        """Return the newest timeline that anybody has."""
        return max((member.get("timeline", 0) for member in self.members().values()), default=0)

    def leader(self) -> Machine | None:
        """Return the machine whose PostgreSQL can be written to; the newest if there are two."""
        return self._leader_of(self.members())

    def _leader_of(self, members: dict[str, dict[str, Any]]) -> Machine | None:
        primaries = [
            (member.get("timeline", 0), name)
            for name, member in members.items()
            if member.get("state") == "running" and member.get("role") in ("primary", "master")
        ]
        return self.machines[max(primaries)[1]] if primaries else None

    def is_whole(self) -> bool:
        """Tell whether all follow the primary, and one of them may take its place."""
        if len(self.healthy()) < len(DATABASES):
            return False
        waits = self.profile.dynamic.get("synchronous_mode", False)
        return not waits or any(member.get("sync_standby") for member in self.members().values())

    def healthy(self) -> list[Machine]:
        """Return the machines whose PostgreSQL is the primary, or follows it on its timeline.

        None where nobody says that it leads: who waits for one is not made anew.
        """
        members = self.members()
        leader = self._leader_of(members)
        if leader is None:
            return []
        timeline = members[leader.name].get("timeline")
        return [
            self.machines[name]
            for name, member in members.items()
            if name == leader.name
            or (member.get("replication_state") == "streaming" and member["timeline"] == timeline)
        ]

    def dcs_leader(self) -> Machine | None:
        """Return the machine that leads etcd, by what most of its members say."""
        for machine in self.dcs:
            with suppress(OSError, ValueError, KeyError):
                url = f"http://{machine.address}:2379/v3/maintenance/status"
                status = _json(url, b"{}")
                if status["leader"] == status["header"]["member_id"]:
                    return machine
        return None

    def dcs_whole(self) -> bool:
        """Tell whether each member of etcd knows who leads it."""
        for machine in self.dcs:
            try:
                status = _json(f"http://{machine.address}:2379/v3/maintenance/status", b"{}")
                if not int(status.get("leader", "0")):
                    return False
            except (OSError, ValueError, AttributeError):
                return False
        return True

    def move_dcs_leader(self, target: Machine) -> None:
        """Have a machine lead etcd."""
        leader = self.dcs_leader()
        if leader is None or leader is target:
            return
        member = _json(f"http://{target.address}:2379/v3/maintenance/status", b"{}")
        identity = member["header"]["member_id"]
        _json(
            f"http://{leader.address}:2379/v3/maintenance/transfer-leadership",
            json.dumps({"targetID": identity}).encode(),
        )

    def leader_lease(self, asked: Machine) -> str:
        """Return the lease that the primary leads by, as a member of etcd says."""
        wanted = json.dumps({"key": base64.b64encode(b"/service/casemate/leader").decode()})
        found = _json(f"http://{asked.address}:2379/v3/kv/range", wanted.encode())
        return str(found["kvs"][0]["lease"])

    def revoke(self, lease: str, asked: Machine) -> None:
        """End a lease, as an etcd does that was frozen and believes that it still leads."""
        wanted = json.dumps({"ID": lease}).encode()
        _json(f"http://{asked.address}:2379/v3/lease/revoke", wanted)

    def switch_over(self) -> None:
        """Have another machine become the primary, as for maintenance."""
        leader = self.leader()
        if leader is None:
            raise TimeoutError("there is no primary")
        url = f"http://{leader.address}:8008/switchover"
        wanted = json.dumps({"leader": leader.name}).encode()

        def is_done() -> bool:
            with suppress(OSError):
                return "uccessfully" in str(_json(url, wanted, seconds=30))
            return self.leader() not in (None, leader)

        wait_for(is_done, 40, "the switch-over is done")

    def rebuild(self, machine: Machine) -> None:
        """Make a member anew from the primary, as an operator does with one that has diverged."""
        machine.kill(but="etcd")
        shutil.rmtree(_data(machine), ignore_errors=True)
        self.start_patroni(machine)

    def recover(self, seconds: float = 240) -> int:
        """Wait until all follow the primary; rebuild who cannot. Return how many were rebuilt."""
        rebuilt: set[str] = set()
        deadline = time.monotonic() + seconds
        patience = time.monotonic() + 25
        while not self.is_whole():
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError(f"the cluster does not recover: {self.members()}")
            if now > patience and (healthy := self.healthy()):
                # Never the one that leads, nor all because one question was not answered.
                for machine in set(self.databases) - set(healthy):
                    if machine.name not in rebuilt:
                        rebuilt.add(machine.name)
                        self.rebuild(machine)
                patience = now + 30
            time.sleep(0.3)
        return len(rebuilt)

    def end(self) -> None:
        """Kill all and remove the machines."""
        for watchdog in self.watchdogs:
            watchdog.end()
        for machine in self.machines.values():
            machine.wake()
            machine.end()
        self.network.end()

    def _configure(self, machine: Machine) -> None:
        others = f"{machine.address.rpartition('.')[0]}.0/24"
        users = {"superuser": {"username": "postgres"}, "replication": {"username": "replicator"}}
        users["rewind"] = {"username": "postgres"}
        config = {
            "scope": "casemate",
            "name": machine.name,
            "restapi": {
                "listen": f"{machine.address}:8008",
                "connect_address": f"{machine.address}:8008",
            },
            "etcd3": {"hosts": ",".join(f"{m.address}:2379" for m in self.dcs)},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL,
                    "loop_wait": self.profile.loop,
                    "retry_timeout": RETRY,
                    **self.profile.dynamic,
                    "postgresql": {
                        "use_slots": True,
                        **self.profile.postgresql,
                        "parameters": {
                            "max_connections": 120,
                            "shared_buffers": "32MB",
                            # Below its data: what a killed one leaves behind goes with that.
                            "dynamic_shared_memory_type": "mmap",
                            # Of small parts, so that a full disk is soon noticed.
                            "wal_keep_size": "256MB",
                            "max_wal_size": "128MB",
                            "min_wal_size": "2MB",
                            **self.profile.parameters,
                        },
                    },
                },
                "initdb": [
                    *("data-checksums", {"encoding": "UTF8"}, {"locale": "C"}),
                    {"wal-segsize": "1"},
                ],
            },
            "postgresql": {
                "listen": f"{machine.address}:5432",
                "connect_address": f"{machine.address}:5432",
                "data_dir": str(_data(machine)),
                "authentication": users,
                # A closed network of this host's own.
                "pg_hba": [
                    "local all all trust",
                    f"host all all {others} trust",
                    f"host replication all {others} trust",
                ],
                "basebackup": [{"checkpoint": "fast"}],
                "parameters": {"unix_socket_directories": str(machine.folder)},
                **self.profile.postgresql,
            },
            "watchdog": {"mode": "off"}
            if not self.profile.is_watched
            else {
                "mode": "required",
                "driver": "testing",
                "device": str(machine.folder / "watchdog"),
                "safety_margin": 5,
            },
        }
        (machine.folder / "patroni.json").write_text(json.dumps(config))


def _data(machine: Machine) -> Path:
    return machine.folder / "disk/data"


def _json(url: str, content: bytes | None = None, seconds: float = 1.0) -> Any:
    try:
        with urllib.request.urlopen(url, content, timeout=seconds) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        text = error.read()
    return json.loads(text) if text.startswith((b"{", b"[")) else text.decode()


def wait_for(holds: Any, seconds: float, what: str) -> float:
    """Wait until something holds; return how long it took. Raises TimeoutError."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)
    return time.monotonic() - began
