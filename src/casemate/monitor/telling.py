"""What the monitor tells the journal: each fact once, also over kills, known by what it is about.

What was told and not acknowledged may be in the journal or not. The journal is read along anyway:
what is there is not told again, and nothing is told before all that was there has been read.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from casemate.model.facts import AlertFailed, AlertSent, Fact, Finding
from casemate.monitor.consumers import Happened
from casemate.monitor.findings import Found
from casemate.recorder.protocol import Told
from casemate.recorder.reading_protocol import MAX_TOLD

MAX_WAITING = 4096
_encode = msgspec.msgpack.Encoder().encode


def fact_of(found: Found) -> Finding:
    """Return a finding as a fact."""
    return Finding(
        at=found.at,
        project=found.project,
        function=found.function,
        who=found.who,
        finding=found.id,
        rule=found.rule,
        level=str(found.level),
        title=found.title,
        entity=found.entity,
        events=found.events,
        techniques=found.techniques,
        count=found.count,
    )


def key_of(fact: Fact) -> str:
    """Return what a fact of the monitor is about."""
    if isinstance(fact, Finding):
        return f"Finding {fact.finding}"
    if isinstance(fact, AlertSent | AlertFailed):
        return f"{type(fact).__name__} {fact.channel} {' '.join(fact.findings)}"
    raise TypeError(type(fact).__name__)


class Telling:
    """Facts that wait to be in the journal."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: OrderedDict[str, Told] = OrderedDict()
        self.missed = 0
        """Facts for which there was no room."""

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def tell(self, fact: Fact) -> None:
        """Have a fact in the journal, once."""
        if len(self._waiting) >= MAX_WAITING:
            self.missed += 1
            return
        told = Told(type(fact).__name__, _encode(fact))
        self._waiting.setdefault(key_of(fact), told)

    def read(self, each: Happened) -> None:
        """Take note of what is in the journal."""
        own = each.event.get("unmapped", {})
        if each.kind == "Finding":
            self.drop(str(own.get("finding")))
        elif each.kind in ("AlertSent", "AlertFailed"):
            ids = " ".join(map(str, own.get("findings", ())))
            self._waiting.pop(f"{each.kind} {own.get('channel')} {ids}", None)

    def drop(self, finding: str) -> None:
        """Tell no more of a finding."""
        self._waiting.pop(f"Finding {finding}", None)

    def next(self) -> dict[str, Told]:
        """Return what is to be told next, by its keys."""
        keys = list(self._waiting)[:MAX_TOLD]
        return {key: self._waiting[key] for key in keys}

    def told(self, keys: list[str]) -> None:
        """These are in the journal."""
        for key in keys:
            self._waiting.pop(key, None)

    def remembered(self) -> list[tuple[str, Told]]:
        """Return what waits."""
        return list(self._waiting.items())

    def recall(self, found: list[tuple[str, Told]]) -> None:
        """Have these told, too."""
        self._waiting.update(found[:MAX_WAITING])
