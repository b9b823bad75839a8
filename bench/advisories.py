"""Measure advisories: an import, what a gate at deploy asks, and judging many bundles again.

    python -m bench.advisories [--json] [--advisories N] [--bundles N]

Records are made up, of the size and spread of real ones, and imported as a folder's archive. The
gate is a process of its own that opens the database and judges 40 packages; judging again is
one process that judges 40 packages of each bundle, out of all packages and ten versions of each.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from bench.figures import percentile
from casemate.advisories import Database, Ecosystem, Judge, Package, Place
from casemate.advisories.importing import Wanted, import_advisories

TARGETS = {"gate_p50_ms": 200.0, "rejudge_cpu_s": 10.0}
PACKAGES = 40
"""Of one bundle."""
_PER_PACKAGE = 5
"""Advisories of one package, on average."""
_GATES = 15
_GATE = """
import sys, time
from pathlib import Path
began, spent = time.perf_counter(), time.process_time()
from casemate.advisories import Ecosystem, Package, Place, judge
packages = [
    Package(ecosystem=Ecosystem.PYPI, name=name, version="1.4.0") for name in sys.argv[2:]
]
found = judge(packages, Place(Path(sys.argv[1])))
assert not found.problems
print((time.perf_counter() - began) * 1000, (time.process_time() - spent) * 1000)
"""


def _record(number: int, chosen: random.Random, names: int) -> dict[str, object]:
    ecosystem = "PyPI" if number % 2 else "npm"
    major = chosen.randrange(10)
    events = [{"introduced": "0"}, {"fixed": f"{major}.{chosen.randrange(9)}.0"}]
    if number % 3 == 0:
        events += [{"introduced": f"{major + 1}.0.0"}, {"fixed": f"{major + 1}.2.0"}]
    return {
        "schema_version": "1.6.0",
        "id": f"GHSA-{number}",
        "modified": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "aliases": [f"CVE-2024-{number}"],
        "summary": "Something can be done by somebody to something " + "x" * 40,
        "details": "It is like this. " * chosen.randrange(20, 120),
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:L/A:N"}],
        "affected": [
            {
                "package": {"ecosystem": ecosystem, "name": f"p{chosen.randrange(names)}"},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
                "versions": [f"{major}.{n}.{n % 3}" for n in range(10)] if number % 2 else [],
            }
        ],
        "references": [
            {"type": "WEB", "url": f"https://example.com/{number}/{n}"} for n in range(5)
        ],
    }


def _archive(path: Path, count: int, names: int) -> None:
    chosen = random.Random(1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(count):
            archive.writestr(f"{number}.json", json.dumps(_record(number, chosen, names)))


def _gate(place: Place, names: int) -> list[list[float]]:
    chosen = random.Random(2)
    took = []
    for _ in range(_GATES):
        packages = [f"p{chosen.randrange(names)}" for _ in range(PACKAGES)]
        done = subprocess.run(
            [sys.executable, "-c", _GATE, str(place.folder), *packages],
            check=True,
            stdout=subprocess.PIPE,
            timeout=60,
        )
        took.append([float(each) for each in done.stdout.split()])
    return [sorted(each) for each in zip(*took, strict=True)]


def _bundles(count: int, names: int) -> list[tuple[Package, ...]]:
    chosen = random.Random(3)
    return [
        tuple(
            Package(
                ecosystem=Ecosystem.PYPI,
                name=f"p{int(names * chosen.random() ** 3)}",
                version=f"{chosen.randrange(10)}.4.0",
            )
            for _ in range(PACKAGES)
        )
        for _ in range(count)
    ]


def measure(advisories: int, bundles: int) -> dict[str, float]:
    """Return the figures."""
    names = max(advisories // _PER_PACKAGE // 2, 1)
    with tempfile.TemporaryDirectory() as temporary:
        archive, place = Path(temporary, "all.zip"), Place(Path(temporary, "place"))
        _archive(archive, advisories, names)
        began = time.perf_counter()
        import_advisories(Wanted(source=str(archive)), place)
        imported = time.perf_counter() - began
        gates = _gate(place, names)
        wanted = _bundles(bundles, names)
        began, spent = time.perf_counter(), time.process_time()
        with Database(place.database) as database:
            found = sum(len(holes) for holes, _ in Judge(database).judge_all(wanted))
        again, spent = time.perf_counter() - began, time.process_time() - spent
        return {
            "advisories": advisories,
            "bundles": bundles,
            "database_mb": round(place.database.stat().st_size / 1e6, 1),
            "import_s": round(imported, 2),
            "gate_p50_ms": round(percentile(gates[0], 0.5), 1),
            "gate_cpu_p50_ms": round(percentile(gates[1], 0.5), 1),
            "gate_max_ms": round(gates[0][-1], 1),
            "rejudge_s": round(again, 4),
            "rejudge_cpu_s": round(spent, 2),
            "findings": found,
        }


def main() -> None:
    """Measure and print; the exit code is 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.advisories")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--advisories", type=int, default=250_000)
    parser.add_argument("--bundles", type=int, default=10_000)
    options = parser.parse_args()
    figures = measure(options.advisories, options.bundles)
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
