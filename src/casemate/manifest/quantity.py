"""Sizes and durations as a manifest writes them: `"64MB"`, `"250ms"`."""

from __future__ import annotations

import re
from decimal import Decimal

SIZE_UNITS = {
    "KB": 1024,
    "KiB": 1024,
    "MB": 1024**2,
    "MiB": 1024**2,
    "GB": 1024**3,
    "GiB": 1024**3,
}
"""Bytes. `KB` and `KiB` are the same here, as memory is meant, not disk labels."""

DURATION_UNITS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
"""Seconds. A day is 24 hours, whatever clocks do."""

SIZE_PATTERN = r"^[0-9]{1,9}(?:\.[0-9]{1,10})? ?[KMG]i?B$"
DURATION_PATTERN = r"^[0-9]{1,9}(?:\.[0-9]{1,6})? ?(?:ms|s|m|h|d)$"

_SPLIT = re.compile(r"([0-9.]+) ?([A-Za-z]+)")


def parse_size(text: str) -> int | None:
    """Return the bytes that `text` stands for; None if it is no size or not whole bytes."""
    if not re.fullmatch(SIZE_PATTERN, text):
        return None
    number, unit = _split(text)
    size = number * SIZE_UNITS[unit]
    return int(size) if size == size.to_integral_value() else None


def parse_duration(text: str) -> float | None:
    """Return the seconds that `text` stands for; None if it is no duration."""
    if not re.fullmatch(DURATION_PATTERN, text):
        return None
    number, unit = _split(text)
    return float(number * DURATION_UNITS[unit])


def format_size(size: int) -> str:
    """Write `size` bytes with the largest unit that divides it: 262144 is `256KB`."""
    for unit in ("GB", "MB"):
        if size and size % SIZE_UNITS[unit] == 0:
            return f"{size // SIZE_UNITS[unit]}{unit}"
    return f"{_plain(Decimal(size) / SIZE_UNITS['KB'])}KB"


def format_duration(seconds: float) -> str:
    """Write `seconds` with the largest unit that divides it: 300.0 is `5m`, a day is `24h`."""
    exact = Decimal(str(seconds))
    if exact > DURATION_UNITS["d"] and exact % DURATION_UNITS["d"] == 0:
        return f"{_plain(exact / DURATION_UNITS['d'])}d"
    for unit in ("h", "m", "s"):
        if exact and exact % DURATION_UNITS[unit] == 0:
            return f"{_plain(exact / DURATION_UNITS[unit])}{unit}"
    return f"{_plain(exact / DURATION_UNITS['ms'])}ms"


def _split(text: str) -> tuple[Decimal, str]:
    match = _SPLIT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return Decimal(match[1]), match[2]


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
