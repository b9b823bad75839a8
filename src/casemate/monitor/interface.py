"""What others of the gateway need of the monitor."""

from __future__ import annotations

from typing import Protocol

from casemate.monitor.findings import Found
from casemate.monitor.protocol import AlertsState
from casemate.operations.findings import FindingPage, ListFindings, OnCallShift
from casemate.operations.incidents import Incident, IncidentPage, ListIncidents, Noticed


class Monitor(Protocol):
    """Knows what was found, and tells people."""

    async def findings(self, wanted: ListFindings) -> FindingPage:
        """Return findings, newest first. Raises MonitorUnavailableError."""
        ...

    async def finding(self, id: str) -> Found:
        """Return one. Raises NotFoundError, MonitorUnavailableError."""
        ...

    async def incidents(self, wanted: ListIncidents) -> IncidentPage:
        """Return incidents, the newest first. Raises MonitorUnavailableError."""
        ...

    async def incident(self, id: str) -> Incident:
        """Return one. Raises NotFoundError, MonitorUnavailableError."""
        ...

    async def noticed(self, after: int) -> tuple[Noticed, ...]:
        """Return what was found lately, behind an entry of the journal. MonitorUnavailableError."""
        ...

    async def alerts(self) -> AlertsState:
        """Return how channels are. Raises MonitorUnavailableError."""
        ...

    async def on_call(self, days: int) -> tuple[OnCallShift, ...]:
        """Return who is on call, for some days from now. Raises MonitorUnavailableError."""
        ...

    async def test(self, channel: str) -> str:
        """Send a test; return why it was not taken, empty if it was. Raises NotFoundError."""
        ...

    async def has_rule(self, rule: str) -> bool:
        """Tell whether there is such a rule. Raises MonitorUnavailableError."""
        ...
