"""What only one function may have, kept in the transaction of the deploy: two nodes, one winner.

A node checks more, in memory (`admission`), before it deploys; what it knows there may be behind
what another node has committed. Kept here are the routes of a project, by method and shape, and the
consumer of a queue; those of the version that declares a function's triggers: the newest that its
alias `live` leads to. While one is tried, what it would go back to keeps its own as well: a trial
can always end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from casemate.decoding import decodable
from casemate.model.deployment import LIVE
from casemate.model.errors import ConflictError
from casemate.model.function import FunctionSpec
from casemate.model.trigger import QueueTrigger
from casemate.operations.declaration import Operation
from casemate.operations.deployments import ForgetFunction, KeepVersions
from casemate.operations.functions import SetAlias
from casemate.operations.trials import EndTrial, StartTrial
from casemate.sqlite import engine

Function = tuple[str, str]
"""Project and name."""
_EVERY = "*"
_MOVED: dict[type[Operation[Any]], Callable[[Any], tuple[Function, ...]]] = {
    KeepVersions: lambda o: tuple((one.project, one.function) for one in o.versions),
    SetAlias: lambda o: ((o.project, o.function),) if o.name == LIVE else (),
    StartTrial: lambda o: ((o.project, o.function),),
    EndTrial: lambda o: ((o.project, o.function),),
    ForgetFunction: lambda o: ((o.project, o.function),),
}
"""Operations that change which version declares, and of which functions."""
_LIVE = """
    SELECT version.spec, s.trial IS NOT NULL FROM alias_state AS s
    JOIN alias_target AS t ON t.state = s.id AND t.weight > 0
    JOIN version ON version.project = t.project AND version.function = t.function
        AND version.number = t.version
    WHERE s.id = (
        SELECT max(id) FROM alias_state WHERE project = ? AND function = ? AND name = ?)
    ORDER BY version.number DESC
"""
_RIVAL = """
    SELECT function FROM exclusive
    WHERE kind = ? AND project = ? AND name = ? AND (method = ? OR method = ? OR ? = '*')
    ORDER BY method LIMIT 1
"""


class Claim(NamedTuple):
    """A thing that one function of a project may have."""

    kind: str
    name: str
    method: str
    told: str


def follow(connection: engine.Connection, operation: Operation[Any]) -> None:
    """Keep what the functions of an operation that was done have; ConflictError if others do."""
    moved = _MOVED.get(type(operation))
    functions = dict.fromkeys(moved(operation) if moved is not None else ())
    for function in functions:  # all first: one may give to another what it had
        connection.execute("DELETE FROM exclusive WHERE project = ? AND function = ?", function)
    for project, name in functions:
        live = connection.execute(_LIVE, (project, name, LIVE)).fetchall()
        for place, (spec, is_tried) in enumerate(live):
            if place == 0 or is_tried:
                claims = _claims(msgspec.json.decode(spec, type=decodable(FunctionSpec)))
                for claim in dict.fromkeys(claims):
                    _keep(connection, project, name, claim)


def _keep(connection: engine.Connection, project: str, function: str, claim: Claim) -> None:
    kind, name, method, told = claim
    rival = connection.execute(_RIVAL, (kind, project, name, method, _EVERY, method)).fetchone()
    if rival is not None and rival[0] != function:
        raise ConflictError(
            f"{told} of {project}/{function} belongs to {project}/{rival[0]}.",
            next_step="Change it in casemate.toml, or remove the other function.",
        )
    connection.execute(
        "INSERT INTO exclusive (kind, project, name, method, function) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        (kind, project, name, method, function),
    )


def _claims(spec: FunctionSpec) -> Iterator[Claim]:
    for route in spec.http:
        told = f"The route {route.method} {route.path}"
        yield Claim("route", _shape(route.path), route.method, told)
    for trigger in spec.triggers:
        if isinstance(trigger, QueueTrigger):
            yield Claim("consumer", trigger.queue, "", f"The queue {trigger.queue}")


def _shape(template: str) -> str:
    """Return a template without the names of its parameters, as `admission.routes` tells them."""
    shape = []
    for segment in (each for each in template.split("/") if each):
        if segment.startswith("{"):
            shape.append("{...}" if segment.endswith("...}") else "{}")
        else:
            shape.append(segment)
    return "/" + "/".join(shape)
