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
_MOST_LOOKS = 5
_OPEN = (IncidentState.OPEN, IncidentState.CONTAINED)


def clean(node: Node, project: str, since: float, rules: frozenset[str], keep: str = "") -> str:
    """Take away what a run has left since then, by the node's clock; return what could not be.

    The token of the id `keep` is left. An incident is closed, and what waits for an approval is
    dismissed, if it is of the project, or of nothing else than what these rules find in a drill.
    """
    left = take_away(node, project, keep)
    done: set[str] = set()
    still: dict[str, str] = {}
    for number in range(_MOST_LOOKS):
        # What is found of the last attacks, and of the removals, comes a moment later. An incident
        # that gets another finding while it is closed stays open, and is closed once more.
        if number:
            time.sleep(LATE_SECONDS)
        left += _waiting(node, project, since, rules, done)
        still = _incidents(node, project, since, rules)
        if number and not still:
            break
    return ", ".join((*left, *still.values()))


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


def _incidents(node: Node, project: str, since: float, rules: frozenset[str]) -> dict[str, str]:
    """Close those that are open; return of each what to say should it not be closed by that."""
    found: dict[str, str] = {}
    try:
        for each in node.call(ListIncidents(limit=200)).incidents:
            if each.opened_at < since or each.state not in _OPEN:
                continue
            if not set(each.projects) <= projects_of(project):
                continue
            known = node.call(ShowIncident(id=each.id))
            if not each.projects and not {one.rule for one in known.rules} <= rules:
                continue
            problems = list(_evidence(node, each.id, since))
            wanted = ResolveIncident(id=each.id, state=IncidentState.FALSE_ALARM, reason=REASON)
            problems.append(remove(node, f"the incident {each.id}", wanted))
            what = ", ".join(filter(None, problems))
            found[each.id] = what or f"the incident {each.id} (more was found of it all the time)"
    except CasemateError as error:
        found[""] = f"incidents ({error.message})"
    return found


def _evidence(node: Node, incident: str, since: float) -> Iterable[str]:
    """Delete archives that the run has sealed."""
    for each in node.call(ListEvidence(id=incident)).evidence:
        if each.at >= since:
            wanted = ReleaseEvidence(id=each.id, reason=REASON)
            yield remove(node, f"the evidence {each.id}", wanted)
