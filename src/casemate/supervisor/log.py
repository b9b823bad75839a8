"""The supervisor's own log."""

from __future__ import annotations

from casemate.child import log


def report(message: str) -> None:
    """Write a line of the supervisor's own log."""
    log.report("supervisor", message)
