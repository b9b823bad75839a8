"""Whole nodes on one PostgreSQL and one S3-compatible store, and one on SQLite, to be measured.

As root each is in a network namespace of its own, as in `make demo-cluster`.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec
import psycopg
from scripts.demo_cluster.errors import DemoError
from scripts.demo_cluster.network import Place, network
from scripts.demo_cluster.nodes import CASEMATE, risks
from scripts.demo_cluster.places import object_store, postgresql

from bench import load
from bench.client import Connection, Endpoint, encode, event, is_right
from bench.cluster_costs import server_seconds
from bench.environment import HANDLERS, INTERPRETER, SOURCES
from bench.errors import BenchError, StartError, WrongAnswerError
from bench.gateway_cpu import gateway_of, processor_seconds
from bench.processes import tree
from bench.servers import Server
from bench.targets.casemate import _done, environment
from casemate.data.postgresql.among import JOINED_SECONDS
from casemate.model.errors import CasemateError

CONNECTIONS = 16
"""To each node."""
FAILURES: Final = (
    *(BenchError, DemoError, CasemateError),
    *(OSError, ValueError, subprocess.SubprocessError, psycopg.Error),
)
"""What keeps nodes from being measured here."""
_KEYS = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER"}
_START_SECONDS, _DRAIN_SECONDS = 60.0, 120.0
PROJECT, FUNCTION = "bench", "reused"
_MANIFEST = f"""
[project]
name = "{PROJECT}"
[function.{FUNCTION}]
handler = "handler:handle"
python = "{INTERPRETER.minor}"
isolation = "instance"
limits = {{ concurrency = 32 }}
"""
_OF_SHARED = ("clear-disks", "unproved-store")
"""Risks that a node on SQLite does not have."""
_WAITING = "SELECT count(*) FROM p_bench.message"


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds on processors."""

    gateway: float
    rest: float
    """Of all other processes of nodes."""
    server: float
    load: float

    def less(self, other: Spent, each: float = 1.0) -> Spent:
        """Return what was spent since, for each of so many."""
        return Spent(
            **{
                name: (getattr(self, name) - getattr(other, name)) / each
                for name in self.__struct_fields__
            }
        )

    @property
    def whole(self) -> float:
        """Return all of it."""
        return self.gateway + self.rest + self.server + self.load


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What so many nodes did in one turn, a second."""

    calls: float
    sent: float
    through: float
    """Events sent and handled, by the time until the last of them was."""
    call: Spent
    """Of one call."""
    event: Spent
    """Of one event, from its being sent to its being settled."""
    cores: float
    """That calls had, of all that is here."""


class Reached:
    """A running node."""

    def __init__(self, name: str, place: Place, folder: Path, options: Sequence[str]) -> None:
        """Start it; it is not waited for."""
        self.place = place
        self.home = folder / name
        self.home.mkdir(exist_ok=True)
        command = [*place.prefix, CASEMATE, "serve", "--json", "--data", str(self.home / "data")]
        command += ["--host", place.host, "--port", str(place.port), *options]
        self.server = Server(
            command, env=environment(**_KEYS), folder=self.home, log=self.home / "serve.log"
        )
        self.key = ""
        self.gateway = 0

    def wait(self, key: str = "") -> None:
        """Wait until it is ready; `key` is the owner's unless this is the first node."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and not self.server.ended():
            for line in self.server.log.read_text("utf-8", "replace").splitlines():
                if line.startswith("{") and line.endswith("}"):
                    self.key = json.loads(line)["key"] or key
                    self.gateway = gateway_of(self.server.process)
                    return
            time.sleep(0.05)
        raise StartError(f"The node is not ready. Its output: {self.server.tail()}")

    @property
    def endpoint(self) -> Endpoint:
        """Return where the function is called."""
        return Endpoint(
            host=self.place.host,
            port=self.place.port,
            path=f"/invoke/{PROJECT}/{FUNCTION}",
            headers=(("Authorization", f"Bearer {self.key}"),),
        )

    def deploy(self) -> None:
        """Deploy the function."""
        source = self.home / "project"
        source.mkdir()
        shutil.copy(SOURCES / HANDLERS / "plain.py", source / "handler.py")
        (source / "casemate.toml").write_text(_MANIFEST, "utf-8")
        url = f"http://{self.place.host}:{self.place.port}"
        env = environment(CASEMATE_URL=url, CASEMATE_KEY=self.key, CASEMATE_ALLOW_HTTP="1")
        _done("deploying", ["deploy"], source, env, 60.0)

    def wait_for_function(self) -> None:
        """Wait until it answers."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError):
                connection = Connection(self.endpoint, 10)
                try:
                    if is_right(connection.exchange(encode(self.endpoint, event(1))), 1):
                        return
                finally:
                    connection.close()
            time.sleep(0.05)
        raise StartError(f"The function does not answer on {self.endpoint.url}.")

    def spent(self) -> tuple[float, float]:
        """Return the seconds of its gateway, and of all its other processes."""
        gateway = sum(processor_seconds(self.gateway).values())
        whole = 0.0
        for one in tree(self.server.process):
            with contextlib.suppress(OSError):
                whole += sum(processor_seconds(one.pid).values())
        return gateway, whole - gateway


class Nodes:
    """Those that share a state, started one after the other, and one alone on SQLite."""

    def __init__(self, folder: Path, places: Sequence[Place], store: str, objects: str) -> None:
        """Start none yet."""
        self.folder, self._places = folder, places
        key = ("--master-key", f"file:{folder / 'master.key'}")
        self._shared = (*key, "--store", store, "--objects", objects)
        self._alone_key = ("--master-key", f"file:{folder / 'alone.key'}")
        self.store = store
        self.running: list[Reached] = []
        self.alone: Reached | None = None

    def set(self, count: int) -> None:
        """Have so many nodes run that share the state."""
        while len(self.running) > count:
            self.running.pop().server.stop()
        if len(self.running) < count:
            while len(self.running) < count:
                self._add()
            time.sleep(JOINED_SECONDS + 1.0)  # before, they handle no events

    def _add(self) -> None:
        number = len(self.running)
        place = self._places[number]
        name = f"node-{number}"
        node = Reached(name, place, self.folder, (*self._shared, *risks(place)))
        self.running.append(node)
        node.wait(self.running[0].key)
        known = self.folder / "key"
        if number == 0 and not known.exists():
            known.write_text(node.key)
            node.deploy()
        node.key = known.read_text()
        node.wait_for_function()

    def start_alone(self) -> Reached:
        """Start the one on SQLite."""
        place = self._places[-1]
        named = [word for word in risks(place) if not word.startswith("--")]
        accepted = [word for word in named if word not in _OF_SHARED]
        options = [part for word in accepted for part in ("--accept-risk", word)]
        self.alone = Reached("alone", place, self.folder, (*self._alone_key, *options))
        self.alone.wait()
        self.alone.deploy()
        self.alone.wait_for_function()
        return self.alone

    def stop(self) -> None:
        """End all of them."""
        for node in (*self.running, *((self.alone,) if self.alone else ())):
            node.server.stop()

    def spent(self) -> Spent:
        """Return what all of them have spent."""
        each = [node.spent() for node in self.running]
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Spent(
            gateway=sum(gateway for gateway, _ in each),
            rest=sum(rest for _, rest in each),
            server=server_seconds(self.folder),
            load=usage.ru_utime + usage.ru_stime,
        )

    def turn(self, seconds: int) -> Rates:
        """Call all nodes that run, then send them events."""
        self._load(load.run, 1)
        before, begun = self.spent(), time.monotonic()
        called = self._load(load.run, seconds)
        taken = time.monotonic() - begun
        called_for = self.spent()
        calls = sum(one.right for one in called)
        begun = time.monotonic()
        sent = self._load(load.run_accepted, seconds)
        self._drain()
        through = time.monotonic() - begun
        sent_for = self.spent()
        events = sum(one.right for one in sent)
        if not calls or not events:
            raise BenchError(f"{calls} calls and {events} events were answered in {seconds} s.")
        whole = called_for.less(before)
        return Rates(
            calls=sum(one.per_second for one in called),
            sent=sum(one.per_second for one in sent),
            through=events / through,
            call=called_for.less(before, calls),
            event=sent_for.less(called_for, events),
            cores=whole.whole / taken,
        )

    def _load(self, run: object, seconds: int) -> list[load.Load]:
        nodes = self.running
        with ThreadPoolExecutor(len(nodes)) as pool:
            found = list(
                pool.map(lambda node: run(node.endpoint, CONNECTIONS, seconds), nodes)  # type: ignore[operator]
            )
        if wrong := sum(one.wrong + one.lost for one in found):
            raise WrongAnswerError(f"{wrong} wrong or lost answers.")
        return found

    def _drain(self) -> None:
        end = time.monotonic() + _DRAIN_SECONDS
        with psycopg.connect(self.store, autocommit=True) as connection:
            while time.monotonic() < end:
                row = connection.execute(_WAITING).fetchone()
                if row is not None and row[0] == 0:
                    return
                time.sleep(0.05)
        raise BenchError(f"Events were not handled in {_DRAIN_SECONDS:.0f} s.")


@contextlib.contextmanager
def nodes(most: int) -> Iterator[Nodes]:
    """Yield places for so many nodes that share a state, and for one alone."""
    # Not below the checkout: processes of other users have to walk to it.
    folder = Path(tempfile.mkdtemp(prefix="cmscale-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        with (
            network(most + 1) as net,
            postgresql(folder) as store,
            object_store(folder, net.shared) as objects,
        ):
            made = Nodes(folder, net.places, store, objects)
            try:
                yield made
            finally:
                made.stop()
    except DemoError as error:
        raise BenchError(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def invoke_path(made: Nodes, seconds: int, rounds: int) -> dict[str, float]:
    """Return what a call costs on a node on PostgreSQL, by what it costs on one on SQLite.

    Both run, and are called in short turns; within a round each comes first once. Of each figure
    the median of the rounds, and between what half of them are. `node` is the processor time of all
    of a node's processes, `gateway` that of its gateway's.
    """
    made.set(1)
    alone, shared = made.alone or made.start_alone(), made.running[0]
    for node in (alone, shared):
        load.run(node.endpoint, CONNECTIONS, 2)
    ratios: dict[str, list[float]] = {"rate": [], "gateway": [], "node": [], "p50": []}
    for number in range(rounds):
        both = (alone, shared) if number % 2 else (shared, alone)
        taken: dict[Reached, list[tuple[float, ...]]] = {alone: [], shared: []}
        for node in (*both, *reversed(both)):
            before = node.spent()
            found = load.run(node.endpoint, CONNECTIONS, seconds)
            gateway, rest = (now - then for now, then in zip(node.spent(), before, strict=True))
            spent = gateway / found.right, (gateway + rest) / found.right
            taken[node].append((found.per_second, *spent, found.p50_ms))
        means = (map(statistics.fmean, zip(*taken[node], strict=True)) for node in (shared, alone))
        for name, there, here in zip(ratios, *means, strict=True):
            ratios[name].append(there / here)
    found_all: dict[str, float] = {}
    for name, values in ratios.items():
        low, middle, high = statistics.quantiles(values, n=4)
        found_all |= {name: middle, f"{name} from": low, f"{name} to": high}
    return found_all
