"""What nodes tell each other so that nobody waits: where there is something to lease.

A hint names a project and a place, and nothing of what is there. It may be lost, come twice, or be
made up by whoever may connect to the database: who hears it looks for himself.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Final

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.model.function import NAME_PATTERN
from casemate.postgresql.listening import MAX_TOLD

CHANNEL: Final = "casemate_hints"
MOST_WAITING: Final = 4096
"""Places that wait to be told; of more nothing is told, and they are found by looking."""
LOOK: Final = "[]"
"""Told when the nodes have changed: each looks who is there."""

LATER_SECONDS: Final = 0.01
"""What a hint names the nodes look at one after the other, so far apart: the first one at once."""
MOST_LATER: Final = 2.0
"""Seconds after which the last of them do."""

Place = tuple[str, str, str]
"""Project, kind and name of a queue or an inbox."""
Places = dict[str, set[tuple[str, str]]]
"""The same by project."""
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
    """What was heard and other nodes look at before: it is looked for what is left later.

    If all leased at once, all but one would do so for nothing, each under the project's lock.
    """

    def __init__(self) -> None:
        """Nothing was heard."""
        self._places: dict[Place, float] = {}
        self.due = math.inf
        """When to take the next ones."""

    def hear(
        self, texts: Iterable[str], rank: Callable[[str], int], now: float
    ) -> tuple[Places, bool]:
        """Return what to look at now, and whether it was asked to look who is there.

        `rank` tells how many nodes come before this one as to a project's function. Of too many
        places the rest is found by looking at all.
        """
        first, asked = Places(), False
        for text in texts:
            places = heard(text)
            if places is None:
                continue  # of a stranger
            asked |= not places
            for place in places:
                before = rank(f"{place[0]}/{place[2]}")
                if not before:
                    by_project(first, (place,))
                elif place not in self._places and len(self._places) < MOST_WAITING:
                    self._add(place, now + min(before * LATER_SECONDS, MOST_LATER))
        return first, asked

    def _add(self, place: Place, at: float) -> None:
        # At one of few moments, so that one statement looks at what is due at about the same time.
        due = math.ceil(at / LATER_SECONDS) * LATER_SECONDS
        self._places[place] = due
        self.due = min(self.due, due)

    def take(self, now: float) -> list[Place]:
        """Return those that are due, and forget them."""
        taken = [place for place, due in self._places.items() if due <= now]
        for place in taken:
            del self._places[place]
        self.due = min(self._places.values(), default=math.inf)
        return taken


def by_project(found: Places, places: Iterable[Place]) -> Places:
    """Add places to what was found, and return that."""
    for project, kind, name in places:
        found.setdefault(project, set()).add((kind, name))
    return found


def heard(text: str) -> Sequence[Place] | None:
    """Return the places of a hint; None for what is none."""
    if len(text) > MAX_TOLD:
        return None
    try:
        return _decode(text)
    except DECODING_ERRORS:
        return None
