"""What the monitor tells the journal: each fact once, also over kills, known by what it is about.

What was told and not acknowledged may be in the journal or not. The journal is read along anyway:
what is there is not told again, and nothing is told before all that was there has been read.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from itertools import chain, islice, zip_longest

import msgspec

from casemate.model.facts import Fact
from casemate.model.response_facts import AlertFailed, AlertSent, Finding
from casemate.monitor.consumers import Happened
from casemate.monitor.findings import Found
from casemate.monitor.shares import Share, share_of
from casemate.recorder.protocol import Told
from casemate.recorder.reading_protocol import MAX_TOLD

MAX_WAITING = 4096
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Finding).decode


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


def _share(told: Told) -> Share:
    """Return whose it is: of a finding that of its project, of all else that of its kind."""
    if told.kind != Finding.__name__:
        return ("", told.kind)
    found = _decode(told.fact)
    return share_of(found.project, found.rule)


class Telling:
    """Facts that wait to be in the journal."""

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: OrderedDict[str, Told] = OrderedDict()
        self._by_share: defaultdict[Share, dict[str, None]] = defaultdict(dict)
        self.missed = 0
        """Facts for which there was no room."""

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def tell(self, fact: Fact) -> None:
        """Have a fact in the journal, once."""
        key = key_of(fact)
        if key in self._waiting:
            return
        self._keep(key, Told(type(fact).__name__, _encode(fact)))
        if len(self._waiting) > MAX_WAITING:
            self._make_room()

    def _keep(self, key: str, told: Told) -> None:
        self._waiting[key] = told
        self._by_share[_share(told)][key] = None

    def _make_room(self) -> None:
        """Drop the newest of whoever has most: nobody's are missed for those of somebody else."""
        fullest = max(self._by_share.values(), key=len)
        self._forget(next(reversed(fullest)))
        self.missed += 1

    def _forget(self, key: str) -> None:
        told = self._waiting.pop(key, None)
        if told is None:
            return
        share = _share(told)
        del self._by_share[share][key]
        if not self._by_share[share]:
            del self._by_share[share]

    def read(self, each: Happened) -> None:
        """Take note of what is in the journal."""
        own = each.event.get("unmapped", {})
        if each.kind == "Finding":
            self.drop(str(own.get("finding")))
        elif each.kind in ("AlertSent", "AlertFailed"):
            ids = " ".join(map(str, own.get("findings", ())))
            self._forget(f"{each.kind} {own.get('channel')} {ids}")

    def drop(self, finding: str) -> None:
        """Tell no more of a finding."""
        self._forget(f"Finding {finding}")

    def next(self) -> dict[str, Told]:
        """Return what is to be told next, by its keys: of everybody in turn."""
        shares = [list(islice(keys, MAX_TOLD)) for keys in self._by_share.values()]
        in_turn = filter(None, chain.from_iterable(zip_longest(*shares)))
        return {key: self._waiting[key] for key in islice(in_turn, MAX_TOLD)}

    def told(self, keys: list[str]) -> None:
        """These are in the journal."""
        for key in keys:
            self._forget(key)

    def remembered(self) -> list[tuple[str, Told]]:
        """Return what waits."""
        return list(self._waiting.items())

    def recall(self, found: list[tuple[str, Told]]) -> None:
        """Have these told, too."""
        for key, told in found[:MAX_WAITING]:
            self._keep(key, told)
