"""What runs have made on a node, told by their marks: so what a killed run left is found, too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from casemate.drills.node import Node
from casemate.model.errors import CasemateError, NotFoundError
from casemate.operations.budgets import ListBudgets, RemoveBudget
from casemate.operations.declaration import Operation
from casemate.operations.findings import ListAlertSilences, SilenceAlerts
from casemate.operations.functions import ListFunctions, RemoveFunction
from casemate.operations.items import DropTable, ListTables
from casemate.operations.messages import DropQueue, DropTopic, ListQueues
from casemate.operations.objects import DropBucket, ListBuckets
from casemate.operations.policies import ListPolicies, RemovePolicy
from casemate.operations.quarantine import ReleaseFunction
from casemate.operations.restrictions import LiftRestriction, ListRestrictions
from casemate.operations.routes import ClaimRoutes, ListRouteClaims
from casemate.operations.secrets import DeleteSecret, ListProjectSecrets
from casemate.operations.tokens import ListTokens, RevokeToken
from casemate.operations.users import ListUsers, RemoveUser

REASON = "a drill"
_MARKED = re.compile(r"drill-[0-9a-f]{8}(-[a-z0-9]{1,8})?")
_Found = Iterable[tuple[str, Operation[Any]]]


def is_marked(name: str) -> bool:
    """Tell whether only a run gives such a name: `drill-9f2c51aa`, `drill-9f2c51aa-t3`."""
    return _MARKED.fullmatch(name) is not None


def absent(project: str) -> str:
    """Return the name of a project that is not there, which a run knocks at."""
    return f"{project}-blocked"


def projects_of(project: str) -> frozenset[str]:
    """Return the projects that findings of a run can be about."""
    return frozenset((project, absent(project)))


def remove(node: Node, name: str, wanted: Operation[Any]) -> str:
    """Have something removed; return why it was not, empty: it was, or there is nothing to do."""
    try:
        node.call(wanted)
    except NotFoundError:
        return ""
    except CasemateError as error:
        return f"{name} ({error.message})"
    return ""


def take_away(node: Node, project: str, keep: str) -> list[str]:
    """Remove all that runs have made but the token of this id; return what could not be.

    Who may do something goes first.
    """
    left = []
    for what, find in _KINDS:
        try:
            found = list(find(node, project))
        except NotFoundError:
            continue
        except CasemateError as error:
            left.append(f"{what} ({error.message})")
            continue
        for name, wanted in found:
            if not (isinstance(wanted, RevokeToken) and wanted.id == keep):
                left.append(remove(node, name, wanted))
    return [problem for problem in left if problem]


def _tokens(node: Node, _project: str) -> _Found:
    for each in node.call(ListTokens()).tokens:
        if is_marked(each.name) and each.revoked_at is None:
            yield f"the token {each.id}", RevokeToken(id=each.id)


def _users(node: Node, _project: str) -> _Found:
    for each in node.call(ListUsers()).users:
        if is_marked(each.name):
            yield f"the user {each.name}", RemoveUser(name=each.name)


def _restrictions(node: Node, project: str) -> _Found:
    for each in node.call(ListRestrictions()).restrictions:
        if each.reason == REASON and each.project in projects_of(project):
            yield f"the restriction {each.id}", LiftRestriction(id=each.id, reason=REASON)


def _policies(node: Node, _project: str) -> _Found:
    for each in node.call(ListPolicies()).files:
        if is_marked(each.name):
            yield f"the policy {each.name}", RemovePolicy(name=each.name)


def _routes(node: Node, _project: str) -> _Found:
    for each in node.call(ListRouteClaims()).claims:
        if is_marked(each.project):
            yield f"the routes of {each.project}", ClaimRoutes(name=each.project)


def _silences(node: Node, _project: str) -> _Found:
    for each in node.call(ListAlertSilences()).silences:
        if each.reason == REASON:
            wanted = SilenceAlerts(rule=each.rule, seconds=0, reason=REASON)
            yield f"the silence of {each.rule}", wanted


def _budgets(node: Node, project: str) -> _Found:
    for each in node.call(ListBudgets(project=project)).budgets:
        if is_marked(each.budget.name):
            wanted = RemoveBudget(project=project, name=each.budget.name)
            yield f"the budget {each.budget.name}", wanted


def _functions(node: Node, project: str) -> _Found:
    for each in node.call(ListFunctions()).functions:
        if each.project != project:
            continue
        if each.quarantine is not None:  # nothing is removed that is in quarantine
            release = ReleaseFunction(project=project, function=each.name, reason=REASON)
            yield each.name, release
        yield each.name, RemoveFunction(project=project, function=each.name)


def _data(node: Node, project: str) -> _Found:
    for bucket in node.call(ListBuckets(project=project)).buckets:
        yield f"the bucket {bucket.name}", DropBucket(project=project, bucket=bucket.name)
    for table in node.call(ListTables(project=project)).tables:
        yield f"the table {table.name}", DropTable(project=project, table=table.name)
    inboxes = node.call(ListQueues(project=project))
    for queue in inboxes.queues:
        yield f"the queue {queue.name}", DropQueue(project=project, queue=queue.name)
    for topic in inboxes.topics:
        yield f"the topic {topic.name}", DropTopic(project=project, topic=topic.name)


def _secrets(node: Node, project: str) -> _Found:
    for each in node.call(ListProjectSecrets(project=project)).secrets:
        yield f"the secret {each.name}", DeleteSecret(project=project, name=each.name)


_KINDS: tuple[tuple[str, Callable[[Node, str], _Found]], ...] = (
    ("tokens", _tokens),
    ("users", _users),
    ("functions", _functions),
    ("restrictions", _restrictions),
    ("policies", _policies),
    ("routes", _routes),
    ("silences", _silences),
    ("budgets", _budgets),
    ("data", _data),
    ("secrets", _secrets),
)
