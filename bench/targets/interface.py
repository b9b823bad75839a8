"""The interface of a target: one platform serving one handler."""

from __future__ import annotations

from typing import Protocol

from bench.client import Endpoint
from bench.processes import ProcessId


class Target(Protocol):
    """One platform with one handler, started and stopped once in each round."""

    @property
    def name(self) -> str:
        """Return the platform's name, as in the tables."""
        ...

    @property
    def handler(self) -> str:
        """Return `plain` or `tables`."""
        ...

    @property
    def isolation(self) -> str:
        """Return in a few words what separates one call from the next."""
        ...

    @property
    def endpoint(self) -> Endpoint:
        """Return where to call it; valid once started."""
        ...

    def prepare(self) -> None:
        """Install, build, deploy: whatever comes before a start and is not timed."""
        ...

    def start(self) -> float:
        """Start it; return milliseconds from the start of its process to its first right answer.

        Raises StartError.
        """
        ...

    def processes(self) -> list[ProcessId]:
        """Return all its processes."""
        ...

    def processor_seconds(self) -> dict[str, float]:
        """Return the seconds on a processor of its processes, by their kind."""
        ...

    def stop(self) -> None:
        """End it with all its processes. Stopping twice is fine."""
        ...
