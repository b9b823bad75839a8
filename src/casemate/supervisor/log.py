"""The supervisor's own log."""

from __future__ import annotations

import sys
from datetime import UTC, datetime


def report(message: str) -> None:
    """Write a line of the supervisor's own log."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"{stamp} supervisor: {message}", file=sys.stderr, flush=True)
