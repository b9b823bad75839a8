"""What a run leaves is taken away: what it deployed, and what waits for people because of it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from casemate.drills.leftovers import REASON, projects_of, remove, take_away
from casemate.drills.node import Node
from casemate.model.errors import CasemateError
from casemate.model.playbook import Step
from casemate.operations.evidence import ListEvidence, ReleaseEvidence
from casemate.operations.incidents import (
    IncidentState,
    ListIncidents,
    ResolveIncident,
    ShowIncident,
)
from casemate.operations.playbooks import DismissPlaybookRun, ListPlaybookRuns

LATE_SECONDS = 3.0
"""How long a finding may take, and what playbooks make of it."""
_OPEN = (IncidentState.OPEN, IncidentState.CONTAINED)


def clean(node: Node, project: str, since: float, rules: frozenset[str], keep: str = "") -> str:
    """Take away what a run has left since then, by the node's clock; return what could not be.

    The token of the id `keep` is left. An incident is closed, and what waits for an approval is
    dismissed, if it is of the project, or of nothing else than what these rules find in a drill.
    """
    left = take_away(node, project, keep)
    done: set[str] = set()
    for pause in (0.0, LATE_SECONDS):
        # What is found of the last attacks, and of the removals, comes a moment later.
        time.sleep(pause)
        left += _waiting(node, project, since, rules, done)
        left += _incidents(node, project, since, rules, done)
    return ", ".join(left)


def _waiting(
    node: Node, project: str, since: float, rules: frozenset[str], done: set[str]
) -> Iterable[str]:
    """Dismiss what playbooks would do about the run if somebody approved it."""
    try:
        runs = node.call(ListPlaybookRuns(state=Step.WAITS)).runs
    except CasemateError as error:
        return [f"what waits for an approval ({error.message})"]
    left = []
    for each in runs:
        ours = each.project in projects_of(project) or (not each.project and each.rule in rules)
        if ours and each.found_at >= since and each.id not in done:
            done.add(each.id)
            left.append(remove(node, each.id, DismissPlaybookRun(id=each.id, reason=REASON)))
    return [problem for problem in left if problem]


def _incidents(
    node: Node, project: str, since: float, rules: frozenset[str], done: set[str]
) -> Iterable[str]:
    left: list[str] = []
    try:
        for each in node.call(ListIncidents(limit=200)).incidents:
            if each.opened_at < since or each.state not in _OPEN or each.id in done:
                continue
            if not set(each.projects) <= projects_of(project):
                continue
            known = node.call(ShowIncident(id=each.id))
            if not each.projects and not {one.rule for one in known.rules} <= rules:
                continue
            done.add(each.id)
            left += _evidence(node, each.id, since)
            wanted = ResolveIncident(id=each.id, state=IncidentState.FALSE_ALARM, reason=REASON)
            left.append(remove(node, f"the incident {each.id}", wanted))
    except CasemateError as error:
        left.append(f"incidents ({error.message})")
    return [problem for problem in left if problem]


def _evidence(node: Node, incident: str, since: float) -> Iterable[str]:
    """Delete archives that the run has sealed."""
    for each in node.call(ListEvidence(id=incident)).evidence:
        if each.at >= since:
            wanted = ReleaseEvidence(id=each.id, reason=REASON)
            yield remove(node, f"the evidence {each.id}", wanted)
