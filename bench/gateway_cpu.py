"""Measure what a call costs the gateway: processor time of its process, by call.

    python -m bench.gateway_cpu [--json FILE] [--seconds N] [--rounds N] [--before FOLDER]
                                [--events]

A plain function with reused instances is called over one connection and over sixteen, with all
that a node has switched on. What is told is the processor time of the gateway's process, all its
threads and the kernel's work for it, divided by the right answers. `--before` names another
checkout: its node and this one are measured in turns, the other at rest, and compared within each
round. With `--events` events are sent over 64 connections, and run, as well. Exit codes: 0
measured, whether or not the target is met; 1 not.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from bench import load
from bench.capabilities import CheckoutNode
from bench.client import Endpoint
from bench.delivery import CONNECTIONS as SENDERS
from bench.delivery import wait_for
from bench.environment import HANDLERS, INTERPRETER, SOURCES
from bench.errors import BenchError, WrongAnswerError
from bench.figures import rotated
from bench.measured import grammar, report
from bench.processes import spent, tree

ROOT = Path(__file__).parent.parent
TARGET_US = 50.0
CONNECTIONS = (1, 16)
EVENTS = 0
"""Stands for connections where events are sent, and run."""
_GATEWAY = b"casemate.gateway.process"
MANIFEST = f"""
[project]
name = "bench"
[function.reused]
handler = "handler:handle"
python = "{INTERPRETER.minor}"
isolation = "instance"
[function.isolated]
handler = "handler:handle"
python = "{INTERPRETER.minor}"
"""

Figures = dict[str, Any]


def gateway_of(root: int) -> int:
    """Return the process id of the gateway below a node's process. Raises BenchError."""
    for identity in tree(root):
        try:
            command = Path(f"/proc/{identity.pid}/cmdline").read_bytes()
        except OSError:
            continue
        if _GATEWAY in command.split(b"\0"):
            return identity.pid
    raise BenchError("The node has no gateway.")


def processor_seconds(pid: int) -> dict[bool, float]:
    """Return the seconds on a processor of a process's first thread (True) and of its others."""
    spent = {True: 0.0, False: 0.0}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            nanoseconds = int((task / "schedstat").read_text("ascii").split()[0])
        except OSError:
            continue
        spent[int(task.name) == pid] += nanoseconds / 1e9
    return spent


def deployed(checkout: Path, manifest: str, *options: str) -> CheckoutNode:
    """Return a node of a checkout on which the plain handler serves a manifest's functions.

    It is served with `options`.
    """
    node = CheckoutNode(checkout, *options)
    try:
        source = node.folder / "handlers"
        source.mkdir()
        shutil.copy(SOURCES / HANDLERS / "plain.py", source / "handler.py")
        node.deploy(manifest, source)
    except BaseException:
        node.close()
        raise
    return node


class Measured:
    """One node with the function, and the process id of its gateway."""

    def __init__(self, checkout: Path) -> None:
        """Start and deploy."""
        self.node = deployed(checkout, MANIFEST)
        try:
            self.pid = gateway_of(self.node.process)
        except BaseException:
            self.node.close()
            raise

    def round(self, connections: int, seconds: int, function: str = "reused") -> Figures:
        """Return microseconds by call, and calls a second."""
        endpoint = self.node.endpoint(function)
        load.run(endpoint, connections or SENDERS, 1)
        return self.turn(endpoint, connections, seconds)

    def turn(self, endpoint: Endpoint, connections: int, seconds: int) -> Figures:
        """Return the same of one that is warm."""
        before, all_before = processor_seconds(self.pid), self._all_seconds()
        if connections == EVENTS:
            found = load.run_accepted(endpoint, SENDERS, seconds)
            wait_for(endpoint)
        else:
            found = load.run(endpoint, connections, seconds)
        after, all_after = processor_seconds(self.pid), self._all_seconds()
        if found.wrong or found.lost or not found.right:
            raise WrongAnswerError(f"{found.wrong + found.lost} wrong answers of {found.right}.")
        loop, threads = (1e6 * (after[k] - before[k]) / found.right for k in (True, False))
        return {
            "us": loop + threads,
            "loop_us": loop,
            "threads_us": threads,
            "all_us": 1e6 * (all_after - all_before) / found.right,
            "per_second": found.per_second,
        }

    def _all_seconds(self) -> float:
        """Return the seconds on a processor of all processes of the node, and of what has ended."""
        found = 0.0
        for identity in tree(self.node.process):
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{identity.pid}/stat").read_text("utf-8", "replace")
                found += spent(stat, children=True)
        return found


def measure(
    seconds: int, rounds: int, before: Path | None = None, *, events: bool = False
) -> Figures:
    """Return the figures by connections, medians over the rounds, and the ratios to `before`."""
    kinds = (*CONNECTIONS, EVENTS) if events else CONNECTIONS
    nodes: dict[str, Measured] = {}
    taken: dict[str, dict[int, list[Figures]]] = {}
    try:
        checkouts = {"now": ROOT} | ({} if before is None else {"before": before})
        for name, checkout in checkouts.items():
            nodes[name] = Measured(checkout)
            taken[name] = {connections: [] for connections in kinds}
        for number in range(rounds):
            for connections in kinds:
                for name in rotated(list(nodes), number):
                    taken[name][connections].append(nodes[name].round(connections, seconds))
    finally:
        for measured in nodes.values():
            measured.node.close()
    result: Figures = {}
    for name, by_connections in taken.items():
        result[name] = {
            str(connections): {
                key: statistics.median(one[key] for one in found) for key in found[0]
            }
            for connections, found in by_connections.items()
        }
    if before is not None:
        result["ratio"] = {
            str(connections): statistics.median(
                now["us"] / then["us"]
                for now, then in zip(
                    taken["now"][connections], taken["before"][connections], strict=True
                )
            )
            for connections in kinds
        }
    return result


def _called(connections: str) -> str:
    return "events sent and run" if connections == str(EVENTS) else f"{connections:>2} connections"


def text(result: Figures) -> str:
    """Return the figures as lines."""
    lines = []
    for name in ("before", "now"):
        for connections, found in result.get(name, {}).items():
            lines.append(
                f"{name:6} {_called(connections)}: {found['us']:5.1f} us of the gateway by "
                f"call ({found['loop_us']:.1f} its loop, {found['threads_us']:.1f} its threads), "
                f"{found['per_second']:.0f}/s"
            )
    for connections, ratio in result.get("ratio", {}).items():
        lines.append(f"ratio  {_called(connections)}: {ratio:.2f}")
    many = result["now"][str(CONNECTIONS[-1])]["us"]
    met = "met" if many <= TARGET_US else "MISSED"
    lines.append(f"target <= {TARGET_US:g} us with {CONNECTIONS[-1]} connections: {met}")
    return "\n".join(lines)


def main() -> int:
    """Print the figures."""
    parser = grammar("gateway_cpu", __doc__)
    parser.add_argument("--before", type=Path, metavar="FOLDER")
    parser.add_argument("--events", action="store_true")
    arguments = parser.parse_args()
    return report(
        lambda: measure(
            arguments.seconds, arguments.rounds, arguments.before, events=arguments.events
        ),
        text,
        arguments.json,
    )


if __name__ == "__main__":
    sys.exit(main())
