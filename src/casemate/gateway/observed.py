"""What the node is seen to do, in numbers: of its functions, and of its own parts.

Counted elsewhere, and asked for here only when somebody wants to see it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from casemate import __version__
from casemate.admission import Catalogue
from casemate.dispatch import Dispatcher
from casemate.dispatch.dispatcher import Load
from casemate.facts import FactStream
from casemate.gateway.depths import Depths, Found
from casemate.gateway.loop_lag import LoopLag
from casemate.gateway.observed_monitor import write_monitor
from casemate.metrics import Figures, Registry, functions
from casemate.metrics.exposition import Exposition, Format, labels
from casemate.metrics.families import Families, Plain, Writer, write_plain
from casemate.model.denial import Denial
from casemate.model.errors import CasemateError
from casemate.model.facts import AliasMoved, FunctionRemoved, GrantUsed, VersionDeployed
from casemate.model.messages import Depth
from casemate.model.metrics import Counting, FunctionMetrics, Metrics
from casemate.model.node import NodeHealth
from casemate.model.nodes import ProjectDatabase
from casemate.monitor import MonitorClient
from casemate.recorder import RecorderClient
from casemate.recorder.records.interface import Records
from casemate.sandbox.client import SandboxClient

_PAGE = os.sysconf("SC_PAGE_SIZE")
_NO_LOAD = Load()
_HEAD_SECONDS = 1.0


class Parts(NamedTuple):
    """What is asked."""

    registry: Registry
    dispatcher: Dispatcher
    client: SandboxClient
    depths: Depths
    lag: LoopLag
    records: Records
    recorder: RecorderClient
    monitor: MonitorClient
    health: Callable[[], NodeHealth]
    starts: Callable[[], dict[str, int]]
    """How often each process beside the gateway was started."""
    connections: Callable[[], tuple[int, int]]
    """How many connections are open, and how many handshakes failed."""
    functions: Callable[[], int]
    """How many functions are deployed."""
    started_at: float
    audit_score: Callable[[], int | None]
    """How good the node was at its last audit; None: there was none yet."""
    store_age: Callable[[], float | None] = lambda: None
    """Seconds for which changes of other nodes may not be known here; None: there are none."""
    nodes: Callable[[], int | None] = lambda: None
    """How many nodes of the store take calls; None: there are no others."""
    databases: Callable[[], Sequence[ProjectDatabase]] = tuple
    """Where projects live; none where the node has them itself."""
    name: str = ""
    """Of the node, where there can be others."""


def counting(facts: FactStream, catalogue: Catalogue) -> Registry:
    """Return what counts what functions do, and have it hear what is told of them."""

    def known(project: str, function: str) -> bool:
        return catalogue.most_live(project, function) is not None

    def shared(project: str, function: str) -> list[int]:
        return [version.number for version in catalogue.sharing(project, function)]

    registry = Registry(known, shared)
    facts.listen(Denial, registry.note_denial)
    facts.listen(GrantUsed, registry.note_use)
    facts.listen(FunctionRemoved, registry.note_removal)
    facts.listen(AliasMoved, registry.note_move)
    facts.listen(VersionDeployed, registry.note_deploy)
    return registry


class Observed:
    """Tells it."""

    def __init__(self, parts: Parts) -> None:
        """Ask `parts`."""
        self._parts = parts
        self._writing: dict[Format, asyncio.Task[str]] = {}

    async def metrics(self, project: str | None, function: str | None) -> Metrics:
        """Return the numbers of all functions, of a project's or of one."""
        found = await self._parts.depths.now()
        loads = self._parts.dispatcher.loads()
        chosen = [
            figures
            for figures in self._parts.registry
            if project in (None, figures.project) and function in (None, figures.function)
        ]
        chosen.sort(key=lambda figures: (figures.project, figures.function))
        others = self._parts.registry.others.told() if project is None else None
        name, now, started_at = self._parts.name, time.time(), self._parts.started_at
        return Metrics(
            at=now,
            started_at=started_at,
            functions=tuple(self._told(figures, loads, found) for figures in chosen),
            others=others,
            nodes=(Counting(node=name, at=now, started_at=started_at),) if name else (),
        )

    def _told(
        self, figures: Figures, loads: dict[tuple[str, str], Load], found: Found
    ) -> FunctionMetrics:
        name = figures.project, figures.function
        load = loads.get(name, _NO_LOAD)
        restored, discarded, forks = self._parts.dispatcher.tallies.counts(*name)
        more: dict[str, int | float] = {
            "restored": restored,
            "discarded": discarded,
            "forks": forks,
            "busy": load.busy,
            "spares": load.spares,
            "waiting": load.waiting,
            "concurrency": load.concurrency,
            "resting_bytes": load.held,
        }
        depth = found.inboxes.get(name)
        if depth is not None:
            more |= {
                "inbox": depth.waiting,
                "inbox_age": _age(depth),
                "dead_letters": depth.dead,
            }
        return figures.told(more)

    async def exposition(self, form: Format) -> str:
        """Return all numbers as Prometheus reads them; who asks meanwhile shares one answer."""
        writing = self._writing.get(form)
        if writing is None or writing.done():
            writing = self._writing[form] = asyncio.ensure_future(self._write(form))
        return await asyncio.shield(writing)

    async def _write(self, form: Format) -> str:
        out = Exposition(form)
        await self._fill(out)
        return out.text()

    async def families(self) -> Families:
        """Return all numbers as they travel."""
        out = Families()
        await self._fill(out)
        return out

    async def _fill(self, out: Writer) -> None:
        told = await self.metrics(None, None)
        entries = await self._journal_entries()
        self._write_node(out, entries)
        self._write_queues(out, (await self._parts.depths.now()).queues)
        others = () if told.others is None else (told.others,)
        for _ in functions.write(out, (*told.functions, *others)):
            # With many functions it takes its time: calls go on in between.
            await asyncio.sleep(0)

    async def _journal_entries(self) -> int | None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                return (await self._parts.recorder.head()).size
        except (CasemateError, TimeoutError):
            return None

    def _write_node(self, out: Writer, entries: int | None) -> None:
        parts, dispatcher, recorder = self._parts, self._parts.dispatcher, self._parts.recorder
        known = {"node": parts.name} if parts.name else {}
        build = labels({"version": __version__, "python": platform.python_version(), **known})
        opened, failed = parts.connections()
        values: tuple[tuple[str, str, str, float], ...] = (
            ("start_time_seconds", "gauge", "When the node was started.", parts.started_at),
            ("functions", "gauge", "Functions that are deployed.", parts.functions()),
            ("functions_measured", "gauge", "Functions told apart here.", len(parts.registry)),
            ("zygotes", "gauge", "Processes that instances are forked from.", parts.client.zygotes),
            ("instances_running", "gauge", "Instances at work.", dispatcher.busy),
            ("instances_spare", "gauge", "Instances that wait for a call.", dispatcher.spares),
            ("memory_reserved_bytes", "gauge", "Limits of all instances together.",
             dispatcher.reserved_memory),
            ("memory_resting_bytes", "gauge", "Memory of functions at rest.",
             dispatcher.resting_memory),
            ("open_connections", "gauge", "Connections to the node's port.", opened),
            ("failed_handshakes_total", "counter", "TLS handshakes that failed.", failed),
            ("records_lost_total", "counter", "Records that could not be kept.",
             parts.records.lost_records),
            ("facts_total", "counter", "Facts that were told.", recorder.told),
            ("facts_lost_total", "counter", "Facts that had no room.", recorder.missed),
            ("facts_aside", "gauge", "Facts and records that every recorder has refused.",
             len(recorder.aside)),
            ("facts_waiting", "gauge", "Facts that are not durable yet.", recorder.waiting),
            ("recording_stopped", "gauge", "1 while nothing runs, as it could not be recorded.",
             int(bool(recorder.trouble()))),
        )  # fmt: skip
        out.family("casemate_build_info", "gauge", "What the node is; always 1.")
        out.sample(build, 1)
        for name, kind, text, value in values:
            out.family(f"casemate_{name}", kind, text)
            out.sample("", value)
        if (score := parts.audit_score()) is not None:
            out.family("casemate_node_audit_score", "gauge", "Of 100, by the last audit.")
            out.sample("", score)
        if (age := parts.store_age()) is not None:
            out.family("casemate_store_age_seconds", "gauge", "What is known is at most so old.")
            out.sample("", age)
        if (nodes := parts.nodes()) is not None:
            out.family("casemate_nodes", "gauge", "Nodes that take calls, by the last beat.")
            out.sample("", nodes)
        if databases := parts.databases():
            out.family(
                "casemate_database_up", "gauge", "1: the projects of a database are served in full."
            )
            for one in databases:
                out.sample(labels({"database": one.name}), int(not one.problem))
            out.family("casemate_database_projects", "gauge", "Projects that live in a database.")
            for one in databases:
                out.sample(labels({"database": one.name}), one.projects)
        if entries is not None:
            out.family("casemate_journal_entries", "gauge", "Entries of the journal.")
            out.sample("", entries)
        out.family("casemate_process_starts_total", "counter", "Starts of processes beside it.")
        for name, count in parts.starts().items():
            out.sample(labels({"process": name}), count)
        out.family("casemate_part_well", "gauge", "1 while a part of the node is well.")
        for part in parts.health().parts:
            out.sample(labels({"part": part.name}), int(part.ok))
        out.family("casemate_loop_lag_seconds", "histogram", "How late the event loop is.")
        out.durations("", parts.lag.seen.told())
        out.family("casemate_recorded_seconds", "histogram", "Until what is told is durable.")
        out.durations("", recorder.took.told())
        if (status := parts.monitor.status) is not None:
            write_monitor(out, status)
        _write_process(out)

    @staticmethod
    def _write_queues(out: Writer, queues: Mapping[tuple[str, str], Depth]) -> None:
        named = [
            (labels({"project": project, "kind": depth.kind, "name": name}), depth)
            for (project, name), depth in queues.items()
        ]
        for family in _QUEUES:
            write_plain(out, family, named)


def _age(depth: Depth) -> float:
    return 0.0 if depth.oldest_at is None else max(0.0, time.time() - depth.oldest_at)


_QUEUES: tuple[Plain[Depth], ...] = (
    Plain("queue_messages", "gauge", "Messages of queues and topics.", lambda d: d.waiting),
    Plain("queue_oldest_seconds", "gauge", "For how long the oldest one waits.", _age),
    Plain("queue_dead_letters", "gauge", "Messages that were given up.", lambda d: d.dead),
)


def _write_process(out: Writer) -> None:
    """Write what Prometheus knows of every process, of the gateway's."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    out.family("process_cpu_seconds_total", "counter", "Processor time of the gateway.")
    out.sample("", used.ru_utime + used.ru_stime)
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone
    except (OSError, ValueError, IndexError):
        return
    out.family("process_resident_memory_bytes", "gauge", "Memory of the gateway.")
    out.sample("", pages * _PAGE)
    out.family("process_open_fds", "gauge", "Open descriptors of the gateway.")
    out.sample("", descriptors)
