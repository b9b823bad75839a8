"""Measure what the sink guard costs, with it and without it, in turns.

    python -m bench.guard [--rounds N] [--json FILE]

Each figure is the median of the rounds; each round starts a new process for each side. Exit codes:
0 measured, whether or not targets are met; 1 something could not be measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from bench.figures import rotated

_CHILD = Path(__file__).with_name("guard_child.py")
_SECONDS = 120
_EVENT = {
    "name": "Ada Lovelace",
    "city": "London",
    "sort": "id",
    "http": {"headers": {f"x-header-{n}": f"value {n}; q=0.{n}" for n in range(12)}},
    "body": json.dumps({"note": "some text of an order", "items": [f"item {n}" for n in range(8)]}),
}
HANDLERS = """
import json
import sqlite3

DB = sqlite3.connect(":memory:")
DB.execute("CREATE TABLE users (id INTEGER, name TEXT, city TEXT)")
DB.execute("INSERT INTO users VALUES (1, 'Ada Lovelace', 'London')")
SORTS = {"id", "name"}


def plain(event):
    lines = [f"Hello {event['name']} of {event['city']}!"]
    for header, value in event["http"]["headers"].items():
        lines.append(header.lower() + ": " + value)
    return json.dumps({"text": "\\n".join(lines), "count": len(lines)})


def parameters(event):
    return DB.execute(
        "SELECT id, name, city FROM users WHERE name = ? AND city = ? ORDER BY id LIMIT 10",
        (event["name"], event["city"]),
    ).fetchall()


def composed(event):
    if event["sort"] not in SORTS:
        raise ValueError(event["sort"])
    statement = "SELECT id, name, city FROM users WHERE name = ? AND city = ?"
    statement += f" ORDER BY {event['sort']} LIMIT 10"
    return DB.execute(statement, (event["name"], event["city"])).fetchall()


def literal(event):
    name = event["name"].replace("'", "''")
    return DB.execute(
        f"SELECT id, name, city FROM users WHERE name = '{name}' ORDER BY id LIMIT 10"
    ).fetchall()
"""
_MEASURED = {
    "handler that touches no sink": "invoke:plain",
    "SQL with parameters": "later:parameters",
    "SQL put together, checked": "later:composed",
    "SQL with an escaped literal": "later:literal",
    "first SQL of an invocation, put together": "invoke:composed",
    "import of 300 lines": "import:bench_long",
    "import of pandas": "import:pandas",
}
TARGET_SQL_US = 100.0
TARGET_IMPORT_RATIO = 1.10
INVOKE_PATH_US = 1500.0
"""The target of the whole invoke path, of which 5 % may go to the guard."""


class Figure(msgspec.Struct, frozen=True):
    """Medians in microseconds."""

    off: float
    on: float

    @property
    def added(self) -> float:
        """Microseconds that the guard adds."""
        return self.on - self.off


def _long_module() -> str:
    """Return a module as handlers are: some text work, some of everything else."""
    block = HANDLERS.split("\n\n\ndef plain", 1)[1].partition("def parameters")[0]
    functions = [f"def plain{n}" + block for n in range(30)]
    return "import json\n\n\n" + "\n".join(functions)


def _measure(mode: str, what: str, folder: Path) -> float:
    # The event's data is no code; its interpreter is ours.
    command = [sys.executable, str(_CHILD), mode, what, str(folder), json.dumps(_EVENT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    return float(json.loads(done.stdout)) * 1e6


def measure(rounds: int) -> dict[str, Figure]:
    """Return all figures."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "bench_handlers.py").write_text(HANDLERS)
        (folder / "bench_long.py").write_text(_long_module())
        found: dict[str, dict[str, list[float]]] = {}
        for number in range(rounds):
            for name, what in _MEASURED.items():
                for mode in rotated(["off", "on"], number):
                    taken = _measure(mode, what, folder)
                    found.setdefault(name, {}).setdefault(mode, []).append(taken)
    return {
        name: Figure(statistics.median(sides["off"]), statistics.median(sides["on"]))
        for name, sides in found.items()
    }


def report(figures: dict[str, Figure]) -> str:
    """Return the figures as a table, with targets."""
    lines = ["| | off, us | on, us | added, us |", "|---|---|---|---|"]
    lines += [f"| {n} | {f.off:.1f} | {f.on:.1f} | {f.added:.1f} |" for n, f in figures.items()]
    plain = figures["handler that touches no sink"].added / INVOKE_PATH_US
    sql = max(f.added for name, f in figures.items() if name.startswith("SQL"))
    ratio = figures["import of pandas"].on / figures["import of pandas"].off
    lines += [
        "",
        f"no sink: {plain:.1%} of the invoke path (target 5 %)",
        f"a typical SQL call: {sql:.0f} us (target {TARGET_SQL_US:.0f})",
        f"import of pandas: {ratio:.2f} x (target {TARGET_IMPORT_RATIO:.2f})",
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m bench.guard", description=__doc__)
    grammar.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds (default 5)")
    grammar.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    chosen = grammar.parse_args(arguments)
    if not 1 <= chosen.rounds <= 50:
        grammar.error(f"--rounds got {chosen.rounds}; 1 to 50 is expected")
    try:
        figures = measure(chosen.rounds)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        sys.stderr.write(f"could not be measured: {error}\n")
        return 1
    print(report(figures))
    if chosen.json is not None:
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
