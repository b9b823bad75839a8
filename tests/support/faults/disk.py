"""Calls of a process under test that fail on chosen files: a library that is preloaded into it."""

from __future__ import annotations

import errno
import mmap
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntFlag
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("faults.c")
_RULE = struct.Struct("=IIIIQQII88s")
_RULES = 8
SHORT = 10_000
"""In place of an error: half of what is given is written."""


class Operation(IntFlag):
    """What can fail; the numbers are those of faults.c."""

    READ = 1
    WRITE = 2
    SYNC = 4
    OPEN = 8
    TRUNCATE = 16
    NAME = 32


def built(folder: Path) -> Path:
    """Return the library, compiled into `folder`. Skips where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: scripts/bootstrap test installs gcc and libc6-dev")
    library = folder / "faults.so"
    if not library.exists():
        done = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return library


class DiskFaults:
    """Rules that processes with `environment` obey, from the moment at which they are set."""

    def __init__(self, folder: Path) -> None:
        """Build the library and the file of rules in `folder`."""
        self._library = built(folder)
        control = folder / "control"
        control.write_bytes(bytes(_RULE.size * _RULES))
        with control.open("r+b") as file:
            self._rules = mmap.mmap(file.fileno(), _RULE.size * _RULES)
        self.environment = {"LD_PRELOAD": str(self._library), "FAULTS_CONTROL": str(control)}

    def begin(
        self,
        match: str,
        operations: Operation,
        *,
        error: int = errno.EIO,
        every: int = 1,
        most: int = 0,
        rule: int = 0,
    ) -> None:
        """Let every n-th such call on a file whose path contains `match` fail, `most` times."""
        values = _RULE.pack(
            1, int(operations), error, every, 0, 0, most, 0, match.encode().ljust(88, b"\0")
        )
        self._rules[rule * _RULE.size : (rule + 1) * _RULE.size] = values

    def end(self, rule: int = 0) -> int:
        """Let the calls work again; return how many have failed."""
        (hits,) = struct.unpack_from("=Q", self._rules, rule * _RULE.size + 24)
        self._rules[rule * _RULE.size : (rule + 1) * _RULE.size] = bytes(_RULE.size)
        return int(hits)

    @contextmanager
    def failing(self, match: str, operations: Operation, **rest: int) -> Iterator[None]:
        """Let calls fail inside the block."""
        self.begin(match, operations, **rest)
        try:
            yield
        finally:
            self.end()
