"""Measure builds of the pandas example: with nothing, with uv's downloads, with its dependencies.

    python -m bench.building [--json] [--rounds N]

*cold* has no cache and downloads; *downloads* has uv's cache and installs and compiles anew, as
after an update of Casemate or Python; *warm* has the installed dependencies, as each save in
development does. Every round of one is a build of the whole function in this process. The time of
a lock that is made anew is measured by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

from bench.figures import percentile
from casemate.build import find_interpreters
from casemate.build.bundle import build
from casemate.manifest import load

TARGETS = {"warm_p50_s": 3.0}
EXAMPLE = Path(__file__).parents[1] / "examples/csv-summary"


class _Times(NamedTuple):
    """Seconds, each sorted. `processor` is that of this process and of its children."""

    wall: list[float]
    processor: list[float]


def _times(rounds: int, run: Callable[[], object], before: Callable[[], object]) -> _Times:
    found = _Times([], [])
    for _ in range(rounds):
        before()
        begun, spent = time.perf_counter(), sum(os.times()[:4])
        run()
        found.wall.append(time.perf_counter() - begun)
        found.processor.append(sum(os.times()[:4]) - spent)
    return _Times(sorted(found.wall), sorted(found.processor))


def measure(rounds: int) -> dict[str, float]:
    """Return the figures, in seconds."""
    interpreters = find_interpreters(today=date.today(), environ=os.environ)
    with tempfile.TemporaryDirectory(prefix="casemate-building-") as name:
        root, cache, out = (Path(name) / each for each in ("project", "cache", "out"))
        shutil.copytree(EXAMPLE, root)
        project = load(root / "casemate.toml")

        def run(*, relock: bool = False) -> None:
            build(
                root,
                project.name,
                project.functions[0],
                out,
                cache=cache,
                interpreters=interpreters,
                resources=project.resources,
                relock=relock,
            )

        cold = _times(1, run, lambda: None)
        downloads = _times(1, run, lambda: shutil.rmtree(cache / "layers"))
        warm = _times(rounds, run, lambda: shutil.rmtree(out, ignore_errors=True))
        relocked = _times(max(1, rounds // 3), lambda: run(relock=True), lambda: None)
    return {
        "cold_s": round(cold.wall[0], 2),
        "downloads_s": round(downloads.wall[0], 2),
        "warm_p50_s": round(percentile(warm.wall, 0.5), 2),
        "warm_cpu_p50_s": round(percentile(warm.processor, 0.5), 2),
        "warm_max_s": round(warm.wall[-1], 2),
        "relock_p50_s": round(percentile(relocked.wall, 0.5), 2),
    }


def main() -> None:
    """Measure and print; the exit code is 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.building")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    figures = measure(options.rounds)
    missed = [name for name, most in TARGETS.items() if figures[name] > most]
    if options.json:
        print(json.dumps({**figures, "missed": missed}, indent=2))
    else:
        for name, value in figures.items():
            told = f" (target {TARGETS[name]:g})" if name in TARGETS else ""
            print(f"{name}: {value:g}{told}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
