"""Operations on incidents: what is said and done is a fact, which the monitor reads."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from msgspec.structs import replace

from casemate.api.closing import is_read
from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.model.errors import (
    CasemateError,
    ConflictError,
    InvalidInputError,
    UnavailableError,
)
from casemate.model.principal import Action, Resource
from casemate.model.response_facts import IncidentActed, IncidentUpdated
from casemate.operations import incidents
from casemate.operations.incidents import (
    MAX_CONTAINED,
    AssignIncident,
    ContainIncident,
    Containment,
    Incident,
    IncidentAction,
    IncidentPage,
    IncidentState,
    ListIncidents,
    NoteIncident,
    ResolveIncident,
    ShowIncident,
)
from casemate.operations.quarantine import QuarantineFunction

_ON_CALL_DAYS = 92
READ_SECONDS = 5.0
"""How long who closes an incident waits for the monitor to read of it: some milliseconds mostly."""
_LOOK_SECONDS = 0.02

performs = Performers()


async def _found(id: str, call: Call) -> Incident:
    return await call.service.monitor.incident(id)


def _update(
    call: Call,
    incident: Incident,
    change: str,
    value: str,
    text: str = "",
    *,
    at: float | None = None,
) -> None:
    call.service.facts.happened(
        IncidentUpdated(
            at=time.time() if at is None else at,
            by=call.actor.principal,
            remote_address=call.actor.remote_address,
            incident=incident.id,
            change=change,
            value=value,
            text=text,
            seen_at=incident.last_at,
        )
    )


@performs(ListIncidents)
async def _list(wanted: ListIncidents, call: Call) -> IncidentPage:
    return await call.service.monitor.incidents(wanted)


@performs(ShowIncident)
async def _show(wanted: ShowIncident, call: Call) -> Incident:
    found = await _found(wanted.id, call)
    if wanted.project is not None and found.projects != (wanted.project,):
        raise wanted.missing
    node = call.service.nodes.name
    timeline = tuple(line if line.node else replace(line, node=node) for line in found.timeline)
    return replace(found, timeline=timeline)


@performs(AssignIncident)
async def _assign(wanted: AssignIncident, call: Call) -> None:
    found = await _found(wanted.id, call)
    if wanted.owner and not wanted.outside:
        await _require_known(wanted.owner, call)
    _update(call, found, "assign", wanted.owner)


async def _require_known(owner: str, call: Call) -> None:
    """Refuse a name that is nobody's: nobody else would be told of the incident any more."""
    name = owner.removeprefix("user:")
    if any(user.name == name for user in call.service.accounts.people.all()):
        return
    if any(one.person == owner for one in await call.service.monitor.on_call(_ON_CALL_DAYS)):
        return
    raise InvalidInputError(
        f"{owner!r} is nobody's account here, and not on call.",
        next_step="`casemate users ls` and `casemate alert on-call` show names; --outside "
        "(`outside` over HTTP) is for somebody else's.",
    )


@performs(NoteIncident)
async def _note(wanted: NoteIncident, call: Call) -> None:
    _update(call, await _found(wanted.id, call), "note", "", wanted.text)


@performs(ResolveIncident)
async def _resolve(wanted: ResolveIncident, call: Call) -> None:
    found = await _found(wanted.id, call)
    if wanted.state is IncidentState.CONTAINED:
        raise ConflictError(
            "An incident is contained by actions, not by setting its state.",
            next_step=f"Run: casemate incident contain {found.id} --reason TEXT",
        )
    now = time.time()
    by = call.actor.principal
    call.service.decisions.decide(found, wanted.state, by, wanted.reason, now)
    _update(call, found, "state", wanted.state.value, wanted.reason, at=now)
    if wanted.state.closed:
        await _require_closed(found, call, now)


async def _require_closed(before: Incident, call: Call, at: float) -> None:
    """Return once the monitor has read that an incident is closed.

    Of what was found since nobody has said anything: that keeps it open. Raises ConflictError
    then, UnavailableError if the monitor has not read it in time.
    """
    await call.service.recorder.durable()
    by = call.actor.principal
    deadline = time.monotonic() + READ_SECONDS
    while True:
        known = await _found(before.id, call)
        if is_read(known, by, at):
            break
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"It is on record that {before.id} is closed, but the monitor has not read it "
                f"within {READ_SECONDS:g} s: what was found meanwhile may keep it open.",
                next_step=f"`casemate incident show {before.id}` tells its state.",
            )
        await asyncio.sleep(_LOOK_SECONDS)
    if known.state.closed or known.last_at <= before.last_at:
        return  # or somebody has opened it again since
    raise ConflictError(
        f"The incident {before.id} stays {known.state.value}: more was found of it after what "
        f"it had when it was to be closed, the last at "
        f"{datetime.fromtimestamp(known.last_at, UTC):%F %T}Z. The reason stands in its timeline.",
        next_step=f"Look at what is new: casemate incident show {before.id}. Then close it again.",
    )


@performs(ContainIncident)
async def _contain(wanted: ContainIncident, call: Call) -> Containment:
    found = await _found(wanted.id, call)
    functions = _meant(wanted, found)
    if not functions:
        about = ", ".join(found.things) or "nothing"
        raise ConflictError(
            f"The incident {found.id} is about no function: {about}.",
            next_step="Revoke a token with `casemate tokens revoke`, remove a person with "
            "`casemate users rm`, and note it with `casemate incident note`.",
        )
    if len(functions) > MAX_CONTAINED:
        raise ConflictError(
            f"The incident {found.id} is about {len(functions)} functions, of which at most "
            f"{MAX_CONTAINED} are put into quarantine at once.",
            next_step=f"Name those that are meant: casemate incident contain {found.id} "
            "--function PROJECT/FUNCTION --reason TEXT",
        )
    actions = [await _quarantine(each, found, wanted, call) for each in functions]
    return Containment(incident=found.id, actions=tuple(actions))


def _meant(wanted: ContainIncident, found: Incident) -> tuple[Resource, ...]:
    """Return the functions that are meant. Raises ConflictError for what it is not about."""
    if not wanted.functions:
        return found.functions
    named = {f"{each.project}/{each.name}": each for each in found.functions}
    if others := [each for each in wanted.functions if each not in named]:
        raise ConflictError(
            f"The incident {found.id} is not about {', '.join(others)}.",
            next_step="`casemate quarantine FUNCTION --reason TEXT` stops any function; it is "
            "about " + (", ".join(named) or "none") + ".",
        )
    return tuple(named[each] for each in dict.fromkeys(wanted.functions))


async def _quarantine(
    resource: Resource, found: Incident, wanted: ContainIncident, call: Call
) -> IncidentAction:
    project, function = resource.project, resource.name
    problem = before = ""
    try:
        call.require(Action.FUNCTION_QUARANTINE, resource)
        reason = f"incident {found.id}: {wanted.reason}"
        operation = QuarantineFunction(
            project=project, function=function, reason=reason, kill=wanted.kill
        )
        held = await call.service.control.quarantine(operation, by=call.actor)
        if (held.by, held.reason) != (call.actor.principal, reason):
            before = f"by {held.by}: {held.reason}"
    except (CasemateError, RequestError) as error:
        problem = str(error) or type(error).__name__
    action = IncidentAction(
        action="quarantine",
        target=resource.text,
        done=not problem,
        problem=problem,
        undo=f"casemate release {project}/{function} --reason TEXT",
        before=before,
    )
    call.service.facts.happened(
        IncidentActed(
            at=time.time(),
            by=call.actor.principal,
            remote_address=call.actor.remote_address,
            project=project,
            function=function,
            incident=found.id,
            action=action.action,
            target=action.target,
            undo=action.undo,
            problem=problem,
        )
    )
    return action


OPERATIONS = all_served(incidents, performs)
