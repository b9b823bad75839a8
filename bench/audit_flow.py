"""Measure the audit's data flow on a folder of programs whose answers are known.

    python -m bench.audit_flow FOLDER [--json] [--misses] [--half even|odd]

FOLDER has `expectedresults-*.csv` (name, category, whether it is vulnerable, CWE) and Python files,
of which each named there is one program; all others are code that they import. Prints for each
category the share of vulnerable programs found, that of the others found, and the difference
(Youden's index), and the mean over the categories of injection.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from casemate.audit.flow import WEAKNESSES, Limits, analyse, discover

INJECTIONS = frozenset((22, 78, 79, 89, 90, 94, 502, 601, 611, 643))
"""CWEs where data from outside becomes syntax or chooses what is read."""
TARGET = 70.0


class Score(NamedTuple):
    """How often a category's programs were found."""

    category: str
    cwe: int
    vulnerable: int
    found: int
    harmless: int
    wrong: int

    @property
    def youden(self) -> float:
        """Share found of the vulnerable less that of the harmless, in percent."""
        right = self.found / self.vulnerable if self.vulnerable else 0.0
        wrong = self.wrong / self.harmless if self.harmless else 0.0
        return 100 * (right - wrong)


class Program(NamedTuple):
    """One line of the answers."""

    name: str
    category: str
    vulnerable: bool
    cwe: int


def programs(folder: Path, half: str) -> list[Program]:
    """Return the programs of a folder, or every other one of them."""
    answers = next(iter(sorted(folder.glob("expectedresults*.csv"))), None)
    if answers is None:
        sys.exit(f"{folder} has no expectedresults*.csv")
    out = []
    with answers.open(newline="") as file:
        for row in csv.reader(file):
            if len(row) < 4 or row[0].startswith("#"):
                continue
            number = int("".join(sign for sign in row[0] if sign.isdigit()) or "0")
            if half and (number % 2 == 0) is not (half == "even"):
                continue
            out.append(Program(row[0], row[1], row[2].strip() == "true", int(row[3])))
    return out


def measure(folder: Path, half: str = "") -> tuple[list[Score], dict[str, list[str]], float]:
    """Return the scores, the programs told wrong by category, and the seconds it took."""
    wanted = programs(folder, half)
    names = {each.name for each in wanted}
    files = {
        str(path.relative_to(folder)): path.read_text(errors="replace")
        for path in sorted(folder.rglob("*.py"))
        if path.is_file()
    }
    entries = [each for each in discover(files) if Path(each.path).stem in names]
    began = time.process_time()
    analysis = analyse(files, entries, Limits(seconds=3600))
    spent = time.process_time() - began
    found: dict[str, set[int]] = defaultdict(set)
    for flow in analysis.flows:
        found[Path(flow.entry.path).stem].add(WEAKNESSES[flow.weakness].cwe)
    counts: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    wrong: dict[str, list[str]] = defaultdict(list)
    for each in wanted:
        told = each.cwe in found[each.name]
        count = counts[each.category, each.cwe]
        count[0 if each.vulnerable else 2] += 1
        count[1 if each.vulnerable else 3] += told
        if told is not each.vulnerable:
            wrong[each.category].append(f"{each.name} {'missed' if each.vulnerable else 'false'}")
    scores = [Score(*key, *count) for key, count in sorted(counts.items())]
    return scores, wrong, spent


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--misses", action="store_true", help="name the programs told wrong")
    parser.add_argument("--half", choices=("even", "odd"), default="")
    chosen = parser.parse_args()
    scores, wrong, spent = measure(chosen.folder, chosen.half)
    injections = [score.youden for score in scores if score.cwe in INJECTIONS]
    mean = sum(injections) / len(injections) if injections else 0.0
    every = sum(score.youden for score in scores) / len(scores) if scores else 0.0
    if chosen.json:
        rows = [{**score._asdict(), "youden": score.youden} for score in scores]
        print(json.dumps({"scores": rows, "mean": mean, "all": every, "seconds": spent}))
        return
    print(f"{'category':18} {'CWE':>5} {'TPR':>7} {'FPR':>7} {'Youden':>7}")
    for score in scores:
        right = 100 * score.found / max(score.vulnerable, 1)
        false = 100 * score.wrong / max(score.harmless, 1)
        print(
            f"{score.category:18} {score.cwe:5} {right:6.1f}% {false:6.1f}% {score.youden:7.1f}"
            f"   {score.found}/{score.vulnerable}, {score.wrong}/{score.harmless}"
        )
    print(f"mean of injection classes {mean:.1f} (target {TARGET:.0f}), of all {every:.1f}")
    print(f"{spent:.1f} s of processor time")
    if chosen.misses:
        for category, names in wrong.items():
            print(category, ", ".join(names))


if __name__ == "__main__":
    main()
