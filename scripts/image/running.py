"""Running the programs that an image is made with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.image.errors import ImageError

ROOT = Path(__file__).resolve().parents[2]
UV = str(ROOT / ".venv/bin/uv")
_SECONDS = 600


def run(
    command: Sequence[str | Path], added: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> bytes:
    """Return what a command prints. Raises ImageError, with the end of what it said."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(added or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise ImageError(f"There is no program {command[0]}. Next: install it.") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"`{command[0]}` was not done after {_SECONDS} s.") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-2000:]
        words = " ".join(map(str, command))[:300]
        raise ImageError(f"`{words}` ended with code {done.returncode}:\n{said}")
    return done.stdout
