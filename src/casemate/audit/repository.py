"""Asks git about a repository that may be hostile: nothing that it names is run.

A repository comes with a configuration of its own, which can name programs for nearly everything.
Each that could be reached by what is asked here is switched off by name, nothing is fetched, and
only plumbing is used. Answers are bounded in bytes and time.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple

from casemate.model.errors import CasemateError

SECONDS = 30.0
"""For one answer."""
MAX_BYTES = 64 << 20
"""Of one answer."""
_OFF = (
    *("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.attributesFile=/dev/null"),
    *("diff.external=", "diff.orderFile=/dev/null", "diff.ignoreSubmodules=all"),
    *("log.showSignature=false", "gpg.program=false", "gpg.ssh.program=false"),
    *("gpg.x509.program=false", "credential.helper=", "core.sshCommand=false", "core.gitProxy="),
    *("core.askPass=", "core.alternateRefsCommand=", "protocol.allow=never"),
    *("submodule.recurse=false", "safe.bareRepository=explicit", "maintenance.auto=false"),
    *("gc.auto=0", "core.pager=cat", "core.editor=false"),
)
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_REPLACE_OBJECTS": "1",
}


class Answer(NamedTuple):
    """What git has printed."""

    data: bytes
    whole: bool
    """False where there was more than was taken."""

    @property
    def names(self) -> list[str]:
        """Return the names in it, which end with a zero byte."""
        text = self.data.decode("utf-8", "surrogateescape")
        return [name for name in text.split("\0") if name]


class GitError(CasemateError):
    """Git does not tell."""


def ask(
    folder: Path,
    *arguments: str,
    more: Mapping[str, str] | None = None,
    given: bytes = b"",
    none_found: int = 0,
    seconds: float = SECONDS,
    most: int = MAX_BYTES,
) -> Answer:
    """Return what git prints in a folder; it may also end with the code `none_found`.

    `more` is put into its environment, `given` is its input. Raises GitError.
    """
    off = [word for setting in _OFF for word in ("-c", setting)]
    command = ["git", *off, "--no-pager", *arguments]
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(given)
        asked.seek(0)
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **_ENVIRONMENT, **(more or {})},
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=said,
            )
        except OSError as error:
            raise GitError("git could not be run.", next_step="Is git installed?") from error
        return _answer(process, said, none_found, seconds, most)


def _answer(
    process: subprocess.Popen[bytes], said: IO[bytes], none_found: int, seconds: float, most: int
) -> Answer:
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        with process:
            data = process.stdout.read(most + 1) if process.stdout is not None else b""
            whole = len(data) <= most
            if not whole:
                process.kill()
            code = process.wait()
    finally:
        timer.cancel()
    if late.is_set():
        raise GitError(f"git did not answer within {seconds:g} s.")
    if whole and code not in (0, none_found):
        said.seek(0)
        reason = said.read(4096).decode("utf-8", "replace").strip().split("\n")[0][:200]
        raise GitError(
            f"git reports: {reason}",
            next_step="Is the folder in a repository that has the revision? A shallow clone lacks "
            "older commits: fetch them with `git fetch --unshallow`.",
        )
    return Answer(data[:most], whole)
