"""Where the demo keeps its files, and how it runs commands there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
HOME = ROOT / ".demo"
PROJECTS, OUT = HOME / "projects", HOME / "out"
BIN = Path(sys.executable).parent
CASEMATE, UV = str(BIN / "casemate"), str(BIN / "uv")


class DemoError(Exception):
    """Something did not go as it should."""


def say(text: str = "") -> None:
    """Print one line at once."""
    print(text, flush=True)


def environment(**added: str) -> dict[str, str]:
    """Return the environment of a command: ours without what chooses another node, and `added`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CASEMATE_")}
    path = f"{BIN}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, **added}


def run(
    command: Sequence[str | Path],
    cwd: Path,
    added: Mapping[str, str] | None = None,
    *,
    stdin: bytes = b"",
    whole: bool = False,
) -> str:
    """Run a command and return what it prints; if `whole`, its progress too, else that is shown."""
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=environment(**(added or {})),
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if whole else None,
    )
    if done.returncode:
        text = " ".join(map(str, command))
        raise DemoError(f"`{text}` in {cwd} ended with code {done.returncode}")
    return done.stdout.decode()
