"""Looks for what was acknowledged, as a reader that remembers nothing, and judges histories."""

from __future__ import annotations

import asyncio
import itertools
import time
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
from cluster.messages import Messages, drain, judge
from cluster.writers import Node, key_of
from support.histories import Get, HistoryError, Put, require_register

_COUNTS = "SELECT project, count(*) FROM version GROUP BY project"


@dataclass
class Findings:
    """What is there in the end, compared with what nodes were told."""

    lost: int = 0
    wrong: list[str] = field(default_factory=list)
    """Histories that no order explains."""
    registers: int = 0
    unjudged: int = 0
    """Registers with too many calls at once to be judged."""
    messages: int = 0


def gap(nodes: list[Node], since: float, until: float) -> float:
    """Return for how long nobody was told of any change, between two moments."""
    told = sorted(t for node in nodes for t in node.done_at if since <= t <= until)
    moments = [since, *told, until]
    return max(b - a for a, b in itertools.pairwise(moments))


async def find(nodes: list[Node], url: str, folder: Path) -> Findings:
    """Look for all that was acknowledged, as whoever remembers nothing, and judge histories."""
    settings = Settings.of_url(url, weak_tls_accepted=True)
    versions = dict(await asyncio.to_thread(_versions, settings))
    found = Findings()
    found.lost = sum(
        max(0, told - versions.get(project, 0))
        for node in nodes
        for project, told in node.versions.items()
    )
    cluster = Cluster(settings, "tests", Holder("reader", f"l{time.time_ns()}"))
    data = await PostgresqlProjectData.open(cluster, folders_below(folder / "objects"), key_of)
    try:
        await _judge_registers(nodes, data, found)
        left = Messages(len(nodes))
        await drain(data, left)
    finally:
        await data.close()
    lost, wrong = judge([*(node.messages for node in nodes), left])
    found.lost += lost
    found.wrong += wrong
    found.messages = sum(len(sent) for node in nodes for sent in node.messages.sent.values())
    return found


async def _judge_registers(nodes: list[Node], data: Any, found: Findings) -> None:
    for key in {key for node in nodes for key in node.calls}:
        calls = [call for node in nodes for call in node.calls.get(key, ())]
        last = await _last_of(data, key)
        newer = [c for c in calls if isinstance(c, Put) and (c.revision or 0) > last.revision]
        found.registers += 1
        found.lost += len(newer)
        if newer:
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


async def _last_of(data: Any, key: str) -> Get:
    began = time.monotonic()
    try:
        item = await data.read(GetItem(project="data", table="t", key=key))
    except NotFoundError:
        return Get(began, time.monotonic(), None, 0)
    return Get(began, time.monotonic(), item.value["v"], item.revision)
