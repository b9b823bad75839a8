"""What nodes on one PostgreSQL ask of it, each by itself: processor time on both sides, and waits.

These are what `bench.simulation` is fed with. Nothing of it is a rate under load: a service time is
processor time, which others on the machine change little, and what a commit waits for the disk.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bench.engines import key
from bench.many import FOR_EACH_PROJECT, copies
from bench.processes import tree
from casemate.admission import Catalogue
from casemate.data import Fate, NewMessage, Settlement, Subscription
from casemate.data.coordination import SCHEDULES, SOURCES
from casemate.data.files import folders_below
from casemate.data.limits import DataOptions
from casemate.data.postgresql import PostgresqlProjectData, catalogue
from casemate.data.postgresql.databases import Cluster, PostgresqlDatabases
from casemate.data.postgresql.faults import SHARED
from casemate.data.postgresql.hints import CHANNEL
from casemate.data.postgresql.leading import encoded
from casemate.data.postgresql.presence import Presence, Speaking
from casemate.data.terms import Holder
from casemate.manifest import load
from casemate.model.deployment import Version
from casemate.operations.deployments import KeepVersions
from casemate.operations.functions import ListFunctions
from casemate.operations.inboxes import Subscribe
from casemate.operations.leases import FindNextDue, KeepMessages, LeaseMessages, SettleMessages
from casemate.postgresql.listening import ListeningConnection
from casemate.postgresql.settings import Settings
from casemate.store.postgresql.store import PostgresqlStore

TURNS = 4
BATCH = 64
"""Changes of the larger of the two transactions that a line is drawn through."""
_BODY = b'{"data":{"order":4711,"lines":["' + b"x" * 860 + b'"]}}'
_PLACE: dict[str, Any] = {"project": "bench", "kind": "inbox", "name": "worker"}
_FUNCTIONS = 2000
_MANIFEST = """
[project]
name = "many-0"
[function.plain-0]
handler = "handler:handle"
python = "3.11"
"""
_OWN = Holder("bench", "a")
_FEW, _MANY = 2, 34
"""Projects and inboxes, living nodes, listeners: each is measured with few and with many."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one thing that is done."""

    node: float
    """On a processor, in the process of the node."""
    server: float
    """On a processor, in those of PostgreSQL."""

    def plus(self, other: Cost, times: float = 1.0) -> Cost:
        """Return the cost of this and so many of another."""
        return Cost(
            node=self.node + other.node * times,
            server=self.server + other.server * times,
        )

    def positive(self) -> Cost:
        """Return it with nothing below zero: a difference of two that were measured."""
        return Cost(node=max(0.0, self.node), server=max(0.0, self.server))


class Growing(msgspec.Struct, frozen=True, kw_only=True):
    """What something costs whatever there is, and for each of what it grows with."""

    fixed: Cost
    each: Cost

    def of(self, count: float) -> Cost:
        """Return the cost for so many."""
        return self.fixed.plus(self.each, count)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a node knows of functions."""

    each: Cost
    """Reading one again, after any was changed."""
    bytes: float
    """Memory that a gateway has for one."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured of the state that nodes share."""

    disk: float
    """Seconds until a commit is on disk."""
    send: Growing
    """A transaction that keeps events, by how many."""
    settle: Growing
    """One that leases events, and one that settles them, by how many."""
    in_vain: Cost
    """What a hint costs a node that finds nothing: the lease, and the question what is due."""
    look: Cost
    """What has changed in the control store: each half second on each node."""
    functions: Reading
    beat: Growing
    """Being seen and seeing who is there, by the nodes that are."""
    leads: Growing
    """What a beat costs more by the projects that this node leads."""
    led: Growing
    """What a beat costs more by the projects that another node leads."""
    poll: Growing
    """Looking for what waits, by projects."""
    left: Growing
    """Looking whether something is left where a hint told of it, by places."""
    tell: Growing
    """Telling a hint, by who hears it; hearing is on the nodes' side."""


def server_seconds(folder: Path) -> float:
    """Return the seconds that PostgreSQL below a folder has been on a processor."""
    first = int((folder / "postgresql/data/postmaster.pid").read_text().splitlines()[0])
    total = 0
    for one in tree(first):
        try:
            total += int(Path(f"/proc/{one.pid}/schedstat").read_text("ascii").split()[0])
        except OSError:
            continue
    return total / 1e9


class Measuring:
    """Does one thing many times and tells what it costs."""

    def __init__(self, folder: Path, seconds: float) -> None:
        """Spend so long on each."""
        self._folder, self._seconds = folder, seconds

    async def cost(self, act: Callable[[], Awaitable[object]]) -> Cost:
        """Return what one call costs: what it did in the turn in which it cost least.

        Who else is on the machine makes things dearer, never cheaper.
        """
        await act()
        turns = [await self._turn(act) for _ in range(TURNS)]
        return min(turns, key=lambda one: one.node + one.server)

    async def _turn(self, act: Callable[[], Awaitable[object]]) -> Cost:
        count = 0
        node, server, begun = time.process_time(), server_seconds(self._folder), time.monotonic()
        while time.monotonic() - begun < self._seconds / TURNS or count < 3:
            await act()
            count += 1
        node = (time.process_time() - node) / count
        return Cost(node=node, server=(server_seconds(self._folder) - server) / count)

    async def growing(
        self, few: int, many: int, act: Callable[[int], Awaitable[object]]
    ) -> Growing:
        """Return the line through what few and many cost."""
        least, most = await self.cost(partial(act, few)), await self.cost(partial(act, many))
        return between(few, least, many, most)


def disk_seconds(folder: Path) -> float:
    """Return what it takes to have a page of PostgreSQL on disk: of the quickest tenth."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(100):
            file.write(bytes(8192))
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    return statistics.quantiles(times, n=10)[0]


def between(few: int, least: Cost, many: int, most: Cost) -> Growing:
    """Return the line through two costs; nothing becomes cheaper, and nothing is below zero."""
    each = {
        name: max(0.0, (getattr(most, name) - getattr(least, name)) / (many - few))
        for name in ("node", "server")
    }
    fixed = {name: max(0.0, getattr(least, name) - few * each[name]) for name in each}
    return Growing(fixed=Cost(**fixed), each=Cost(**each))


async def measure(folder: Path, url: str, seconds: float) -> Costs:
    """Measure on the server below a folder, in an empty database of it."""
    measuring = Measuring(folder, seconds)
    settings = Settings.of_url(url)
    cluster = Cluster(settings, "bench", _OWN)
    data = await PostgresqlProjectData.open(cluster, folders_below(folder / "files"), key)
    try:
        subscribed = (Subscription(function="worker"),)
        await data.change(Subscribe(project="bench", subscriptions=subscribed))
        events = await _events(measuring, data)
        await _inboxes(data)
    finally:
        await data.close()
    store = await asyncio.to_thread(PostgresqlStore.open, settings, cluster="bench")
    try:
        look = await measuring.cost(lambda: store.changes_since(1 << 40))
        functions = await _functions(measuring, store, folder)
    finally:
        await store.close()
    known: dict[str, Any] = {"look": look, "functions": functions}
    among = await _among(measuring, cluster, folder)
    return Costs(disk=disk_seconds(folder), **events, **known, **among)


async def _events(measuring: Measuring, data: PostgresqlProjectData) -> dict[str, Any]:
    message = (NewMessage(body=_BODY),)

    async def send(count: int) -> None:
        await asyncio.gather(
            *(data.change(KeepMessages(**_PLACE, messages=message)) for _ in range(count))
        )

    async def send_and_handle(count: int) -> None:
        await data.change(KeepMessages(**_PLACE, messages=message * count))
        found = await data.change(LeaseMessages(**_PLACE, limit=count, lease=60.0))
        ends = tuple(
            Settlement(id=one.id, fence=one.fence, attempt=one.attempts, fate=Fate.DONE)
            for one in found
        )
        await data.change(SettleMessages(**_PLACE, settlements=ends))

    async def look_in_vain() -> None:
        await data.change(LeaseMessages(**_PLACE, limit=16, lease=60.0))
        await data.read(FindNextDue(**_PLACE))

    sends = await measuring.growing(1, BATCH, send)
    while await data.change(LeaseMessages(**_PLACE, limit=100, lease=600.0)):
        pass
    all_ = await measuring.growing(1, BATCH, send_and_handle)
    return {
        "send": sends,
        "settle": Growing(
            fixed=all_.fixed.plus(sends.fixed, -1.0).positive(),
            each=all_.each.plus(sends.each, -1.0).positive(),
        ),
        "in_vain": await measuring.cost(look_in_vain),
    }


async def _functions(measuring: Measuring, store: PostgresqlStore, folder: Path) -> Reading:
    """Read and hold functions: what else a gateway does with them is on top of it."""
    (folder / "many").mkdir(exist_ok=True)
    (folder / "many/handler.py").write_text("def handle(event, context): ...\n", "utf-8")
    (folder / "many/casemate.toml").write_text(_MANIFEST, "utf-8")
    (spec,) = load(folder / "many/casemate.toml").functions
    first = Version(
        project="many-0",
        function=spec.name,
        number=1,
        digest="a" * 64,
        spec=spec,
        created_at=1.0,
        created_by="bench",
    )
    new = list(copies(first, _FUNCTIONS))
    for begin in range(0, len(new), FOR_EACH_PROJECT):
        part = tuple(new[begin : begin + FOR_EACH_PROJECT])
        await store.change(KeepVersions(versions=part, by="bench"))
    held: list[object] = []

    async def read() -> None:
        catalogue_ = Catalogue()
        catalogue_.replace((await store.read(ListFunctions())).functions)
        held[:] = [catalogue_]

    before = _resident()
    await read()
    grown = _resident() - before
    cost = await measuring.cost(read)
    each = Cost(node=cost.node / _FUNCTIONS, server=cost.server / _FUNCTIONS)
    return Reading(each=each, bytes=grown / _FUNCTIONS)


def _resident() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def _inboxes(data: PostgresqlProjectData) -> None:
    """Have as many projects as are looked at, with ten functions each."""
    for number in range(_MANY):
        wanted = tuple(Subscription(function=f"f{one}") for one in range(10))
        await data.change(Subscribe(project=f"bench-{number}", subscriptions=wanted))


async def _among(measuring: Measuring, cluster: Cluster, folder: Path) -> dict[str, Any]:
    databases = PostgresqlDatabases(cluster, folders_below(folder / "files"), DataOptions())
    speaking = Speaking(databases.catalogue, SHARED)
    try:
        with _opened(speaking) as own:
            return await _asked(measuring, own, speaking)
    finally:
        speaking.close()
        databases.close()


async def _asked(
    measuring: Measuring, own: ListeningConnection, speaking: Speaking
) -> dict[str, Any]:
    presence = Presence(_OWN)
    presence.begin(own)
    projects = [f"p{number}" for number in range(500)]
    sought = {kind: frozenset(projects) for kind in (SCHEDULES, SOURCES)}

    async def look(wanted: dict[str, frozenset[str]]) -> None:
        presence.look(own, wanted, takes=True)

    async def poll(count: int) -> None:
        names = encoded([f"bench-{number}" for number in range(count)])
        own.execute(catalogue.WAITING, (names,)).fetchall()

    async def look_at_heard(count: int) -> None:
        places = [(f"bench-{number}", "inbox", "f1") for number in range(count)]
        own.execute(catalogue.LEFT, (encoded(places),)).fetchall()

    alone = await measuring.cost(lambda: look({}))
    leads = await measuring.cost(lambda: look(sought))
    own.execute("UPDATE leader SET node = 'other', life = 'a'")
    _seen(own, 1)
    led = await measuring.cost(lambda: look(sought))
    _seen(own, _MANY)
    many = await measuring.cost(lambda: look({}))
    count = 2 * len(projects)
    found = {
        "beat": between(1, alone, _MANY, many),
        "leads": between(0, alone, count, leads),
        "led": between(0, alone, count, led),
        "poll": await measuring.growing(1, 16, poll),
        "left": await measuring.growing(1, 16, look_at_heard),
    }
    return {**found, "tell": await _told(measuring, own, speaking)}


def _seen(own: ListeningConnection, count: int) -> None:
    """Have other nodes be seen, for as long as is measured."""
    for number in range(count):
        name = f"n{number}" if number else "other"
        own.execute(
            "INSERT INTO node (node, life, seen_at, takes) "
            "VALUES (?, 'a', CAST(extract(epoch FROM clock_timestamp()) AS REAL) + 8, 1) "
            "ON CONFLICT (node) DO UPDATE SET seen_at = excluded.seen_at",
            (name,),
        )


async def _told(measuring: Measuring, own: ListeningConnection, speaking: Speaking) -> Growing:
    text = encoded([("bench", "inbox", "worker")])
    others: list[ListeningConnection] = []

    async def tell(_: int) -> None:
        own.tell(CHANNEL, text)
        for one in others:
            while not one.heard():
                await asyncio.sleep(0)

    found: list[Cost] = []
    try:
        for count in (_FEW, _MANY):
            while len(others) < count:
                opened = speaking.open_writer()
                assert isinstance(opened, ListeningConnection)
                opened.listen(CHANNEL)
                others.append(opened)
            found.append(await measuring.cost(partial(tell, count)))
        return between(_FEW, found[0], _MANY, found[1])
    finally:
        for one in others:
            speaking.end(one.as_engine())


@contextmanager
def _opened(speaking: Speaking) -> Iterator[ListeningConnection]:
    opened = speaking.open_writer()
    assert isinstance(opened, ListeningConnection)
    try:
        yield opened
    finally:
        speaking.end(opened.as_engine())
