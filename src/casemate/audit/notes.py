"""What could not be audited: each thing once, bounded, and told where there is more."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from casemate.audit.limits import MAX_TEXT
from casemate.audit.model import Place, Unresolved

FAULTS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What is raised where code meets what nobody thought of: it counts as not looked at."""


def bounded(text: str) -> str:
    """Return a text whole, or as much of it as is told, with a hash that tells such texts apart."""
    if len(text) <= MAX_TEXT:
        return text
    hashed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text[:MAX_TEXT]}... ({len(text):,} characters, {hashed})"


class Notes(list[Unresolved]):
    """A list of what could not be resolved, read or looked at."""

    def __init__(self, most: int) -> None:
        """Keep so many."""
        super().__init__()
        self._most = most
        self._known = set[Unresolved]()
        self._full = False

    def take(self, others: Iterable[Unresolved]) -> None:
        """Add what others could not do."""
        for each in others:
            self.say(each.place, each.what)

    def say(self, place: Place, what: str) -> None:
        """Add one, unless it is there."""
        told = Unresolved(place, bounded(what))
        if told in self._known:
            return
        if len(self) < self._most:
            self._known.add(told)
            self.append(told)
        elif not self._full:
            self._full = True
            more = f"more than {self._most} things were not audited: the rest is not listed"
            self.append(Unresolved(Place("."), more))
