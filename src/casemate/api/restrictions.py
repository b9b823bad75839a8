"""Operations on what is held back. Each is decided by what it is of: function, project or node."""

from __future__ import annotations

from casemate.api.authorization import function_of
from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.model.principal import NODE, Action, Resource, ResourceKind
from casemate.model.restriction import Restriction
from casemate.operations import restrictions
from casemate.operations.restrictions import (
    LiftRestriction,
    ListRestrictions,
    Restrict,
    Restrictions,
)

performs = Performers()


def _of(project: str, function: str) -> Resource:
    if not project:
        return NODE
    if function:
        return function_of(project, function)
    return Resource(kind=ResourceKind.PROJECT, project=project)


@performs(Restrict)
async def _restrict(wanted: Restrict, call: Call) -> Restriction:
    project, function = wanted.project or "", wanted.function or ""
    call.require(Action.RESTRICTION_WRITE, _of(project, function))
    if project and function:
        await call.service.control.function(project, function)
    return await call.service.restrictions.restrict(
        wanted.kind, project, function, wanted.what, reason=wanted.reason, by=call.actor
    )


@performs(LiftRestriction)
async def _lift(wanted: LiftRestriction, call: Call) -> Restriction:
    held = call.service.restrictions
    found = next((one for one in held.all(None) if one.id == wanted.id), None)
    of = NODE if found is None else _of(found.project, found.function)
    try:
        # An id follows from what is held back, so that anybody can ask for any. Who may not lift it
        # is not told whether there is one: it looks like one that is not there.
        call.require(Action.RESTRICTION_WRITE, of, told=NODE)
    except RequestError as error:
        if found is None or not call.may(Action.RESTRICTION_WRITE, NODE):
            raise
        raise held.missing(wanted.id) from error
    return await held.lift(wanted.id, wanted.reason, call.actor)


@performs(ListRestrictions)
async def _list(wanted: ListRestrictions, call: Call) -> Restrictions:
    return Restrictions(restrictions=call.service.restrictions.all(wanted.project))


OPERATIONS = all_served(restrictions, performs)
