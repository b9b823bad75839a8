"""What a handler measures itself, added up until the answer goes, with which it travels."""

from __future__ import annotations

import json
import math
from typing import Any

from . import wire

MAX_NAMES = 32
"""Names of one invocation; a function has as many in all."""
_MAX_NAME, _MAX_UNIT = 63, 16
_LARGEST = 1e300
_FIRST = "abcdefghijklmnopqrstuvwxyz"
_NAME = _FIRST + "0123456789_"
_UNIT = _NAME + _FIRST.upper() + "%/.-"
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class Measures:
    """Those of one invocation after the other."""

    __slots__ = ("_told", "guard_us")

    def __init__(self) -> None:
        """Start with none."""
        self._told: dict[str, list[Any]] = {}
        self.guard_us: int | None = None
        """Microseconds inside the sink guard's hooks, where that was sampled."""

    def add(self, name: str, value: float, unit: str | None) -> None:
        """Add one. Raises ValueError for what cannot be told."""
        if (
            not isinstance(name, str)
            or not 1 <= len(name) <= _MAX_NAME
            or name[0] not in _FIRST
            or name.strip(_NAME)
        ):
            raise ValueError(
                f"the name of a metric is {name!r:.80}; expected a lower-case letter, then up to "
                f"{_MAX_NAME - 1} of a-z, 0-9 and _"
            )
        unit = "" if unit is None else unit
        if not isinstance(unit, str) or len(unit) > _MAX_UNIT or unit.strip(_UNIT):
            raise ValueError(
                f"the unit of the metric {name} is {unit!r:.40}; expected up to {_MAX_UNIT} of "
                "a-z, A-Z, 0-9 and _%/.-"
            )
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            number = math.inf
        if not math.isfinite(number) or abs(number) > _LARGEST:
            raise ValueError(f"the metric {name} is {number}; expected a finite number")
        self._put(name, unit, number)

    def _put(self, name: str, unit: str, number: float) -> None:
        told = self._told.get(name)
        if told is None:
            if len(self._told) >= MAX_NAMES:
                raise ValueError(
                    f"{name} is one metric too many; a function has at most {MAX_NAMES} names"
                )
            self._told[name] = [name, unit, 1, number, number, number]
            return
        _, _, count, total, least, most = told
        total += number
        if abs(total) > _LARGEST:
            raise ValueError(f"the metric {name} adds up to more than {_LARGEST}")
        told[2:] = [count + 1, total, min(least, number), max(most, number)]

    def clear(self) -> None:
        """Begin another invocation."""
        self.guard_us = None
        if self._told:
            self._told = {}

    def before(self, frame: bytes) -> bytes:
        """Return the frame of an answer with what was measured in front of it."""
        if not self._told and self.guard_us is None:
            return frame
        told, self._told = self._told, {}
        head: dict[str, Any] = {"own": list(told.values())}
        if self.guard_us is not None:
            head["guard_us"], self.guard_us = self.guard_us, None
        return wire.pack(wire.MEASURES, _encode(head).encode()) + frame
