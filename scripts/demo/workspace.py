"""Where the demo keeps its files, and how it runs commands there."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
HOME = ROOT / ".demo"
PROJECTS, OUT = HOME / "projects", HOME / "out"
BIN = Path(sys.executable).parent
CASEMATE, UV = str(BIN / "casemate"), str(BIN / "uv")


QUIET_SECONDS = 4.5
"""After so long without a word it is said what goes on."""


class DemoError(Exception):
    """Something did not go as it should."""


def say(text: str = "") -> None:
    """Print one line at once."""
    print(text, flush=True)


@contextlib.contextmanager
def telling(what: str) -> Iterator[None]:
    """Say every few seconds that something still goes on, for as long as it does."""
    ended, began = threading.Event(), time.monotonic()

    def tell() -> None:
        with contextlib.suppress(OSError):  # whoever reads it has gone: the next line notices
            while not ended.wait(QUIET_SECONDS):
                say(f"    ... {what}, for {time.monotonic() - began:.0f} s")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


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
    name, *arguments = map(str, command)
    with telling(f"{Path(name).name} {' '.join(arguments[:1])} in {cwd.name}"):
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
