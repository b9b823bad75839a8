"""Measure what the sink guard costs twelve handlers as they are written, and hostile events.

    python -m bench.guard_handlers [--rounds N] [--only NAME]... [--python FILE] [--json FILE]

Four programs that go through thousands of lines or rows are measured beside them, and some that
make ten thousand calls which are watched by name.

Each round starts a process for each side, in turns. A side's figure is the processor time of its
fastest invocation in any round, for other load on the machine only ever adds to it: of the first
one of a process, in a fork of it as for each call of request isolation, and of later ones. The
handlers
need Pillow, Jinja2, Flask, FastAPI and Django, which are installed into an environment of their
own below `bench/.peers`; `--python` is another interpreter that has them, and what it lacks is
named and left out. Exit codes: 0 measured, whether or not targets are met; 1 something could not be
measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.environment import Environments
from bench.errors import BenchError
from bench.figures import rotated
from bench.guard_announced_code import ANNOUNCED
from bench.guard_announced_code import HEAD as ANNOUNCED_HEAD
from bench.guard_handlers_code import HANDLERS, HEAD
from bench.guard_loops_code import HEAD as LOOP_HEAD
from bench.guard_loops_code import LOOPS

_CHILD = Path(__file__).with_name("guard_handlers_child.py")
_SECONDS = 300
TARGET_RATIO = 1.10
TARGET_HOSTILE_MS = 50.0


def _run(python: str, *arguments: str) -> Any:
    command = [python, str(_CHILD), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode != 0:
        raise ValueError(f"{' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


Rounds = dict[str, list[tuple[float, float]]]
"""For each handler and round, seconds of an invocation without the guard and with it."""


_MODULES = ((HEAD, HANDLERS), (ANNOUNCED_HEAD, ANNOUNCED), (LOOP_HEAD, LOOPS))


def handlers(
    rounds: int, python: str, chosen: Sequence[str] = (*HANDLERS, *ANNOUNCED, *LOOPS)
) -> tuple[Rounds, Rounds]:
    """Return what later invocations of a process take, and what the first does."""
    first: Rounds = {}
    later: Rounds = {}
    with tempfile.TemporaryDirectory() as temporary:
        for head, modules in _MODULES:
            for name, code in modules.items():
                (Path(temporary) / f"handler_{name}.py").write_text(head + code)
        for number in range(rounds):
            for name in chosen:
                taken: dict[str, dict[str, float]] = {}
                for mode in rotated(["off", "on"], number):
                    answer = _run(python, "handler", mode, name, temporary)
                    if answer is not None:
                        taken[mode] = answer
                if len(taken) == 2:
                    for which, found in (("first", first), ("later", later)):
                        pair = taken["off"][which], taken["on"][which]
                        found.setdefault(name, []).append(pair)
    return later, first


def hostile(python: str) -> dict[str, float]:
    """Return milliseconds until a sink knows about a text, for events of 256 KiB made to cost."""
    return {name: float(ms) for name, ms in _run(python, "hostile").items()}


def ratios(measured: Rounds) -> dict[str, float]:
    """Return for each handler how many times as long it takes with the guard."""
    best = {name: fastest(rounds) for name, rounds in measured.items()}
    return {name: on / off for name, (off, on) in best.items()}


def fastest(rounds: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the least of each side."""
    return min(off for off, _ in rounds), min(on for _, on in rounds)


def _table(what: str, later: Rounds, first: Rounds) -> list[str]:
    lines = [
        f"| {what} | off, ms | on, ms | ratio | first: off, ms | on, ms | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    of_first = ratios(first)
    for name, ratio in ratios(later).items():
        off, on = fastest(later[name])
        told = f"| {name} | {off * 1e3:.2f} | {on * 1e3:.2f} | {ratio:.2f} |"
        off, on = fastest(first[name])
        lines.append(f"{told} {off * 1e3:.2f} | {on * 1e3:.2f} | {of_first[name]:.2f} |")
    return lines


def report(
    measured: Rounds,
    first: Rounds,
    worst: dict[str, float],
    chosen: Sequence[str] = tuple(HANDLERS),
) -> str:
    """Return the figures as tables, with targets; the programs that go through lines have none.

    `chosen` is what was to be measured.
    """
    targeted = {name: rounds for name, rounds in measured.items() if name in HANDLERS}
    loops = {name: rounds for name, rounds in measured.items() if name in LOOPS}
    lines = _table("handler", targeted, first)
    for why, names in (
        ("not installed", HANDLERS.keys() & set(chosen) - measured.keys()),
        ("not chosen", HANDLERS.keys() - set(chosen)),
    ):
        lines += [f"left out, {why}: {', '.join(sorted(names))}"] if names else []
    announced = {name: rounds for name, rounds in measured.items() if name in ANNOUNCED}
    lines += ["", *_table("program whose calls are watched by name", announced, first)]
    lines += ["", *_table("program that goes through lines or rows", loops, first)]
    lines += ["", "| hostile event of 256 KiB | ms |", "|---|---|"]
    lines += [f"| {name} | {ms:.1f} |" for name, ms in worst.items()]
    slowest = max(ratios(targeted).values(), default=0.0)
    lines += [
        "",
        f"slowest handler: {slowest:.2f} x (target {TARGET_RATIO:.2f})",
        f"slowest with watched names: {max(ratios(announced).values(), default=0.0):.2f} x",
        f"worst event: {max(worst.values(), default=0.0):.0f} ms (target {TARGET_HOSTILE_MS:.0f})",
    ]
    return "\n".join(lines)


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m bench.guard_handlers", description=__doc__)
    grammar.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds (default 5)")
    grammar.add_argument(
        "--only",
        action="append",
        choices=[*HANDLERS, *ANNOUNCED, *LOOPS, "hostile"],
        help="measure this alone (can be given several times)",
    )
    grammar.add_argument("--python", metavar="FILE", help="interpreter (default: one is made)")
    grammar.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    chosen = grammar.parse_args(arguments)
    if not 1 <= chosen.rounds <= 50:
        grammar.error(f"--rounds got {chosen.rounds}; 1 to 50 is expected")
    try:
        python = chosen.python or str(Environments(_say).python("guard_handlers"))
        only = chosen.only or [*HANDLERS, *ANNOUNCED, *LOOPS, "hostile"]
        named = [name for name in only if name != "hostile"]
        measured, first = handlers(chosen.rounds, python, named)
        worst = hostile(python) if "hostile" in only else {}
    except (subprocess.SubprocessError, OSError, ValueError, BenchError) as error:
        sys.stderr.write(f"could not be measured: {error}\n")
        return 1
    print(report(measured, first, worst, named))
    if chosen.json is not None:
        told = {"ratios": ratios(measured), "first_ratios": ratios(first), "hostile_ms": worst}
        chosen.json.write_text(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
