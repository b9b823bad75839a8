"""Measure what seeing everything costs a call: records, journal, redaction, firewall and monitor.

    python -m bench.overheads [--json FILE] [--seconds N] [--rounds N] [--parts]

A node as it is and one of the same code without all of that are measured in short turns, the others
at rest: calls a second of a plain function over sixteen connections, and processor time of all
processes of the node by call, ended ones and what they do after the last answer included. The other
node is a copy of the source in which what is told is dropped, and nothing is looked through; its
recorder and monitor do not count. No node of ours can be told to be so. `--parts` also measures
nodes without one of the parts.

Each turn stands between two of the node without anything, and is compared with the mean of these,
so that a machine that gets slower misleads nobody. What is told is the median of these ratios and
the interval that holds it with 95 % certainty, whatever their distribution is. Those of the node
without anything, between its own neighbours, tell how much of that is the machine: their median is
to be 1.
Exit codes: 0 measured, whether or not the target is met; 1 not.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import load
from bench.environment import INTERPRETER
from bench.errors import WrongAnswerError
from bench.figures import interval_of_median, rotated
from bench.gateway_cpu import deployed
from bench.measured import grammar, report
from bench.processes import spent, tree

ROOT = Path(__file__).parent.parent
TARGET = 1.10
CONNECTIONS = 16
ROUNDS = 16
SETTLING_SECONDS = 0.3
"""After a turn: what its calls left behind is recorded, and spares are made again."""
EVERYTHING, NOTHING = "everything", "nothing"
_WAYS = {"plain": "request", "reused": "instance"}
"""Functions, and how their calls are isolated."""
_MANIFEST = '[project]\nname = "bench"\n' + "".join(
    f'[function.{name}]\nhandler = "handler:handle"\npython = "{INTERPRETER.minor}"\n'
    f'isolation = "{isolation}"\n'
    for name, isolation in _WAYS.items()
)
_DROPPED = """

def _dropped(*_told, **_how):
    return True


async def _durable(_self):
    return None


def _replace(owner, **by):
    for name, what in by.items():
        if name not in vars(owner):
            raise AttributeError(name)
        setattr(owner, name, what)


"""
_PARTS: Mapping[str, Mapping[str, str]] = {
    "records and journal": {
        "recorder/client.py": "_replace(RecorderClient, note=_dropped, record=_dropped,"
        " expect=_dropped, durable=_durable)",
        "recorder/records/client.py": "_replace(RecordsClient, record=_dropped, expect=_dropped,"
        " write=_dropped, deny=_dropped, use=_dropped)",
    },
    "redaction": {
        "seal/redaction.py": """async def _as_it_is(_self, finished):
    return finished


_replace(Redactor, redact=_as_it_is, record=Redactor._keep, write=Redactor._keep_lines,
         expect=lambda self, *told: self._records.expect(*told))""",
    },
    "firewall": {
        "seal/close.py": "inside = lambda finished: finished",
        "guard/leaks/judgement.py": "_replace(Judge, find=lambda *_: None)",
    },
}
"""What is put at the end of modules of the copy, by the part that it takes away."""
_WATCHING = (b"casemate.recorder.process", b"casemate.monitor.process")
_GATEWAY = b"casemate.gateway.process"
_COMPARED = ("processor", "time")

Figures = dict[str, Any]


def checkout_of(source: Path, folder: Path) -> Path:
    """Have `folder` with this package in `src` run by this interpreter's environment."""
    shutil.copytree(source, folder / "src/casemate", ignore=shutil.ignore_patterns("__pycache__"))
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(Path(sys.executable).resolve())
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", folder / ".venv")
    packages = Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    (folder / ".venv" / packages).mkdir(parents=True)
    names = f"{folder / 'src'}\n{Path(sys.prefix) / packages}\n"
    (folder / ".venv" / packages / "bench.pth").write_text(names)
    return folder


def without(parts: Mapping[str, Mapping[str, str]], folder: Path) -> Path:
    """Return a checkout in `folder` whose nodes do without these parts."""
    checkout_of(ROOT / "src/casemate", folder)
    for changes in parts.values():
        for module, change in changes.items():
            with (folder / "src/casemate" / module).open("a") as file:
                file.write(f"{_DROPPED}{change}\n")
    return folder


def processor_seconds(root: int) -> dict[str, float]:
    """Return the seconds on a processor of a node: of the gateway, what watches, and the rest."""
    found = {"gateway": 0.0, "watching": 0.0, "rest": 0.0}
    for identity in tree(root):
        try:
            folder = Path(f"/proc/{identity.pid}")
            words = (folder / "cmdline").read_bytes().split(b"\0")
            seconds = spent((folder / "stat").read_text("utf-8", "replace"), children=True)
        except OSError:
            continue
        watching = any(each in words for each in _WATCHING)
        found["gateway" if _GATEWAY in words else "watching" if watching else "rest"] += seconds
    return found


class Measured:
    """A node of a checkout with the functions."""

    def __init__(self, checkout: Path, *, watches: bool) -> None:
        """Start and deploy; what watches counts only if it does."""
        self._watches = watches
        self.node = deployed(checkout, _MANIFEST)

    def turn(self, function: str, seconds: int) -> Figures:
        """Return microseconds by call, and calls a second."""
        before = processor_seconds(self.node.process)
        found = load.run(self.node.endpoint(function), CONNECTIONS, seconds)
        time.sleep(SETTLING_SECONDS)
        after = processor_seconds(self.node.process)
        if found.wrong or found.lost or not found.right:
            raise WrongAnswerError(f"{found.wrong + found.lost} wrong answers of {found.right}.")
        by_call = {each: 1e6 * (after[each] - before[each]) / found.right for each in after}
        if not self._watches:
            by_call["watching"] = 0.0
        return {**by_call, "all": sum(by_call.values()), "per_second": found.per_second}


def measure(seconds: int, rounds: int, *, parts: bool = False) -> Figures:
    """Return the figures by function and node, and ratios to the node without anything."""
    nodes: dict[str, Measured] = {}
    kinds: dict[str, Mapping[str, Mapping[str, str]]] = {NOTHING: _PARTS}
    if parts:
        kinds |= {f"no {name}": {name: changes} for name, changes in _PARTS.items()}
    turns: dict[str, list[tuple[str, Figures]]] = {name: [] for name in _WAYS}
    with tempfile.TemporaryDirectory(prefix="cmoverheads-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            nodes[EVERYTHING] = Measured(ROOT, watches=True)
            for number, (kind, changes) in enumerate(kinds.items()):
                checkout = without(changes, folder / str(number))
                nodes[kind] = Measured(checkout, watches=kind != NOTHING)
            for node in nodes.values():
                for function in turns:
                    node.turn(function, seconds)
            others = [kind for kind in nodes if kind != NOTHING]
            for number in range(rounds):
                for function, taken in turns.items():
                    for kind in (NOTHING, *_between(NOTHING, rotated(others, number)), NOTHING):
                        taken.append((kind, nodes[kind].turn(function, seconds)))
        finally:
            for measured in nodes.values():
                measured.node.close()
    return {function: compared(taken) for function, taken in turns.items()}


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
        ratios = _ratios(turns, kind)
        found[kind] = {key: statistics.median(one[key] for one in own) for key in own[0]} | {
            name: {
                "median": statistics.median(values),
                "interval": interval_of_median(values),
                "turns": len(values),
            }
            for name, values in ratios.items()
        }
    return found


def _ratios(turns: Sequence[tuple[str, Figures]], kind: str) -> dict[str, list[float]]:
    """Return the ratios of a node's turns to the mean of the nearest before and after it."""
    processor, rate = [], []
    for at, (each, figures) in enumerate(turns):
        bare = [
            next((one for other, one in side if other == NOTHING), None)
            for side in (reversed(turns[:at]), turns[at + 1 :])
        ]
        before, after = bare
        if each != kind or before is None or after is None:
            continue
        processor.append(2 * figures["all"] / (before["all"] + after["all"]))
        rate.append((before["per_second"] + after["per_second"]) / (2 * figures["per_second"]))
    return {"processor": processor, "time": rate}


def text(result: Figures) -> str:
    """Return the figures as lines."""
    lines = []
    for function, by_node in result.items():
        for kind, found in by_node.items():
            lines.append(
                f"{function:7}{kind:24}{found['per_second']:6.0f}/s, {found['all']:6.1f} us by call"
                f" ({found['gateway']:.1f} gateway, {found['watching']:.1f} recorder and monitor);"
                f" to nothing: processor {_told(found['processor'])},"
                f" time {_told(found['time'])}, {found['time']['turns']} turns"
            )
    plain = result["plain"][EVERYTHING]
    lines += [f"plain: at most {TARGET:.2f}: {_met(plain[name], name)}" for name in _COMPARED]
    return "\n".join(lines)


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
    arguments = parser.parse_args()
    return report(
        lambda: measure(arguments.seconds, arguments.rounds, parts=arguments.parts),
        text,
        arguments.json,
    )


if __name__ == "__main__":
    sys.exit(main())
