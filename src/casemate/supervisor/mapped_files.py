"""Notices that what zygotes run with was replaced on disk: an interpreter, or a library of it.

What a base zygote has mapped stays what it was, patched or not, and so in all that is forked from
it. So its executable mappings are looked up once (proc_pid_maps(5)), and the files at these paths
compared with what they were, every minute, in a thread: a disk that hangs holds nothing up.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from casemate.sandbox.layouts import Layout

LOOK_SECONDS = 60.0
_MAX_BYTES = 1 << 20
_MAX_CHILDREN = 4096
_DELETED = " (deleted)"
Identity = tuple[int, int, int, int] | None


class Changed(NamedTuple):
    """A base zygote whose files are not what they were, and which."""

    layout: Layout
    files: set[str]


def identity(path: str) -> Identity:
    """Return what tells a file from what takes its place; None where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def mapped(pid: int) -> tuple[set[str], set[str]]:
    """Return the host's files that a process runs code of, and those replaced already. OSError.

    Those that the host has at no such path are the sandbox's own.
    """
    with Path(f"/proc/{pid}/maps").open("rb") as file:
        text = file.read(_MAX_BYTES)
    lines = (line.split(maxsplit=5) for line in text.splitlines())
    code = (parts[5] for parts in lines if len(parts) == 6 and b"x" in parts[1])
    paths = {os.fsdecode(path) for path in code if path.startswith(b"/")}
    there = {path.removesuffix(_DELETED) for path in paths if path.endswith(_DELETED)}
    replaced = {path for path in there if identity(path) is not None}
    return {path for path in paths if identity(path) is not None}, replaced


def interpreter_of(bubblewrap: int) -> int:
    """Return the process in a sandbox that bubblewrap's first process waits for. OSError."""
    pid = bubblewrap
    for _ in range(2):  # its own init in the sandbox, then what that runs
        with Path(f"/proc/{pid}/task/{pid}/children").open("rb") as file:
            children = file.read(_MAX_CHILDREN).split()
        if not children:
            raise ProcessLookupError("the base zygote has no process of its own")
        pid = int(children[0])
    return pid


class MappedFiles:
    """Looks after the base zygotes of a node; see `look`."""

    def __init__(self) -> None:
        """Know of none yet."""
        self._known: dict[Layout, dict[str, Identity]] = {}
        self._thread: threading.Thread | None = None
        self._found: list[Changed] = []
        self._next = 0.0

    def look(self, layouts: Iterable[Layout], now: float) -> list[Changed]:
        """Return what the last look has found; begin another when it is time. Never waits.

        One that was found to be outdated is not looked at any more.
        """
        if self._thread is not None:
            if self._thread.is_alive():
                return []
            self._thread = None
            found, self._found = self._found, []
            return found
        if now < self._next:
            return []
        self._next = now + LOOK_SECONDS
        wanted = [one for one in layouts if one.base.ready and not one.outdated]
        self._known = {one: known for one, known in self._known.items() if one in wanted}
        if wanted:
            self._thread = threading.Thread(target=self._look_at, args=(wanted,), daemon=True)
            self._thread.start()
        return []

    def _look_at(self, layouts: list[Layout]) -> None:
        for layout in layouts:
            try:
                files = self._changed(layout)
            except OSError:
                continue  # it has ended, which is seen elsewhere, or this host does not tell
            if files:
                self._found.append(Changed(layout, files))

    def _changed(self, layout: Layout) -> set[str]:
        known = self._known.get(layout)
        if known is not None:
            return {path for path, before in known.items() if identity(path) != before}
        paths, replaced = mapped(interpreter_of(layout.base.process.pid))
        self._known[layout] = {path: identity(path) for path in paths}
        return replaced
