"""Prints a table of all attempts: `python -m support.attempts [CLASS ...]`, from `tests/`."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from support.node import TestNode

CLASSES = (
    *("kernel", "requests", "residue", "routes", "lines", "versions", "destroying", "proxy"),
    *("dry_runs", "history", "listener", "filling"),
)


def main(classes: list[str]) -> None:
    """Try every attempt of some classes; print what worked, and how many there were."""
    for name in classes or CLASSES:
        module = importlib.import_module(f"support.attempts.{name}")
        with tempfile.TemporaryDirectory() as folder:
            node = TestNode(Path(folder) / "data", *getattr(module, "ARGUMENTS", ())).start()
            try:
                found = []
                for one in module.attempts(node):
                    found.append(one)
                    print(
                        "WORKED" if one.worked else "failed",
                        name,
                        one.name,
                        "|",
                        one.told,
                        flush=True,
                    )
            finally:
                node.close()
        print(f"{name}: {len(found)} attempts, {sum(one.worked for one in found)} worked")


if __name__ == "__main__":
    main(sys.argv[1:])
