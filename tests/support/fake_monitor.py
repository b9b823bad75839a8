"""A monitor of tests: knows what it is given, or is gone."""

from __future__ import annotations

from functools import cache

from casemate.detection import shipped_rules
from casemate.model.errors import NotFoundError
from casemate.monitor.errors import MonitorUnavailableError
from casemate.monitor.protocol import AlertsState
from casemate.operations.findings import Finding, FindingPage, ListFindings, OnCallShift
from casemate.operations.incidents import Incident, IncidentPage, ListIncidents, Noticed


@cache
def _rules() -> frozenset[str]:
    return frozenset(shipped_rules().told)


class FakeMonitor:
    """Answers what it is given."""

    def __init__(self) -> None:
        self.gone = False
        self.found: list[Finding] = []
        self.asked: ListFindings | None = None
        self.lately: list[Noticed] = []
        self.known: list[Incident] = []
        self.wanted: ListIncidents | None = None
        self.state = AlertsState(channels=(), silences=(), signs_of_life=0)
        self.problem = ""
        self.shifts: tuple[OnCallShift, ...] = ()
        self.rules = _rules()

    def _require(self) -> None:
        if self.gone:
            raise MonitorUnavailableError("The monitor is not there.")

    async def findings(self, wanted: ListFindings) -> FindingPage:
        self._require()
        self.asked = wanted
        return FindingPage(findings=tuple(self.found), more=False)

    async def finding(self, id: str) -> Finding:
        self._require()
        for each in self.found:
            if each.id == id:
                return each
        raise NotFoundError(f"There is no finding {id}.")

    async def incidents(self, wanted: ListIncidents) -> IncidentPage:
        self._require()
        self.wanted = wanted
        return IncidentPage(incidents=tuple(self.known), more=False)

    async def incident(self, id: str) -> Incident:
        self._require()
        for each in self.known:
            if each.id == id:
                return each
        raise NotFoundError(f"There is no incident {id}.")

    async def noticed(self, after: int) -> tuple[Noticed, ...]:
        self._require()
        return tuple(each for each in self.lately if each.index > after)

    async def on_call(self, days: int) -> tuple[OnCallShift, ...]:
        self._require()
        return tuple(each for each in self.shifts if each.since < days * 86_400)

    async def alerts(self) -> AlertsState:
        self._require()
        return self.state

    async def test(self, channel: str) -> str:
        self._require()
        return self.problem

    async def has_rule(self, rule: str) -> bool:
        self._require()
        return rule in self.rules
