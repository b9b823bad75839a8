"""What may have been meant by a name that nothing has: what the list of such things shows.

It is the list as whoever asks would get it, so that nobody learns of a name that is not theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from casemate.api.named import MAX_COMPARED, May
from casemate.model.errors import CasemateError, NoNamedError, NotFoundError
from casemate.near_names import near, question
from casemate.operations.budgets import ListBudgets
from casemate.operations.declaration import Operation
from casemate.operations.form import form_of
from casemate.operations.functions import ListFunctions
from casemate.operations.items import ListTables
from casemate.operations.messages import ListQueues
from casemate.operations.nodes import ListNodes
from casemate.operations.objects import ListBuckets
from casemate.operations.playbooks import ListPlaybooks
from casemate.operations.policies import ListPolicies
from casemate.operations.secrets import ListProjectSecrets
from casemate.operations.users import ListUsers
from casemate.operations.workloads import ListWorkloads

Listed = Callable[[Operation[Any]], Awaitable[Any]]
"""Performs a list for who asks."""


class _List(NamedTuple):
    """What lists things of a kind, and where their names are in its answer."""

    operation: Callable[[str], Operation[Any]]
    """By the project."""
    names: Callable[[Any], Iterable[str]]
    shown_by: str = ""
    """The command that shows one, where something of another kind may be meant."""


LISTS: Mapping[str, _List] = {
    "bucket": _List(
        lambda project: ListBuckets(project=project),
        lambda found: (each.name for each in found.buckets),
        "buckets objects {}",
    ),
    "table": _List(
        lambda project: ListTables(project=project),
        lambda found: (each.name for each in found.tables),
        "tables query {}",
    ),
    "queue": _List(
        lambda project: ListQueues(project=project),
        lambda found: (each.name for each in found.queues),
        "queues show {}",
    ),
    "topic": _List(
        lambda project: ListQueues(project=project),
        lambda found: (each.name for each in found.topics),
        "queues show {} --topic",
    ),
    "project": _List(
        lambda _: ListFunctions(),
        lambda found: (each.project for each in found.functions),
    ),
    "secret": _List(
        lambda project: ListProjectSecrets(project=project),
        lambda found: (each.name for each in found.secrets),
    ),
    "budget": _List(
        lambda project: ListBudgets(project=project),
        lambda found: (
            *(each.budget.name for each in found.budgets),
            *(each.quota.name for each in found.quotas),
        ),
    ),
    "user": _List(lambda _: ListUsers(), lambda found: (each.name for each in found.users)),
    "workload": _List(
        lambda _: ListWorkloads(), lambda found: (each.name for each in found.workloads)
    ),
    "policy": _List(lambda _: ListPolicies(), lambda found: (each.name for each in found.files)),
    "playbook": _List(
        lambda _: ListPlaybooks(), lambda found: (each.name for each in found.playbooks)
    ),
    "node": _List(lambda _: ListNodes(), lambda found: (each.name for each in found.nodes)),
}
"""By the kinds of `NoNamedError`."""


_OF_DATA = tuple(kind for kind, of in LISTS.items() if of.shown_by)


async def told_unnamed(error: NoNamedError, may: May, listed: Listed) -> NotFoundError:
    """Return what who asks is told of a name that nothing has."""
    name, message = error.name, error.message.removesuffix(".")
    kinds = _OF_DATA if error.kind in _OF_DATA else (error.kind,)
    seen = {kind: await _names(LISTS[kind], error.project, may, listed) for kind in kinds}
    own = seen.pop(error.kind)
    of = next((kind for kind, names in seen.items() if name in names), None)
    compared = dict(islice(own.items(), MAX_COMPARED))
    if of is None and name not in own and (meant := near(name, compared)) is not None:
        return NotFoundError(f"{message}{question(meant)}", next_step=error.next_step)
    if of is not None:
        shown = LISTS[of].shown_by.format(f"{error.project}/{name}")
        return NotFoundError(
            f"{message}; {name} is a {of}.", next_step=f"See it: `casemate {shown}`"
        )
    return error


async def _names(of: _List, project: str, may: May, listed: Listed) -> dict[str, str]:
    """Return what the list shows to who asks, by name; nothing if it is not for them."""
    operation = of.operation(project)
    declared = form_of(type(operation)).declared
    if declared.action is not None:
        on = declared.on(lambda field: getattr(operation, field))
        if not may(declared.action, on):
            return {}
    try:
        found = of.names(await listed(operation))
    except CasemateError:  # what was asked for is answered all the same
        return {}
    return {each: each for each in found}
