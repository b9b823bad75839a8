"""The standard input of processes, watched as it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class WatchedPipe:
    """The standard input of a process that runs what it reads."""

    def __init__(self, pipe: Any, before: Callable[[object], None]) -> None:
        """Have `before` called with what is written to `pipe`."""
        self._pipe = pipe
        self._before = before

    def write(self, data: Any) -> Any:
        """Write what was looked at."""
        self._before(data)
        return self._pipe.write(data)

    def writelines(self, lines: Any) -> None:
        """Write one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Be the pipe in all else."""
        return getattr(self._pipe, name)

    def __enter__(self) -> WatchedPipe:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the pipe."""
        self._pipe.close()
