"""What was found lately and stands in the journal, for the gateway, whose playbooks act on it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from casemate.model.level import Level
from casemate.monitor.consumers import Happened
from casemate.monitor.findings import Findings
from casemate.monitor.incidents import Incidents
from casemate.monitor.shares import Share, first_of_fullest, share_of_finding, take_from
from casemate.operations.incidents import Noticed

MAX_KEPT = 512
"""Findings; older ones the gateway has looked at, or is told of by `casemate findings ls`."""
_QUIET_SECONDS = 60.0
_log = logging.getLogger("casemate.monitor")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Noticed]).decode


class NoticedLately:
    """Satisfies `casemate.monitor.consumers.Consumer`; sees each entry after those two."""

    name = "noticed"

    def __init__(self, findings: Findings, incidents: Incidents) -> None:
        """Take what is known of findings and incidents from these."""
        self._findings = findings
        self._incidents = incidents
        self._kept: dict[int, Noticed] = {}
        self._shares: Counter[Share] = Counter()
        self._newest = self._asked = -1
        self.dropped = 0
        """Those that no playbook has looked at, for which there was no room."""
        self._quiet_until = 0.0
        self.changed: Callable[[], None] = _nobody
        """Called when there is more."""

    @property
    def newest(self) -> int:
        """Index of the newest in the journal; -1: there is none."""
        return self._newest

    def take(self, batch: Sequence[Happened]) -> None:
        """Keep each finding that stands in the journal, once."""
        for each in batch:
            own = each.event.get("unmapped")
            if each.kind != "Finding" or not isinstance(own, dict) or each.index <= self.newest:
                continue
            found = self._findings.get(str(own.get("finding")))
            if found is None:
                continue
            id, incident = self._incidents.joined
            known = self._incidents.get(incident) if id == found.id and incident else None
            self._keep(
                Noticed(
                    index=each.index,
                    finding=found,
                    incident="" if known is None else known.id,
                    incident_level=Level.INFORMATIONAL if known is None else known.level,
                )
            )
            self.changed()

    def _keep(self, noticed: Noticed) -> None:
        self._kept[noticed.index] = noticed
        self._newest = noticed.index
        self._shares[_share(noticed)] += 1
        while len(self._kept) > MAX_KEPT:
            looked_at = next(iter(self._kept))
            if looked_at <= self._asked:
                self._drop(self._kept[looked_at])
                continue
            dropped = first_of_fullest(self._kept.values(), self._shares, _share)
            self._drop(dropped)
            found = dropped.finding
            self.dropped += 1
            if time.monotonic() >= self._quiet_until:
                self._quiet_until = time.monotonic() + _QUIET_SECONDS
                _log.error(
                    "no playbook looks at finding %s of %s, nor at %d others: too many at once",
                    found.id,
                    found.rule,
                    self.dropped - 1,
                )

    def _drop(self, noticed: Noticed) -> None:
        del self._kept[noticed.index]
        take_from(self._shares, _share(noticed))

    def after(self, index: int) -> tuple[Noticed, ...]:
        """Return those whose entries come later, oldest first; all if the journal is another."""
        if index > self.newest:
            index = -1
        self._asked = index
        return tuple(each for each in self._kept.values() if each.index > index)

    def remembered(self) -> bytes:
        """Return all."""
        return _encode(list(self._kept.values()))

    def recall(self, data: bytes) -> None:
        """Go on from what was remembered. Raises ValueError."""
        for each in _decode(data):
            self._keep(each)


def _share(noticed: Noticed) -> Share:
    return share_of_finding(noticed.finding)


def _nobody() -> None:
    """Tell nobody."""
