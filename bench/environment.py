"""The peers' own environments below `bench/.peers`, installed from hashed, pinned lists.

functions-framework and func-python need different major versions of cloudevents, so they cannot
share one environment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from bench.errors import PeerInstallError, ToolMissingError
from casemate.build import RuntimeStatus, find_interpreters

BENCH = Path(__file__).resolve().parent
SOURCES = BENCH / "peers_src"
PEERS = BENCH / ".peers"
HANDLERS = "handlers"
"""The environment with nothing but what the handlers need."""
INTERPRETER = [
    i
    for i in find_interpreters(today=date.today(), environ=os.environ)
    if i.status is not RuntimeStatus.ENDED
][-1]
"""What all of them run on: the interpreter that Casemate takes where a manifest names none."""
TOOLS = {"bwrap": "bubblewrap", "wrk": "wrk"}


def check_tools() -> None:
    """Raise ToolMissingError, naming the packages to install, unless every program is there."""
    missing = [package for program, package in TOOLS.items() if not shutil.which(program)]
    if missing:
        raise ToolMissingError(
            f"Not installed: {', '.join(missing)}.",
            next_step=f"Run `make bench`, or `apt-get install {' '.join(missing)}`.",
        )


def _run(command: list[str], what: str) -> None:
    # the whole environment: it may hold what the package index is reached with
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise PeerInstallError(
            f"{what} failed with exit code {result.returncode}: {result.stderr.strip()[-2000:]}",
            next_step="Check the connection to the package index, then run this again.",
        )


def uv() -> str:
    """Return the path of uv. Raises ToolMissingError."""
    own = Path(sys.prefix) / "bin" / "uv"
    found = str(own) if own.exists() else shutil.which("uv")
    if not found:
        raise ToolMissingError(next_step="Install Casemate's own environment, which holds uv.")
    return found


class Environments:
    """Installs each peer's environment and code once in a run."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` is told of each installation."""
        self._say = say
        self._failed: dict[str, str] = {}
        self._apps: dict[str, Path] = {}

    def python(self, name: str) -> Path:
        """Return the interpreter of a peer's environment, installing it first where needed.

        An environment counts as installed only if it was completed from the very list and
        interpreter that are there now. Raises PeerInstallError.
        """
        if name in self._failed:
            raise PeerInstallError(self._failed[name])
        folder = PEERS / name
        requirements = SOURCES / name / "requirements.txt"
        origin = requirements.read_bytes() + INTERPRETER.version.encode()
        wanted = hashlib.sha256(origin).hexdigest()
        mark = folder / "complete"
        if not (mark.exists() and mark.read_text("ascii") == wanted):
            self._say(f"installing {name}")
            try:
                _install(folder, requirements)
            except PeerInstallError:
                self._failed[name] = f"{name} could not be installed; see above."
                raise
            mark.write_text(wanted, "ascii")
        return folder / "bin" / "python"

    def app(self, adapter: str, handler: str, python: Path) -> Path:
        """Return a folder with an adapter and a handler (as handler.py), compiled, once a run."""
        folder = PEERS / "apps" / f"{adapter}-{handler}"
        if folder.name not in self._apps:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for source in (SOURCES / adapter).glob("*.py"):
                shutil.copy(source, folder)
            shutil.copy(SOURCES / HANDLERS / f"{handler}.py", folder / "handler.py")
            _run([str(python), "-m", "compileall", "-q", str(folder)], f"compiling {folder.name}")
            self._apps[folder.name] = folder
        return folder


def _install(folder: Path, requirements: Path) -> None:
    command, python = uv(), str(folder / "bin" / "python")
    make = [command, "venv", "--quiet", "--clear", "--python", str(INTERPRETER.path), str(folder)]
    _run(make, f"making {folder.name}")
    install = [command, "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
    install += ["--compile-bytecode", "--python", python, "-r", str(requirements)]
    _run(install, f"installing {folder.name}")


def site_packages(python: Path) -> Path:
    """Return the folder of an environment's packages."""
    return python.parent.parent / "lib" / f"python{INTERPRETER.minor}" / "site-packages"
