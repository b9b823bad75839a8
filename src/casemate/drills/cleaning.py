"""What a run leaves is taken away: what it deployed, and what waits for people because of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from casemate.drills.node import WIDER, Node
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.playbook import Step
from casemate.operations.declaration import Operation
from casemate.operations.functions import RemoveFunction
from casemate.operations.incidents import (
    IncidentState,
    ListIncidents,
    ResolveIncident,
    ShowIncident,
)
from casemate.operations.items import DropTable
from casemate.operations.messages import DropQueue, DropTopic
from casemate.operations.objects import DropBucket
from casemate.operations.playbooks import DismissPlaybookRun, ListPlaybookRuns

FUNCTIONS = (
    *("attacker", "greedy", "victim", "careless", "leaver", "inner", "holder", "honest"),
    *("sleeper", "strict-a", "strict-b", "strict-c", "strict-d", "strict-e", WIDER),
)
_REASON = "a drill"
_CLOCK_SECONDS = 1.0
LATE_SECONDS = 3.0
"""How long a finding may take, and what playbooks make of it."""
_OPEN = (IncidentState.OPEN, IncidentState.CONTAINED)


def clean(node: Node, project: str, began: float, rules: frozenset[str]) -> str:
    """Take away what a run has left that had begun at this time; return what could not be.

    An incident is closed, and what waits for an approval is dismissed, if it is of the project, or
    of nothing else than what these rules find in a drill.
    """
    made: list[tuple[str, Operation[Any]]] = [
        (name, RemoveFunction(project=project, function=name)) for name in FUNCTIONS
    ]
    for bucket in ("files", "scratch"):
        made.append((f"the bucket {bucket}", DropBucket(project=project, bucket=bucket)))
    for table in ("people", "scratch"):
        made.append((f"the table {table}", DropTable(project=project, table=table)))
    made.append(("the queue jobs", DropQueue(project=project, queue="jobs")))
    made.append(("the topic news", DropTopic(project=project, topic="news")))
    left = [problem for name, each in made if (problem := _problem(node, name, each))]
    since = began - _CLOCK_SECONDS
    done: set[str] = set()
    for pause in (0.0, LATE_SECONDS):
        # What is found of the last attacks, and of the removals, comes a moment later.
        time.sleep(pause)
        left += _waiting(node, project, since, rules, done)
        left += _incidents(node, project, since, rules, done)
    return ", ".join(left)


def _problem(node: Node, name: str, wanted: Operation[Any]) -> str:
    """Have something done; return why it was not, empty: it was, or there is nothing to do."""
    try:
        node.call(wanted)
    except NotFoundError:
        return ""
    except CasemateError as error:
        return f"{name} ({error.message})"
    return ""


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
        ours = each.project == project or (not each.project and each.rule in rules)
        if ours and each.found_at >= since and each.id not in done:
            done.add(each.id)
            left.append(_problem(node, each.id, DismissPlaybookRun(id=each.id, reason=_REASON)))
    return [problem for problem in left if problem]


def _incidents(
    node: Node, project: str, since: float, rules: frozenset[str], done: set[str]
) -> Iterable[str]:
    left = []
    try:
        for each in node.call(ListIncidents(limit=200)).incidents:
            if each.opened_at < since or each.state not in _OPEN or each.id in done:
                continue
            if not set(each.projects) <= {project}:
                continue
            known = node.call(ShowIncident(id=each.id))
            if not each.projects and not {one.rule for one in known.rules} <= rules:
                continue
            done.add(each.id)
            wanted = ResolveIncident(id=each.id, state=IncidentState.FALSE_ALARM, reason=_REASON)
            left.append(_problem(node, f"the incident {each.id}", wanted))
    except CasemateError as error:
        left.append(f"incidents ({error.message})")
    return [problem for problem in left if problem]
