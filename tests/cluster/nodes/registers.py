"""Registers that callers of all nodes write and read, and whether an order explains the answers."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

from support.histories import LOST, Call, Get, HistoryError, Put, require_register

SECONDS = 5
"""How long one is used before another is begun, so that each can be judged."""


@dataclass
class Registers:
    """What was asked of each register, and what was answered."""

    calls: dict[str, list[Call]] = field(default_factory=dict)
    _known: dict[str, int] = field(default_factory=dict)
    _count: int = 0

    def ask(self) -> dict[str, Any]:
        """Return what is asked next: a write, one on the revision last seen, or a read."""
        key = f"r{int(time.monotonic()) // SECONDS}"
        self._count += 1
        asked: dict[str, Any] = {"key": key}
        kind = random.randrange(3)
        if kind:
            asked["value"] = self._count
        if kind == 2:
            asked["condition"] = self._known.get(key, 0)
        return asked

    def answered(self, asked: dict[str, Any], began: float, answer: Any) -> None:
        """Remember an answer."""
        key, ended = asked["key"], time.monotonic()
        calls = self.calls.setdefault(key, [])
        if answer["revision"]:
            self._known[key] = answer["revision"]
        if "value" in asked:
            condition = asked.get("condition")
            calls.append(Put(began, ended, asked["value"], answer["revision"], condition))
        else:
            calls.append(Get(began, ended, answer["value"], answer["revision"]))

    def lost(self, asked: dict[str, Any], began: float) -> None:
        """Remember that no answer came: what was asked may be done at any time, or never."""
        if "value" in asked:
            call = Put(began, LOST, asked["value"], None, asked.get("condition"))
            self.calls.setdefault(asked["key"], []).append(call)

    def judged(self, last: dict[str, tuple[Any, int]]) -> dict[str, Any]:
        """Judge each by what was answered and by what is there in the end, by key."""
        wrong, unjudged, now = [], 0, time.monotonic()
        for key, calls in self.calls.items():
            value, revision = last.get(key, (None, 0))
            told = max((call.revision or 0 for call in calls if isinstance(call, Put)), default=0)
            if told > revision:
                wrong.append(f"{key}: revision {told} was acknowledged, {revision} is there")
                continue
            try:
                require_register([*calls, Get(now, now, value, revision)])
            except HistoryError as error:
                if "too much to be judged" in str(error):
                    unjudged += 1
                else:
                    wrong.append(f"{key}: {error}")
        return {
            "registers": len(self.calls),
            "register_calls": sum(map(len, self.calls.values())),
            "registers_unjudged": unjudged,
            "registers_wrong": wrong[:9],
        }
