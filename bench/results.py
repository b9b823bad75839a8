"""What one run leaves behind: raw cells, figures of Casemate alone, what could not be measured."""

from __future__ import annotations

import os
import platform
import statistics
from pathlib import Path

import msgspec

from bench.enqueue import Enqueue
from bench.environment import INTERPRETER
from bench.figures import median, ratio_by_round
from bench.jitter import Jitter
from bench.roles import ByRole
from bench.settings import Settings

FORMAT = 1
CASEMATE_REQUEST = "casemate, request isolation"
CASEMATE_FORK = "casemate, request isolation, fork"
CASEMATE_INSTANCE = "casemate, instance isolation"
PLAIN = "plain"
TABLES = "tables"
HANDLERS = (PLAIN, TABLES)
MOST_DISCARDS = 0.01
"""The part of a handler's calls after which its process may not be used again, at most."""


class Discards(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the processes of handlers, by the name of each."""

    shares: dict[str, float]
    """The part of its calls after which its process was not used again."""
    reasons: dict[str, str]
    """The most frequent reason of those that have one."""

    @property
    def restored(self) -> int:
        """How many handlers have no more discards than one should."""
        return sum(share <= MOST_DISCARDS for share in self.shares.values())


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One target with one handler in one round. Times are milliseconds, memory is bytes."""

    target: str
    handler: str
    round: int
    isolation: str
    cold_ms: float
    memory: int | None
    """Proportional set size of all its processes, at rest after the first answer."""
    p50_ms: float | None
    p99_ms: float | None
    """None with fewer than 100 samples."""
    samples: int
    per_second: float
    """Right answers per second over the loaded connections."""
    loaded_p50_ms: float
    answers: int
    """All right answers, one connection and many."""
    failed: int
    """Wrong answers, other statuses, lost connections and timeouts."""
    alone_us: ByRole = {}
    """Processor time by answer over one connection, in microseconds by kind of process."""
    loaded_us: ByRole = {}
    """The same over the loaded connections, with that of the load."""


class Figures(msgspec.Struct, kw_only=True):
    """What is measured of Casemate alone. None means not measured; see the notes."""

    paced_p50_ms: float | None = None
    """Request isolation, plain handler, one request each 20 ms."""
    paced_p99_ms: float | None = None
    first_kept_ms: float | None = None
    first_kept_max_ms: float | None = None
    first_gone_plain_ms: float | None = None
    first_gone_tables_ms: float | None = None
    first_shared_tables_ms: float | None = None
    """Of a pandas function whose zygote has gone, beside one of the same project and the same
    dependencies whose zygote is there."""
    bare_import_ms: float | None = None
    """`python -I -c 'import numpy, pandas'`, start and end of the interpreter included."""
    import_only_ms: float | None = None
    """The import statement alone, taken inside that interpreter."""
    first_us: dict[str, ByRole] = {}
    """Processor time that a first call takes, and what comes of it within 0.1 s, by the field of
    its time above: microseconds by kind of process."""
    instance_memory: float | None = None
    """Bytes (proportional set size) that the node grows by for one live plain instance, with all
    that is kept for it."""
    instances_seen: int | None = None
    crowd: int | None = None
    crowd_memory: int | None = None
    """Bytes of the whole node with that many plain functions at rest, zygotes kept."""
    crowd_parts: ByRole = {}
    """The same by kind of process."""
    crowd_processes: int | None = None
    rest_memory: float | None = None
    """Bytes that the node has grown by for each of them."""
    empty_node_processes: int | None = None
    empty_node_memory: int | None = None
    """Of a node on which one function has been and gone."""
    past_keep_processes: int | None = None
    """Processes that functions still have after their keep time."""
    past_keep_memory: int | None = None
    """Bytes of the node then; compare with `empty_node_memory`."""
    deployed: int | None = None
    """Most functions deployed on one node, all checked calls right."""
    many_ms: dict[int, float] = {}
    """p50 of a call with so many functions; that under 1 is of another node, measured in turns."""
    many_start_ms: dict[int, float] = {}
    start_ms: dict[int, float] = {}
    """Start of a node, to its first right answer, by the number of functions deployed on it."""
    asynchronous: dict[str, float] = {}
    """A reused plain function: calls waited for, events sent and run, a second, and the share."""
    asynchronous_us: dict[str, ByRole] = {}
    """Processor time by call waited for, and by event sent and run, with that of the load."""
    overhead_ms: dict[int, float] = {}
    """p50 of one function by the number of functions deployed on its node."""
    enqueue: Enqueue | None = None
    """How events are kept, without a node."""
    discards: Discards | None = None
    """How often typical handlers are not restored after a call."""
    jitter: Jitter | None = None
    """How late the events of schedules are, without a node."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured."""

    processor: str
    cores: int
    memory: int
    kernel: str
    python: str
    load_before: float


class Results(msgspec.Struct, kw_only=True):
    """One whole run, as written by `--json`."""

    format: int = FORMAT
    started_at: float
    seconds: float = 0.0
    machine: Machine
    settings: Settings
    cells: list[Cell] = []
    crowds: dict[str, int] = {}
    """Bytes of as many functions at rest as `settings.peer_crowd` says, by target."""
    figures: Figures
    not_measured: list[str] = []
    leftovers: int = 0
    """Processes that targets left behind and that had to be killed."""

    def by_round(self, target: str, handler: str, field: str) -> dict[int, float | None]:
        """Return one field of a target's cells by round."""
        return {
            cell.round: getattr(cell, field)
            for cell in self.cells
            if cell.target == target and cell.handler == handler
        }

    def median(self, target: str, handler: str, field: str) -> float | None:
        """Return the median over the rounds of one field."""
        return median(self.by_round(target, handler, field).values())

    def parts(self, target: str, handler: str, field: str) -> ByRole:
        """Return the medians over the rounds of a field of a target's cells that has parts."""
        found = [
            parts
            for cell in self.cells
            if cell.target == target and cell.handler == handler
            if (parts := getattr(cell, field))
        ]
        names = dict.fromkeys(name for each in found for name in each)
        return {name: statistics.median(each.get(name, 0.0) for each in found) for name in names}

    def ratio(self, upper: str, lower: str, handler: str, field: str) -> float | None:
        """Return the median over the rounds of how many times `lower`'s figure `upper`'s is."""
        return ratio_by_round(
            self.by_round(upper, handler, field), self.by_round(lower, handler, field)
        )

    def targets(self) -> list[tuple[str, str]]:
        """Return the measured targets with their isolation, in the order of the first round."""
        return list(dict.fromkeys((cell.target, cell.isolation) for cell in self.cells))


def this_machine() -> Machine:
    """Describe the machine from /proc; nothing that names it or its owner."""
    lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return Machine(
        processor=names[0] if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release().split("-")[0],
        python=INTERPRETER.version,
        load_before=os.getloadavg()[0],
    )
