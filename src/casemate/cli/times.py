"""Times as people give them on the command line."""

from __future__ import annotations

import re
import time
from datetime import datetime

from casemate.cli.errors import UsageError

_AGO = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(text: str) -> int | None:
    """Return the seconds of `90s`, `10m`, `2h` or `7d`; None for what is no such text."""
    found = _AGO.fullmatch(text)
    return None if found is None else int(found[1]) * _SECONDS[found[2]]


def span_of(text: str, option: str) -> int:
    """Return the seconds that an option means. Raises UsageError."""
    found = seconds_of(text)
    if found is None:
        raise UsageError(
            f"{option} is {text!r}, expected a time such as `90s`, `10m`, `2h` or `7d`."
        )
    return found


def lasting(text: str) -> int:
    """Return the seconds that `--for` means. Raises UsageError."""
    found = seconds_of(text)
    if found is None:
        raise UsageError(f"--for is {text!r}.", next_step="Such as: --for 10m, or --for 2h.")
    return found


def moment_of(text: str | None, option: str) -> float | None:
    """Return the Unix time that an option means; None for None.

    `90s`, `10m`, `2h` and `7d` are that long ago; everything else is a date or time as ISO 8601
    writes it, in the local zone unless it names one. Raises UsageError.
    """
    if text is None:
        return None
    ago = seconds_of(text)
    if ago is not None:
        return round(max(0.0, time.time() - ago), 3)
    try:
        found = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"{option} is {text!r}, expected how long ago, or a time.",
            next_step=f"Such as: {option} 10m, or {option} '2026-01-31 12:00'.",
        ) from error
    return round(max(0.0, found), 3)
