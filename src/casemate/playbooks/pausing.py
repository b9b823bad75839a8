"""Projects that playbooks leave alone for a while. Not kept: a node that starts acts."""

from __future__ import annotations

import asyncio
from typing import NamedTuple


class _Pause(NamedTuple):
    until: float
    """By the loop's clock."""
    reason: str


class Pauses:
    """By project. On an event loop only."""

    def __init__(self) -> None:
        """Begin with none."""
        self._of: dict[str, _Pause] = {}

    def put(self, project: str, seconds: int, reason: str) -> None:
        """Leave a project alone for so long; 0 ends it."""
        now = asyncio.get_running_loop().time()
        self._of = {name: each for name, each in self._of.items() if each.until > now}
        self._of.pop(project, None)
        if seconds:
            self._of[project] = _Pause(now + seconds, reason)

    def why(self, project: str) -> str:
        """Return why a project is left alone; empty: it is not."""
        found = self._of.get(project)
        if found is None or found.until <= asyncio.get_running_loop().time():
            return ""
        return f"playbooks were paused: {found.reason}"
