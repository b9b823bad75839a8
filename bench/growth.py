"""Measure how cost grows, and draw it: deployed functions, connections, sizes of events.

    python -m bench.growth [--docs FOLDER] [--json FILE] [--only PART,...] [--functions N]

writes the charts into `docs/reference/charts` (or FOLDER) and prints the figures. PART is
`functions`, `connections` or `sizes`. Compared figures are of one run, taken in turns. Exit codes:
0 measured, 1 not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import load
from bench.charts import Chart, Line, svg
from bench.client import Connection, Endpoint, encode, event, is_right
from bench.environment import check_tools
from bench.errors import BenchError, WrongAnswerError
from bench.figures import percentile
from bench.many import FOR_EACH_PROJECT, multiply
from bench.measure import latency
from bench.processes import adopt_orphans, clear_leftovers
from bench.results import Machine, this_machine
from bench.servers import first_answer
from bench.targets import Node, Plan

COUNTS = (1, 10, 100, 1_000, 10_000)
CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
SIZES = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)
DEPLOY_TIMEOUT = 600.0
TURNS = 6
REQUESTS = 100
LOAD_SECONDS = 3
SIZE_SECONDS = 3.0
BUSY = 1.0
"""Load before a run from which on its charts say so."""
_PIECE = 100_000
"""Characters of one text of a large event."""
CHARTS = Path(__file__).parent.parent / "docs" / "reference" / "charts"
COMMAND = "python -m bench.growth"
ISOLATIONS = ("request", "instance")
CONTRACT = json.dumps(
    {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "name": {"type": "string", "maxLength": 100},
            "values": {"type": "array", "items": {"type": "integer"}, "maxItems": 100},
            "pad": {
                "type": "array",
                "items": {"type": "string", "maxLength": _PIECE},
                "maxItems": 100,
            },
        },
        "additionalProperties": False,
    }
)


class Growth(msgspec.Struct, kw_only=True):
    """What was measured. Times are milliseconds; empty where a part was not asked for."""

    machine: Machine
    call_ms: dict[int, float] = {}
    """p50 of a call with request isolation, by the functions deployed on its node."""
    alone_ms: dict[int, float] = {}
    """The same on a node with one function, in the same turns."""
    start_ms: dict[int, float] = {}
    """Start of the node, to its first right answer, by the functions deployed on it."""
    rate: dict[str, dict[int, float]] = {}
    """Right answers a second, by isolation and connections."""
    loaded_ms: dict[str, dict[int, float]] = {}
    """p50 of them."""
    size_ms: dict[str, dict[int, float]] = {}
    """p50 of a call, by isolation and bytes of the event."""


# -- functions -------------------------------------------------------------------------------------


def functions(found: Growth, counts: Sequence[int]) -> None:
    """Measure calls and starts with ever more functions, beside a node with one."""
    alone, node = Node(), Node()
    try:
        for one in (alone, node):
            one.start()
            one.deploy([Plan(name="plain-0")], timeout=DEPLOY_TIMEOUT, project="many-0")
        for count in counts:
            _say(f"{count} functions")
            node.stop()
            if count > 1:
                multiply(node.folder / "data", count)
            endpoint = node.endpoint("plain-0", "many-0")
            found.start_ms[count] = first_answer(node.start(), endpoint)
            _check(node, count)
            times: dict[Node, list[float]] = {node: [], alone: []}
            for _ in range(TURNS):
                for one, taken in times.items():
                    endpoint = one.endpoint("plain-0", "many-0")
                    latency(endpoint, 20, 1.0)
                    taken += latency(endpoint, REQUESTS, 4.0).times_ms
            found.call_ms[count] = percentile(times[node], 0.5)
            found.alone_ms[count] = percentile(times[alone], 0.5)
    finally:
        node.close()
        alone.close()


def _check(node: Node, count: int) -> None:
    """Call the last of the functions, too."""
    project, number = divmod(count - 1, FOR_EACH_PROJECT)
    endpoint = node.endpoint(f"plain-{number}", f"many-{project}")
    connection = Connection(endpoint, timeout=30)
    try:
        reply = connection.exchange(encode(endpoint, event(1)))
    finally:
        connection.close()
    if not is_right(reply, 1):
        raise WrongAnswerError(f"{endpoint.path} answered {reply.status}")


# -- connections and sizes -------------------------------------------------------------------------


def _node(*, contract: str = "") -> Node:
    node = Node()
    try:
        node.start()
        plans = [Plan(name=one, isolation=one, contract=contract) for one in ISOLATIONS]
        node.deploy(plans, timeout=DEPLOY_TIMEOUT)
    except BaseException:
        node.close()
        raise
    return node


def connections(found: Growth) -> None:
    """Load a function over ever more connections."""
    node = _node()
    try:
        for isolation in ISOLATIONS:
            load.run(node.endpoint(isolation), 16, 1)
        for count in CONNECTIONS:
            for isolation in ISOLATIONS:
                _say(f"{count} connections, {isolation} isolation")
                loaded = load.run(node.endpoint(isolation), count, LOAD_SECONDS)
                if loaded.wrong or loaded.lost:
                    raise WrongAnswerError(f"{loaded.wrong} wrong, {loaded.lost} lost answers")
                found.rate.setdefault(isolation, {})[count] = loaded.per_second
                found.loaded_ms.setdefault(isolation, {})[count] = loaded.p50_ms
    finally:
        node.close()


def padded(size: int) -> dict[str, object]:
    """Return an event of about `size` bytes of JSON."""
    base = event(1)
    left = size - len(json.dumps(base, separators=(",", ":"))) - len(',"pad":[]')
    pieces = []
    while left > 3:
        pieces.append("x" * min(_PIECE, left - 3))
        left -= len(pieces[-1]) + 3
    return {**base, "pad": pieces}


def _sized(endpoint: Endpoint, size: int) -> float:
    """Return the p50 of calls with an event of so many bytes."""
    request = encode(endpoint, padded(size))
    connection = Connection(endpoint, timeout=30)
    times: list[float] = []
    end = time.monotonic() + SIZE_SECONDS
    try:
        while len(times) < 5 or (time.monotonic() < end and len(times) < 10 * REQUESTS):
            begun = time.perf_counter()
            reply = connection.exchange(request)
            times.append((time.perf_counter() - begun) * 1000)
            if not is_right(reply, 1):
                raise WrongAnswerError(f"{size} bytes were answered with {reply.status}")
    finally:
        connection.close()
    return percentile(times[2:], 0.5)


def sizes(found: Growth) -> None:
    """Call a function with ever larger events."""
    node = _node(contract=CONTRACT)
    try:
        for size in SIZES:
            for isolation in ISOLATIONS:
                _say(f"{size} bytes, {isolation} isolation")
                taken = _sized(node.endpoint(isolation), size)
                found.size_ms.setdefault(isolation, {})[size] = taken
    finally:
        node.close()


# -- all of it -------------------------------------------------------------------------------------


def _line(name: str, figures: dict[int, float], factor: float = 1.0) -> Line:
    return Line(name, tuple((count, value * factor) for count, value in figures.items()))


def _by_isolation(figures: dict[str, dict[int, float]]) -> tuple[Line, ...]:
    return tuple(_line(f"{isolation} isolation", by) for isolation, by in figures.items())


def _words(values: Sequence[int]) -> tuple[tuple[float, str], ...]:
    return tuple((value, f"{value:,}") for value in values)


def charts(found: Growth) -> dict[str, Chart]:
    """Return the charts of what was measured, by the names of their files."""
    machine = found.machine
    note = f"{COMMAND}: {machine.cores} cores shared with the load, Linux {machine.kernel}"
    if machine.load_before > BUSY:
        note += f"; others kept them busy, load {machine.load_before:.0f}"
    made: dict[str, Chart] = {}
    if found.call_ms:
        ticks = _words(sorted(found.call_ms))
        made["functions-call"] = Chart(
            title="A call by how many functions are deployed",
            x="functions on the node",
            y="p50, ms",
            lines=(
                _line("node with so many", found.call_ms),
                _line("node with one, in the same turns", found.alone_ms),
            ),
            ticks=ticks,
            note=note,
            linear=True,
        )
        made["functions-start"] = Chart(
            title="Start of a node by how many functions are deployed",
            x="functions on the node",
            y="to the first right answer, s",
            lines=(_line("start", found.start_ms, 0.001),),
            ticks=ticks,
            note=note,
            linear=True,
        )
    if found.rate:
        ticks = _words(CONNECTIONS)
        made["connections-rate"] = Chart(
            title="Right answers by connections",
            x="connections",
            y="answers a second",
            lines=_by_isolation(found.rate),
            ticks=ticks,
            note=note,
            linear=True,
        )
        made["connections-latency"] = Chart(
            title="Time of a call by connections that all ask at once",
            x="connections",
            y="p50, ms",
            lines=_by_isolation(found.loaded_ms),
            ticks=ticks,
            note=note,
        )
    if found.size_ms:
        words = ("1 KB", "10 KB", "100 KB", "1 MB", "5 MB")
        made["sizes"] = Chart(
            title="A call by the size of its event",
            x="bytes of JSON, with a contract",
            y="p50, ms",
            lines=_by_isolation(found.size_ms),
            ticks=tuple(zip(map(float, SIZES), words, strict=True)),
            note=note,
        )
    return made


def text(found: Growth) -> str:
    """Return the figures as lines."""
    lines = []
    for count, value in found.call_ms.items():
        ratio = value / found.alone_ms[count]
        lines.append(
            f"{count:6,} functions: p50 {value:.2f} ms, {ratio:.2f} x of a node with one; start "
            f"{found.start_ms[count] / 1000:.2f} s"
        )
    for isolation, by in found.rate.items():
        lines += [
            f"{count:3} connections, {isolation}: {rate:,.0f}/s, "
            f"p50 {found.loaded_ms[isolation][count]:.2f} ms"
            for count, rate in by.items()
        ]
    for isolation, by in found.size_ms.items():
        lines += [f"{size:9,} bytes, {isolation}: p50 {taken:.2f} ms" for size, taken in by.items()]
    return "\n".join(lines)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


PARTS = ("functions", "connections", "sizes")


def main() -> int:
    """Measure, draw, print."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="How cost grows, and charts of it.")
    parser.add_argument("--docs", type=Path, metavar="FOLDER", default=CHARTS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", default="", metavar="PART,...", help=", ".join(PARTS))
    parser.add_argument("--functions", type=int, default=COUNTS[-1], help="at most so many")
    arguments = parser.parse_args()
    only = set(filter(None, arguments.only.split(","))) or set(PARTS)
    if only - set(PARTS):
        parser.error(f"--only takes {', '.join(PARTS)}")
    found = Growth(machine=this_machine())
    adopt_orphans()
    try:
        check_tools()
        if "connections" in only:
            connections(found)
        if "sizes" in only:
            sizes(found)
        if "functions" in only:
            functions(found, [count for count in COUNTS if count <= arguments.functions])
    except (BenchError, OSError, ValueError, subprocess.SubprocessError) as error:
        _say(str(error))
        return 1
    finally:
        clear_leftovers()
    arguments.docs.mkdir(parents=True, exist_ok=True)
    for name, chart in charts(found).items():
        (arguments.docs / f"{name}.svg").write_text(svg(chart), "utf-8")
    print(text(found))
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.encode(msgspec.to_builtins(found, str_keys=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
