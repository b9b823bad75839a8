"""What happened in a process and its forks, told to the process that it began in."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

MAX_TOLD = 16
"""Of each kind of thing that happened: one says as much as many."""
MAX_TEXT = 200
_PIECE = 64 * 1024


class Told:
    """Things by kind, each once. By a pipe: what a fork does would be lost in its own memory."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._seen: dict[str, list[Any]] = {}

    def note(self, kind: str, *texts: str) -> None:
        """Tell of something: a line is written whole, or not at all."""
        what = [text[:MAX_TEXT] for text in texts]
        known = self._seen.setdefault(kind, [])
        if what in known or len(known) >= MAX_TOLD:
            return
        known.append(what)
        line = json.dumps([kind, what]).encode() + b"\n"
        with contextlib.suppress(OSError):  # full, or closed by what is told of
            os.write(self._write, line)

    def of(self, kind: str) -> list[list[str]]:
        """Return what was told of a kind, here and in forks."""
        data = b""
        with contextlib.suppress(OSError):  # there is no more
            while piece := os.read(self._read, _PIECE):
                data += piece
        for line in data.splitlines():
            told, what = json.loads(line)
            known = self._seen.setdefault(told, [])
            if what not in known and len(known) < MAX_TOLD:
                known.append(what)
        return self._seen.get(kind, [])

    def close(self) -> None:
        """Hear of nothing more."""
        os.close(self._read)
        os.close(self._write)
