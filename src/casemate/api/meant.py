"""What may have been meant by a name that nothing has: what the list of such things shows.

It is the list as whoever asks would get it, so that nobody learns of a name that is not theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import islice
from operator import attrgetter
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

    kind: type[Operation[Any]]
    paths: tuple[str, ...]
    """Fields with things in the answer, and below each where the name of one is."""
    shown_by: str = ""
    """The command that shows one, where something of another kind may be meant."""

    def operation(self, project: str) -> Operation[Any]:
        """Return the operation; with a project, of those that are there."""
        form = form_of(self.kind)
        return form.make({"project": project} if project and "project" in form.names else {})

    def names(self, found: Any) -> Iterator[str]:
        """Yield the names that stand in an answer."""
        for path in self.paths:
            things, _, name = path.partition(".")
            yield from map(attrgetter(name), getattr(found, things))


LISTS: Mapping[str, _List] = {
    "bucket": _List(ListBuckets, ("buckets.name",), "buckets objects {}"),
    "table": _List(ListTables, ("tables.name",), "tables query {}"),
    "queue": _List(ListQueues, ("queues.name",), "queues show {}"),
    "topic": _List(ListQueues, ("topics.name",), "queues show {} --topic"),
    "project": _List(ListFunctions, ("functions.project",)),
    "secret": _List(ListProjectSecrets, ("secrets.name",)),
    "budget": _List(ListBudgets, ("budgets.budget.name", "quotas.quota.name")),
    "user": _List(ListUsers, ("users.name",)),
    "workload": _List(ListWorkloads, ("workloads.name",)),
    "policy": _List(ListPolicies, ("files.name",)),
    "playbook": _List(ListPlaybooks, ("playbooks.name",)),
    "node": _List(ListNodes, ("nodes.name",)),
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
    # Another one: an error that is its own cause has no end, and keeps what its frames hold.
    return NotFoundError(error.message, next_step=error.next_step)


async def _names(of: _List, project: str, may: May, listed: Listed) -> dict[str, str]:
    """Return what the list shows to who asks, by name; nothing if it is not for them."""
    operation, form = of.operation(project), form_of(of.kind)
    action = form.declared.action
    if action is not None and not may(action, form.scope(operation)):
        return {}
    try:
        found = of.names(await listed(operation))
    except CasemateError:  # what was asked for is answered all the same
        return {}
    return {each: each for each in found}
