"""The command: `python -m bench [--quick] [--only NAME,...] [--json FILE]`.

Exit codes: 0 everything asked for was measured, whether or not targets were met; 1 something
could not be measured or Casemate gave a wrong answer; 2 wrong usage or a missing program;
130 interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import msgspec

from bench import report
from bench.environment import check_tools
from bench.errors import BenchError
from bench.processes import adopt_orphans, clear_leftovers
from bench.run import Run, names
from bench.settings import QUICK, Settings


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    found = argparse.ArgumentParser(prog="python -m bench", description="Measure side by side.")
    found.add_argument("--quick", action="store_true", help="one short round, under 6 minutes")
    found.add_argument("--rounds", type=int, metavar="N", help="interleaved rounds (default 3)")
    found.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    found.add_argument("--only", default="", metavar="NAME,...", help=f"of: {', '.join(names())}")
    return found


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # a second one must not interrupt the cleaning up
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Run and report; return the exit code."""
    grammar = parser()
    chosen = grammar.parse_args(arguments)
    only = {name for name in chosen.only.split(",") if name}
    if unknown := only - set(names()):
        grammar.error(f"--only got {', '.join(sorted(unknown))}; known are {', '.join(names())}")
    if chosen.rounds is not None and not 1 <= chosen.rounds <= 20:
        grammar.error(f"--rounds got {chosen.rounds}; 1 to 20 is expected")
    settings = QUICK if chosen.quick else Settings()
    if chosen.rounds:
        settings = msgspec.structs.replace(settings, rounds=chosen.rounds)
    try:
        check_tools()
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    adopt_orphans()
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    begun = time.monotonic()

    def say(line: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - begun:5.0f} s] {line}\n")
        sys.stderr.flush()

    run = Run(settings, only, say)
    code = 0
    try:
        run.execute()
    except KeyboardInterrupt:
        code = 130
        say("interrupted; what was measured so far:")
    finally:
        run.results.leftovers = clear_leftovers()
    sys.stdout.write(report.text(run.results) + "\n")
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_bytes(report.as_json(run.results))
    wrong = any(c.failed for c in run.results.cells if c.target.startswith("casemate"))
    return code or int(bool(run.results.not_measured or run.results.leftovers or wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
