"""Which files have changed since a revision, by asking git."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from casemate.model.errors import CasemateError

_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@^~{}-]{0,200}")
_SECONDS = 30
_MAX_FILES = 100_000


def changed_since(root: Path, revision: str) -> frozenset[str]:
    """Return the files under `root`, relative to it, that differ from a revision or are new.

    Nothing that the repository names is run: no hooks, no filters, no external diff.
    """
    if not _REVISION.fullmatch(revision):
        raise CasemateError(f"{revision[:80]!r} is no revision.")
    folder = root if root.is_dir() else root.parent
    changed = _git(
        folder,
        "diff",
        "--name-only",
        "-z",
        "--relative",
        "--no-ext-diff",
        "--no-textconv",
        "--end-of-options",
        revision,
        "--",
        ".",
    )
    new = _git(folder, "ls-files", "-z", "--others", "--exclude-standard", "--", ".")
    names = [name for name in (changed + new).split("\0") if name]
    return frozenset(names[:_MAX_FILES])


def _git(folder: Path, *arguments: str) -> str:
    command = [
        "git",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "diff.external=",
        "--no-pager",
        *arguments,
    ]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CasemateError(
            "git could not be asked for changes.", next_step="Is git installed?"
        ) from error
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip().split("\n")[0][:200]
        raise CasemateError(f"git does not tell what has changed: {reason}")
    return done.stdout.decode("utf-8", "surrogateescape")
