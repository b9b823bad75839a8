"""Durations for people, as short as they can be in a column."""

from __future__ import annotations


def short_seconds(seconds: float | None) -> str:
    """Return `0.8ms`, `120ms`, `1.5s`, `4m`, `3h`, `2d`; `-` for none."""
    if seconds is None:
        return "-"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f}ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    for unit, letter, most in ((60, "m", 60), (3600, "h", 48)):
        if seconds < unit * most:
            return f"{seconds / unit:.0f}{letter}"
    return f"{seconds / 86400:.0f}d"
