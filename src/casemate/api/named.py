"""That a project or a function of which nothing is shown is there: a wrong name has nothing either.

Asked only of an empty answer: what is on record of a function that was removed is still shown.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, islice
from typing import Any

import msgspec

from casemate.api.authorization import function_of
from casemate.api.service import Service
from casemate.model.errors import NoFunctionError, NotFoundError
from casemate.model.principal import Action, Resource, ResourceKind
from casemate.near_names import near, question
from casemate.operations.declaration import Decided, Operation
from casemate.operations.form import form_of

May = Callable[[Action, Resource], bool]
"""Tells whether who asks may do something; nothing is recorded."""
NOT_FOUND_THERE = frozenset(("behind", "counts", "missing", "nodes", "rules", "versions"))
"""Fields of answers that tell of the node, whatever was asked for."""
MAX_COMPARED = 50
"""Functions among whose names a wrong one is looked for: 2 ms of the event loop at most."""
_MAX_GUESSED = 32


def is_empty(answer: Any) -> bool:
    """Tell whether an answer shows nothing of what was asked for.

    One that is sent piece by piece, or shows a single thing, is not.
    """
    if isinstance(answer, tuple):
        return not answer
    if not isinstance(answer, msgspec.Struct):
        return False
    shown = [
        value
        for name in answer.__struct_fields__
        if name not in NOT_FOUND_THERE
        and isinstance(value := getattr(answer, name), tuple | list | dict)
    ]
    return bool(shown) and not any(shown)


async def require_named(operation: Operation[Any], service: Service, may: May) -> None:
    """Raise NotFoundError if there is no such function or project as an operation names.

    Of projects in which who asks may see nothing, it says the same of those that there are.
    """
    project = getattr(operation, "project", None)
    function = getattr(operation, "function", None)
    if project is None:
        return
    if function is not None:
        await _require_function(project, function, service, may)
    elif form_of(type(operation)).declared.decided is Decided.FOR_EACH:
        if not (service.has_project(project) and await _may_see(project, service, may)):
            raise await _no_project(project, " that you may see", service, may)
    elif not service.has_project(project):
        raise await _no_project(project, "", service, may)


async def _no_project(project: str, which: str, service: Service, may: May) -> NotFoundError:
    seen = {found: found for found, _ in await _seen(project, service, may)}
    return NotFoundError(
        f"There is no project {project}{which}{_asked(project, seen)}",
        next_step="`casemate ls` lists what you may see, as PROJECT/FUNCTION; a project is there "
        "from its first deploy on.",
    )


async def _require_function(project: str, function: str, service: Service, may: May) -> None:
    try:
        await service.control.function(project, function)
    except NoFunctionError as error:
        raise await told_missing(error, service, may) from error


async def told_missing(error: NoFunctionError, service: Service, may: May) -> NotFoundError:
    """Return what who asks is told of a function that is not there: a name that was meant.

    It is one of those that who asks may see, or none.
    """
    project, function = error.project, error.function
    missing = f"There is no function {project}/{function}"
    other = Resource(kind=ResourceKind.PROJECT, project=function)
    if service.has_project(function) and may(Action.FUNCTION_READ, other):
        return NotFoundError(
            f"{missing}; {function} is a project.",
            next_step=f"Name it as the project, with no function: `--project {function}`.",
        )
    seen = await _seen(project, service, may)
    beside = {name: f"{project}/{name}" for found, name in seen if found == project}
    # What is meant may have the same name in another project, as that was mistyped.
    projects = {found: f"{found}/{name}" for found, name in seen if name == function}
    meant = near(function, beside, longest=_MAX_GUESSED) or near(
        project, projects, longest=_MAX_GUESSED
    )
    return NotFoundError(f"{missing}{question(meant) or '.'}", next_step=error.next_step)


async def _seen(project: str, service: Service, may: May) -> list[tuple[str, str]]:
    """Return functions that who asks may see, those of a project first; so many are looked at."""
    every = await service.control.functions()
    own = (each for each in every if each.project == project)
    others = (each for each in every if each.project != project)
    return [
        (each.project, each.name)
        for each in islice(chain(own, others), MAX_COMPARED)
        if may(Action.FUNCTION_READ, function_of(each.project, each.name))
    ]


def _asked(word: str, known: dict[str, str]) -> str:
    return question(near(word, known, longest=_MAX_GUESSED)) or "."


async def _may_see(project: str, service: Service, may: May) -> bool:
    """Tell whether who asks may see a project, or a function of it."""
    if may(Action.FUNCTION_READ, Resource(kind=ResourceKind.PROJECT, project=project)):
        return True
    return any(
        may(Action.FUNCTION_READ, function_of(project, each.name))
        for each in await service.control.functions()
        if each.project == project
    )
