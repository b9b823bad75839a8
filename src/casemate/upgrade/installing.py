"""Installs a release into an environment of its own, from its files alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from casemate.build.uv_process import uv_binary
from casemate.kernel.durability import sync_folder
from casemate.upgrade.errors import UpgradeError
from casemate.upgrade.release import Release
from casemate.upgrade.versions import COMPLETE, remove

_SECONDS = 600.0
_TOLD = 2000
"""Characters of what a program says that are shown."""
_HOME = "/nonexistent"
"""What the programs are told is their home: nothing is read there, and nothing written."""


def install(release: Release, environment: Path) -> None:
    """Make `environment` from a release. Raises UpgradeError, OSError.

    One that is there and complete, of the same release, is left as it is; what a killed upgrade
    has left is made anew.
    """
    if _is_complete(release, environment):
        return
    if os.path.lexists(environment):
        remove(environment)
    uv = str(uv_binary())
    # uv keeps a cache below the home otherwise, also for an environment without a package.
    common = ("--no-config", "--offline", "--no-cache", "--no-python-downloads", "--color", "never")
    base = getattr(sys, "_base_executable", "") or sys.executable
    _run(uv, "venv", *common, "--no-project", "--python", base, str(environment))
    listed = release.folder / "requirements.txt"
    listed.write_text(release.requirements(), encoding="utf-8")
    _run(
        *(uv, "pip", "install", *common, "--link-mode", "copy"),
        *("--no-index", "--find-links", str(release.folder), "--require-hashes"),
        *("--only-binary", ":all:", "--compile-bytecode"),
        *("--python", str(environment / "bin/python"), "--requirements", str(listed)),
    )
    told = _run(str(environment / "bin/python"), "-I", "-m", "casemate.cli.main", "--version")
    if told.split() != ["casemate", release.version]:
        raise UpgradeError(f"The installed version calls itself {told.strip()[:80]!r}.")
    # All of it is on disk before anything says that it is there.
    os.sync()
    (environment / COMPLETE).write_bytes(release.statement)
    os.sync()
    sync_folder(environment.parent)


def _is_complete(release: Release, environment: Path) -> bool:
    try:
        return (environment / COMPLETE).read_bytes() == release.statement
    except OSError:
        return False


def _run(*command: str) -> str:
    """Run a program with nothing of our environment; return its output. Raises UpgradeError."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            # Users of functions read the runner.
            umask=0o022,
            env={"PATH": "/usr/bin:/bin", "HOME": _HOME, "LANG": "C.UTF-8"},
            cwd="/",
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpgradeError(f"{Path(command[0]).name} cannot be run: {error}") from error
    if done.returncode:
        raise UpgradeError(
            f"The release cannot be installed: {(done.stderr or done.stdout).strip()[-_TOLD:]}",
            next_step="Get a release that has all wheels for this Python and this machine.",
        )
    return done.stdout
