"""Looks for what was acknowledged, as a reader that remembers nothing, and judges histories."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from casemate.data.files import folders_below
from casemate.data.postgresql import PostgresqlProjectData
from casemate.data.postgresql.databases import Cluster
from casemate.data.terms import Holder
from casemate.model.errors import NotFoundError
from casemate.operations.items import GetItem
from casemate.postgresql.connections import Connections, Place
from casemate.postgresql.migrating import Identity
from casemate.postgresql.settings import Settings
from casemate.store.errors import StoreForeignError
from casemate.store.postgresql.faults import STORE_SERVER
from casemate.store.postgresql.schema import MIGRATIONS
from casemate.store.postgresql.store import SCHEMA
from cluster.messages import judge, left_in
from cluster.writers import Node, key_of
from support.histories import Get, HistoryError, Put, require_register

AT_ONCE = 16
_COUNTS = "SELECT project, count(*) FROM version GROUP BY project"


@dataclass
class Findings:
    """What is there in the end, compared with what nodes were told."""

    lost: Counter[int] = field(default_factory=Counter)
    """By the node that was told."""
    wrong: list[str] = field(default_factory=list)
    """Histories that no order explains."""
    registers: int = 0
    unjudged: int = 0
    """Registers with too many calls at once to be judged."""
    messages: int = 0


def gap(nodes: list[Node], since: float, until: float) -> float:
    """Return for how long nobody was told of any change, between two moments."""
    return longest_gap([t for node in nodes for t in node.done_at], since, until)


def longest_gap(told: list[float], since: float, until: float) -> float:
    """Return the longest time between two of some moments, the ends of a time included."""
    moments = [since, *sorted(t for t in told if since <= t <= until), until]
    return max(b - a for a, b in itertools.pairwise(moments))


async def find(nodes: list[Node], url: str, folder: Path) -> Findings:
    """Look for all that was acknowledged, as whoever remembers nothing, and judge histories."""
    settings = Settings.of_url(url, weak_tls_accepted=True)
    versions = dict(await asyncio.to_thread(_versions, settings))
    found = Findings()
    for node in nodes:
        for project, told in node.versions.items():
            found.lost[node.number] += max(0, told - versions.get(project, 0))
    cluster = Cluster(settings, "tests", Holder("reader", f"l{time.time_ns()}"))
    data = await PostgresqlProjectData.open(cluster, folders_below(folder / "objects"), key_of)
    try:
        await _judge_registers(nodes, data, found)
        left = await left_in(data)
    finally:
        await data.close()
    lost, found_wrong = judge([node.messages for node in nodes], left)
    found.lost += lost
    found.wrong += found_wrong
    found.messages = sum(len(sent) for node in nodes for sent in node.messages.sent.values())
    return found


async def _judge_registers(nodes: list[Node], data: Any, found: Findings) -> None:
    keys = sorted({key for node in nodes for key in node.calls})
    for key, last in zip(keys, await _last_of_each(data, keys), strict=True):
        calls = [call for node in nodes for call in node.calls.get(key, ())]
        found.registers += 1
        lost: Counter[int] = Counter()
        for node in nodes:
            puts = (call for call in node.calls.get(key, ()) if isinstance(call, Put))
            lost[node.number] += sum((put.revision or 0) > last.revision for put in puts)
        found.lost += lost
        if any(lost.values()):
            continue
        try:
            await asyncio.to_thread(require_register, [*calls, last])
        except HistoryError as error:
            if "too much to be judged" in str(error):
                found.unjudged += 1
            else:
                found.wrong.append(f"register {key}: {error}")


def _versions(settings: Settings) -> list[Any]:
    """Return how many versions each project has; there may be too many to list."""
    place = Place(
        settings=settings,
        identity=Identity(SCHEMA, "control", "tests"),
        lock=1,
        migrations=MIGRATIONS,
        foreign=StoreForeignError,
    )
    connections = Connections(place, STORE_SERVER)
    try:
        return connections.read(lambda c: c.execute(_COUNTS).fetchall())
    finally:
        connections.close()


async def _last_of_each(data: Any, keys: list[str]) -> list[Get]:
    found: list[Get] = []
    for at in range(0, len(keys), AT_ONCE):
        some = keys[at : at + AT_ONCE]
        found += await asyncio.gather(*(_last_of(data, key) for key in some))
    return found


async def _last_of(data: Any, key: str) -> Get:
    began = time.monotonic()
    try:
        item = await data.read(GetItem(project="data", table="t", key=key))
    except NotFoundError:
        return Get(began, time.monotonic(), None, 0)
    return Get(began, time.monotonic(), item.value["v"], item.revision)
