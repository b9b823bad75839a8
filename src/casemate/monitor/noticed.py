"""What was found lately and stands in the journal, for the gateway, whose playbooks act on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from casemate.model.level import Level
from casemate.monitor.consumers import Happened
from casemate.monitor.findings import Findings
from casemate.monitor.incidents import Incidents
from casemate.operations.incidents import Noticed

MAX_KEPT = 512
"""Findings; older ones the gateway has looked at, or is told of by `casemate findings ls`."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Noticed]).decode


class NoticedLately:
    """Satisfies `casemate.monitor.consumers.Consumer`; sees each entry after those two."""

    name = "noticed"

    def __init__(self, findings: Findings, incidents: Incidents) -> None:
        """Take what is known of findings and incidents from these."""
        self._findings = findings
        self._incidents = incidents
        self._kept: deque[Noticed] = deque(maxlen=MAX_KEPT)
        self.changed: Callable[[], None] = _nobody
        """Called when there is more."""

    @property
    def newest(self) -> int:
        """Index of the newest in the journal; -1: there is none."""
        return self._kept[-1].index if self._kept else -1

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
            self._kept.append(
                Noticed(
                    index=each.index,
                    finding=found,
                    incident="" if known is None else known.id,
                    incident_level=Level.INFORMATIONAL if known is None else known.level,
                )
            )
            self.changed()

    def after(self, index: int) -> tuple[Noticed, ...]:
        """Return those whose entries come later, oldest first; all if the journal is another."""
        if index > self.newest:
            index = -1
        return tuple(each for each in self._kept if each.index > index)

    def remembered(self) -> bytes:
        """Return all."""
        return _encode(list(self._kept))

    def recall(self, data: bytes) -> None:
        """Go on from what was remembered. Raises ValueError."""
        self._kept.extend(_decode(data))


def _nobody() -> None:
    """Tell nobody."""
