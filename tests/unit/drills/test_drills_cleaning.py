"""What a run leaves is taken away, also what is found of it while that is done."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.drills import cleaning
from casemate.drills.cleaning import clean
from casemate.model.errors import NotFoundError, UnavailableError
from casemate.model.level import Level
from casemate.operations.evidence import EvidenceList, ListEvidence
from casemate.operations.incidents import (
    Incident,
    IncidentPage,
    IncidentState,
    ListIncidents,
    ResolveIncident,
    ShowIncident,
)
from casemate.operations.playbooks import ListPlaybookRuns, PlaybookRuns


class Node:
    """One with an incident of a drill, of which more is found while it is closed."""

    def __init__(self, late: int, projects: tuple[str, ...] = ("casemate-drill",)) -> None:
        self.late = late
        self.state = IncidentState.OPEN
        self.projects = projects
        self.closed = 0
        self.fault: Exception | None = None

    def call(self, operation: Any) -> Any:
        match operation:
            case ListPlaybookRuns():
                return PlaybookRuns(runs=())
            case ListIncidents():
                return IncidentPage(incidents=(self._incident(),), more=False)
            case ShowIncident():
                return self._incident()
            case ListEvidence():
                return EvidenceList(evidence=())
            case ResolveIncident():
                self.closed += 1
                if self.fault is not None:
                    raise self.fault
                if self.closed > self.late:  # as of what was found since it was looked at
                    self.state = operation.state
                return None
        raise NotFoundError

    def _incident(self) -> Any:
        return Incident(
            id="inc_1",
            title="Many functions are removed",
            level=Level.HIGH,
            state=self.state,
            owner="",
            opened_at=100.0,
            last_at=101.0,
            findings=1,
            things=(),
            projects=self.projects,
            techniques=(),
            rules=(),
            finding_ids=(),
            timeline=(),
            contained_at=None,
            closed_at=None,
            more=0,
        )


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning.time, "sleep", lambda _: None)


@pytest.mark.parametrize("late", [0, 1, 3])
def test_an_incident_of_which_more_is_found_is_closed_again(late: int) -> None:
    node = Node(late)
    assert clean(node, "casemate-drill", 50.0, frozenset()) == ""  # type: ignore[arg-type]
    assert node.state is IncidentState.FALSE_ALARM and node.closed == late + 1


def test_what_cannot_be_closed_is_said_once() -> None:
    node = Node(1000)
    left = clean(node, "casemate-drill", 50.0, frozenset())  # type: ignore[arg-type]
    assert left == "the incident inc_1 (more was found of it all the time)"
    assert node.closed == 5
    node.fault = UnavailableError("The monitor is away.")
    left = clean(node, "casemate-drill", 50.0, frozenset())  # type: ignore[arg-type]
    assert left == "the incident inc_1 (The monitor is away.)"


@pytest.mark.parametrize("projects", [("shop",), ("casemate-drill", "shop")])
def test_one_of_somebody_else_stays_open(projects: tuple[str, ...]) -> None:
    node = Node(0, projects)
    assert clean(node, "casemate-drill", 50.0, frozenset()) == ""  # type: ignore[arg-type]
    assert node.state is IncidentState.OPEN


def test_one_that_was_open_before_stays_open() -> None:
    node = Node(0)
    assert clean(node, "casemate-drill", 150.0, frozenset()) == ""  # type: ignore[arg-type]
    assert node.state is IncidentState.OPEN
