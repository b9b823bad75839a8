"""What the commands that measure rounds of running nodes have in common."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.processes import adopt_orphans, clear_leftovers


def grammar(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return the command line's grammar: seconds and rounds, and a file for the figures."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=description)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    return parser


def report(
    measure: Callable[[], dict[str, Any]],
    text: Callable[[dict[str, Any]], str],
    file: Path | None,
) -> int:
    """Measure, print and write the figures; return the exit code: 0 measured, 1 not."""
    adopt_orphans()
    try:
        result = measure()
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        clear_leftovers()
    sys.stdout.write(text(result) + "\n")
    if file:
        file.write_text(json.dumps(result, indent=2), "utf-8")
    return 0
