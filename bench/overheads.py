"""Measure what seeing everything costs a call: records, journal, redaction, firewall and monitor.

    python -m bench.overheads [--json FILE] [--seconds N] [--rounds N] [--parts] [--rates]

One node is measured in short turns: calls a second of a plain function over sixteen connections,
and processor time of all its processes by call, ended ones and what they do after the last answer
included. It runs from a copy of the source in which a byte, read at each call, says what is there:
everything, or nothing, when what is told is dropped, and nothing is looked through; then recorder
and monitor do not count. No node of ours can be told to be so. `--parts` also takes away one of the
parts alone. Two nodes would not do: by the layouts that chance gives their sandboxes, nodes of the
same code differ by more than what is looked for.

Each turn stands between two without anything, and is compared with the mean of these, so that a
machine that gets slower misleads nobody. What is told is the median of these ratios and the
interval that holds it with 95 % certainty, whatever their distribution is. "nothing, again" takes
turns like the others: how far from 1 it is tells what the machine adds. `by who tells and keeps`
counts only what processes beside sandboxes and restorer have used more: those do the same in both,
but what they are slowed by on a machine that others use is most of what is uncertain.

The table tells of each process its time, how often it was woken and preempted, and its page faults;
`--rates` what comes with each call and what with each second, by calls over one connection at two
rates: the slower the machine, the fewer calls share the latter.
Exit codes: 0 measured, whether or not the target is met; 1 not.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import load
from bench.client import answer
from bench.environment import INTERPRETER
from bench.errors import WrongAnswerError
from bench.figures import interval_of_median, rotated
from bench.gateway_cpu import deployed
from bench.measured import grammar, report
from bench.node_processes import NONE, Used, between, cost, paced, sum_of, used
from bench.switched_node import AGAIN, EVERYTHING, NOTHING, PARTS, state_of, switched
from casemate.guard.leaks.judgement import Judge
from casemate.guard.leaks.raised import Raised

TARGET = 1.10
CONNECTIONS = 16
ROUNDS = 16
WARM_SECONDS = 2
RATES = (50, 250)
"""Calls a second; with the first each is recorded nearly by itself."""
RATE_SECONDS = 4
SETTLING_SECONDS = 0.3
"""After a turn: what its calls left behind is recorded, and spares are made again."""
_WAYS = {"plain": "request", "reused": "instance"}
"""Functions, and how their calls are isolated."""
_MANIFEST = '[project]\nname = "bench"\n' + "".join(
    f'[function.{name}]\nhandler = "handler:handle"\npython = "{INTERPRETER.minor}"\n'
    f'isolation = "{isolation}"\n'
    for name, isolation in _WAYS.items()
)
_LOOKS, _LOOK_TURNS = 10_000, 20
_WATCHING = ("recorder", "monitor")
_COUNTED = ("restores", "discards", "forks")
_COMPARED = ("processor", "time")
_SAME_IN_BOTH = ("sandboxes", "restorer")
_COLUMNS = {
    "us": ("seconds", 1e6),
    "waits": ("waits", 1.0),
    "preempted": ("preempted", 1.0),
    "faults": ("faults", 1.0),
}

Figures = dict[str, Any]


def looked() -> float:
    """Return the microseconds that an instance takes to look at the plain function's answer.

    The least of some: it is taken away from what a call costs without the firewall.
    """
    find, body = Judge(Raised()).find, json.dumps(answer(load.NUMBER)).encode()

    def seconds() -> float:
        begun = time.thread_time()
        for _ in range(_LOOKS):
            find(b"{}", body)
        return time.thread_time() - begun

    return 1e6 * min(seconds() for _ in range(_LOOK_TURNS)) / _LOOKS


class Measured:
    """A node with the functions and the switch."""

    def __init__(self, folder: Path) -> None:
        """Start it from a copy in a new folder, and deploy."""
        self._state = switched(folder)
        self._watches, self._looks = True, True
        self._looked = looked()
        self.node = deployed(folder, _MANIFEST)

    def switch(self, kind: str) -> None:
        """Have there what is to be; what watches counts only where it is told something."""
        with self._state.open("r+b") as file:
            file.write(bytes([state_of(kind)]))
        self._watches = kind not in (NOTHING, AGAIN)
        self._looks = self._watches and kind != "no firewall"

    def warm(self, function: str) -> None:
        """Have instances of a function there."""
        load.run(self.node.endpoint(function), CONNECTIONS, WARM_SECONDS)
        time.sleep(SETTLING_SECONDS)

    def turn(self, function: str, seconds: int) -> Figures:
        """Return microseconds by call, and calls a second."""
        endpoint = self.node.endpoint(function)
        counts = self._counts(function)
        before = used(self.node.process)
        found = load.run(endpoint, CONNECTIONS, seconds)
        time.sleep(SETTLING_SECONDS)
        after = used(self.node.process)
        if found.wrong or found.lost or not found.right:
            raise WrongAnswerError(f"{found.wrong + found.lost} wrong answers of {found.right}.")
        roles = self._counting(between(before, after, found.right))
        counted = {name: value - counts[name] for name, value in self._counts(function).items()}
        return {
            "all": 1e6 * sum_of(roles.values()).seconds - (0.0 if self._looks else self._looked),
            "told": 1e6 * sum_of(_tellers(roles)).seconds,
            "per_second": found.per_second,
            "calls": found.right,
            "roles": roles,
            "counted": counted,
        }

    def costs(self, function: str) -> Figures:
        """Return by role what a call and what a second costs, in microseconds."""
        endpoint = self.node.endpoint(function)
        measured: list[tuple[float, Mapping[str, Used]]] = []
        for rate in RATES:
            before, begun = used(self.node.process), time.monotonic()
            calls = paced(endpoint, rate, RATE_SECONDS)
            time.sleep(SETTLING_SECONDS)
            seconds = time.monotonic() - begun
            found = self._counting(between(before, used(self.node.process), seconds))
            measured.append((calls / seconds, found))
        (low, few), (high, many) = measured
        return {
            role: cost((low, 1e6 * few[role].seconds), (high, 1e6 * many[role].seconds))
            for role in few
            if role in many
        }

    def _counting(self, roles: Mapping[str, Used]) -> dict[str, Used]:
        return {
            role: one if self._watches or role not in _WATCHING else NONE
            for role, one in roles.items()
        }

    def _counts(self, function: str) -> dict[str, float]:
        """Return what became of processes so far, as the node tells it."""
        endpoint = self.node.endpoint(function)
        url = f"http://{endpoint.host}:{endpoint.port}/metrics"
        request = urllib.request.Request(url, headers=dict(endpoint.headers))
        with urllib.request.urlopen(request, timeout=10) as answer:
            told = answer.read().decode()
        found = {}
        for name in _COUNTED:
            line = rf'^casemate_{name}_total{{[^}}]*function="{function}"[^}}]*}} (\S+)$'
            match = re.search(line, told, re.MULTILINE)
            found[name] = 0.0 if match is None else float(match[1])
        return found


def _tellers(roles: Mapping[str, Used]) -> list[Used]:
    return [one for role, one in roles.items() if role not in _SAME_IN_BOTH]


def measure(seconds: int, rounds: int, *, parts: bool = False, rates: bool = False) -> Figures:
    """Return the figures by function and by what is there, and ratios to nothing being there."""
    kinds = [EVERYTHING, AGAIN, *([f"no {name}" for name in PARTS] if parts else [])]
    result: Figures = {}
    with tempfile.TemporaryDirectory(prefix="cmoverheads-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        node = Measured(folder / "checkout")
        try:
            for function in _WAYS:
                node.warm(function)
                taken: list[tuple[str, Figures]] = []
                for number in range(rounds):
                    for kind in (NOTHING, *_between(NOTHING, rotated(kinds, number))):
                        node.switch(kind)
                        taken.append((kind, node.turn(function, seconds)))
                node.switch(NOTHING)
                taken.append((NOTHING, node.turn(function, seconds)))
                result[function] = compared(taken)
                for kind in (EVERYTHING, NOTHING) if rates else ():
                    node.switch(kind)
                    result[function][kind]["costs"] = node.costs(function)
        finally:
            node.node.close()
    return result


def _between(one: str, others: list[str]) -> list[str]:
    """Return the others with the same one between them."""
    return [each for other in others for each in (one, other)][1:]


def compared(turns: Sequence[tuple[str, Figures]]) -> Figures:
    """Return by node the medians over its turns, and of what is more than without anything.

    Every second turn is one without anything, or two such follow each other.
    """
    found: Figures = {}
    for kind in dict.fromkeys(kind for kind, _ in turns):
        own = [figures for each, figures in turns if each == kind]
        medians = {key: statistics.median(one[key] for one in own) for key in ("all", "per_second")}
        found[kind] = medians | {
            "processes": _processes(own),
            "counted": {
                name: sum(one["counted"][name] for one in own) / sum(one["calls"] for one in own)
                for name in _COUNTED
            },
        }
        found[kind] |= {
            name: {
                "median": statistics.median(values),
                "interval": interval_of_median(values),
                "turns": len(values),
            }
            for name, values in _ratios(turns, kind).items()
        }
    return found


def _processes(own: Sequence[Figures]) -> Figures:
    """Return by role what a call used, medians over the turns."""
    roles = dict.fromkeys(role for one in own for role in one["roles"])
    return {
        role: {
            name: scale
            * statistics.median(getattr(one["roles"].get(role, NONE), field) for one in own)
            for name, (field, scale) in _COLUMNS.items()
        }
        for role in roles
    }


def _ratios(turns: Sequence[tuple[str, Figures]], kind: str) -> dict[str, list[float]]:
    """Return the ratios of a node's turns to the mean of the nearest before and after it."""
    processor, told, rate = [], [], []
    for at, (each, figures) in enumerate(turns):
        bare = [
            next((one for other, one in side if other == NOTHING), None)
            for side in (reversed(turns[:at]), turns[at + 1 :])
        ]
        before, after = bare
        if each != kind or before is None or after is None:
            continue
        processor.append(2 * figures["all"] / (before["all"] + after["all"]))
        more = 2 * figures["told"] - before["told"] - after["told"]
        told.append(1 + more / (before["all"] + after["all"]))
        rate.append((before["per_second"] + after["per_second"]) / (2 * figures["per_second"]))
    return {"processor": processor, "told": told, "time": rate}


def text(result: Figures) -> str:
    """Return the figures as lines."""
    lines = []
    for function, by_node in result.items():
        for kind, found in by_node.items():
            lines.append(
                f"{function:7}{kind:24}{found['per_second']:6.0f}/s, "
                f"{found['all']:6.1f} us by call; to nothing: "
                f"processor {_told(found['processor'])}, "
                f"by who tells and keeps {_told(found['told'])}, time {_told(found['time'])}, "
                f"{found['time']['turns']} turns"
            )
        lines += _table(function, by_node)
        if by_node[NOTHING].get("costs"):
            lines += _costs(function, by_node)
    plain = result["plain"][EVERYTHING]
    lines += [f"plain: at most {TARGET:.2f}: {_met(plain[name], name)}" for name in _COMPARED]
    return "\n".join(lines)


def _table(function: str, by_node: Figures) -> list[str]:
    """Return by process and node what a call used, and what became of sandboxes."""
    lines = [f"{function}, by call:"]
    for role in dict.fromkeys(role for found in by_node.values() for role in found["processes"]):
        for kind in (EVERYTHING, NOTHING):
            used_by = by_node[kind]["processes"].get(role)
            if used_by is not None:
                told = ", ".join(f"{value:.2f} {name}" for name, value in used_by.items())
                lines.append(f"  {role:11}{kind:11} {told}")
    for kind in (EVERYTHING, NOTHING):
        counted = by_node[kind]["counted"].items()
        told = ", ".join(f"{1000 * value:.1f} {name}" for name, value in counted)
        lines.append(f"  of 1000 calls, {kind}: {told}")
    return lines


def _costs(function: str, by_node: Figures) -> list[str]:
    """Return by process and node what comes with a call, and what with a second."""
    lines = [f"{function}, one connection, {RATES[0]} and {RATES[1]} calls a second:"]
    for kind in (EVERYTHING, NOTHING):
        for role, (by_call, by_second) in by_node[kind]["costs"].items():
            told = f"{by_call:7.1f} us by call, {by_second / 1000:6.2f} ms by second"
            lines.append(f"  {role:11}{kind:11} {told}")
    return lines


def _told(ratio: Figures) -> str:
    low, high = ratio["interval"]
    return f"{ratio['median']:.3f} ({low:.3f} to {high:.3f})"


def _met(ratio: Figures, name: str) -> str:
    low, high = ratio["interval"]
    met = "met" if ratio["median"] <= TARGET else "MISSED"
    sure = "" if high <= TARGET or low > TARGET else ", not for certain: measure longer"
    return f"{name} {met}{sure}"


def main() -> int:
    """Print the figures."""
    parser = grammar("overheads", __doc__)
    parser.set_defaults(seconds=1, rounds=ROUNDS)
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--rates", action="store_true")
    given = parser.parse_args()
    return report(
        lambda: measure(given.seconds, given.rounds, parts=given.parts, rates=given.rates),
        text,
        given.json,
    )


if __name__ == "__main__":
    sys.exit(main())
