"""Prints a table of all attempts, from `tests/`, as root or as an ordinary user:

python -m support.attempts [--accept-risk NAME] [CLASS ...]
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from pathlib import Path

from support.attempts import accepted
from support.node import TestNode

CLASSES = (
    *("kernel", "requests", "residue", "routes", "lines", "versions", "destroying", "proxy"),
    *("dry_runs", "history", "listener", "filling", "secret_reads"),
)


def main() -> None:
    """Try every attempt of some classes; print what worked, and how many there were."""
    parser = argparse.ArgumentParser(prog="python -m support.attempts")
    parser.add_argument("--accept-risk", action="append", default=[], metavar="NAME")
    parser.add_argument("classes", nargs="*", metavar="CLASS", choices=[*CLASSES, []])
    chosen = parser.parse_args()
    risks = [part for name in chosen.accept_risk for part in ("--accept-risk", name)]
    for name in chosen.classes or CLASSES:
        module = importlib.import_module(f"support.attempts.{name}")
        with tempfile.TemporaryDirectory() as folder:
            node = TestNode(
                Path(folder) / "data", *risks, *getattr(module, "ARGUMENTS", ())
            ).start()
            try:
                found = []
                for one in module.attempts(node):
                    found.append(one)
                    by = accepted(one.name, chosen.accept_risk)
                    worked = f"worked ({by})" if by else "WORKED"
                    print(
                        worked if one.worked else "failed",
                        name,
                        one.name,
                        "|",
                        one.told,
                        flush=True,
                    )
            finally:
                node.close()
        holes = [one for one in found if one.worked and not accepted(one.name, chosen.accept_risk)]
        print(f"{name}: {len(found)} attempts, {len(holes)} worked")


if __name__ == "__main__":
    main()
