"""What nodes tell each other so that nobody waits: where there is something to lease.

A hint names a project and a place, and nothing of what is there. It may be lost, come twice, or be
made up by whoever may connect to the database: who hears it looks for himself.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec

from casemate.model.function import NAME_PATTERN
from casemate.postgresql.listening import MAX_TOLD

CHANNEL: Final = "casemate_hints"
MOST_WAITING: Final = 4096
"""Places that wait to be told; of more nothing is told, and they are found by looking."""
LOOK: Final = "[]"
"""Told when the nodes have changed: each looks who is there."""

LATER_SECONDS: Final = 0.02
"""What a hint names one node looks at when it hears of it, and each other one after so long."""

Place = tuple[str, str, str]
"""Project, kind and name of a queue or an inbox."""
_Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
_decode = msgspec.json.Decoder(list[tuple[_Name, _Name, _Name]]).decode


class Hints:
    """What is to be told. Any thread adds, one takes."""

    def __init__(self) -> None:
        """Have nothing to tell."""
        self._lock = threading.Lock()
        self._waiting: dict[Place, None] = {}

    def add(self, project: str, places: Iterable[tuple[str, str]]) -> bool:
        """Have places told, each once however often it is added; tell whether there was none."""
        with self._lock:
            first = not self._waiting
            for kind, name in places:
                if len(self._waiting) >= MOST_WAITING:
                    break
                self._waiting[project, kind, name] = None
            return first and bool(self._waiting)

    def __bool__(self) -> bool:
        """Tell whether there is something to tell."""
        return bool(self._waiting)

    def take(self) -> str:
        """Return as many as can be told at once, and forget them. Empty if there are none."""
        with self._lock:
            taken: list[Place] = []
            size = 2
            for place in self._waiting:
                size += len(msgspec.json.encode(place)) + 1
                if size > MAX_TOLD:
                    break
                taken.append(place)
            for place in taken:
                del self._waiting[place]
        return msgspec.json.encode(taken).decode() if taken else ""

    def clear(self) -> None:
        """Tell nothing of what waits: nobody is there."""
        with self._lock:
            self._waiting.clear()


class Heard:
    """What was heard and another node looks at: it is looked for what is left after a while.

    If all leased at once, all but one would do so for nothing, each under the project's lock.
    """

    def __init__(self) -> None:
        """Nothing was heard."""
        self._places: dict[Place, None] = {}
        self.due = math.inf
        """When to take them."""

    def add(self, place: Place, now: float) -> None:
        """Have a place looked at with the others; of too many it is found by looking at all."""
        if len(self._places) < MOST_WAITING:
            self._places[place] = None
            self.due = min(self.due, now + LATER_SECONDS)

    def take(self) -> list[Place]:
        """Return all of them, and forget them."""
        taken, self._places, self.due = list(self._places), {}, math.inf
        return taken


def heard(text: str) -> Sequence[Place] | None:
    """Return the places of a hint; None for what is none."""
    if len(text) > MAX_TOLD:
        return None
    try:
        return _decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
