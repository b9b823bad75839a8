"""What one operation of the API is: the one declaration that routing and OpenAPI are made from."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.accounts import Accounts
from casemate.api.authorization import ResourceOf, node, principal
from casemate.api.control import Control
from casemate.api.health import NodeHealth, nothing_known
from casemate.api.problems import RequestError
from casemate.data.interface import ProjectData
from casemate.model.denial import Denial, DenialKind
from casemate.model.principal import Action, Resource, ResourceKind
from casemate.model.trigger import ScheduleStatus
from casemate.policy.interface import ManagedPolicy
from casemate.sources import SourceStatus
from casemate.store.interface import Store
from casemate.vault.interface import Vault

if TYPE_CHECKING:
    from casemate.api.backup import MakeBackup
    from casemate.api.check import Checks

JSON = "application/json"
NDJSON = "application/x-ndjson"
GZIP = "application/gzip"


@dataclass(eq=False)
class Slots:
    """A bound on how many requests do the same costly thing at once."""

    what: str
    free: int

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Hold one slot. Whether there is one was asked before (`require`)."""
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1

    def require(self) -> None:
        """Refuse the request (429) if no slot is free."""
        if self.free <= 0:
            raise RequestError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"Too many {self.what} at the same time.",
                next_step="Try again when one of them has ended.",
            )


@dataclass(frozen=True, kw_only=True)
class Service:
    """What every endpoint works with."""

    control: Control
    spool: Path
    """Folder for bundles while they are received; on the disk that keeps them afterwards."""
    accounts: Accounts
    policy: ManagedPolicy
    vault: Vault
    data: ProjectData
    store: Store
    deny: Callable[[Denial], None]
    make_backup: MakeBackup
    checks: Checks
    sources: Callable[[], tuple[SourceStatus, ...]]
    schedules: Callable[[str, str], tuple[ScheduleStatus, ...]]
    ensure_inbox: Callable[[str], Awaitable[None]]
    """Has every function of a project an inbox."""
    health: Callable[[], NodeHealth] = nothing_known
    uploads: Slots = field(default_factory=lambda: Slots("uploads", 4))
    followers: Slots = field(default_factory=lambda: Slots("followed logs", 64))
    backups: Slots = field(default_factory=lambda: Slots("backups", 1))

    def may(self, request: Request, action: Action, resource: Resource) -> bool:
        """Tell whether who asks may do this; nothing is recorded."""
        return self.policy.allows(principal(request), action, resource)

    def require(self, request: Request, action: Action, resource: Resource) -> None:
        """Let who asks do this, or record the denial and raise RequestError (403)."""
        asking = principal(request)
        if self.policy.allows(asking, action, resource):
            return
        decided = self.policy.decide(asking, action, resource)
        self.deny(
            Denial(
                at=time.time(),
                kind=DenialKind.AUTHORIZATION,
                principal=asking.text,
                action=action.value,
                resource=resource.text,
                reason=decided.why,
                project=resource.project,
                function=resource.name if resource.kind is ResourceKind.FUNCTION else "",
                remote_address=request.client.host if request.client else "",
            )
        )
        raise RequestError(
            HTTPStatus.FORBIDDEN,
            f"{asking.text} may not {action.value} on {resource.text}.",
            next_step="Ask an owner for a role that allows it; "
            f"`casemate can {asking.text} {action.value} {resource.text} --why` tells which.",
        )


Endpoint = Callable[[Request, Service], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class QueryParameter:
    """One parameter of a query and its JSON Schema."""

    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method on one path."""

    method: str
    path: str
    """Below the prefix, with `{parameters}`."""
    id: str
    tag: str
    summary: str
    description: str = ""
    endpoint: Endpoint
    query: tuple[QueryParameter, ...] = ()
    body: type[msgspec.Struct] | None = None
    body_optional: bool = False
    body_media_type: str = JSON
    has_body: bool = False
    """True if there is a body that is not described by `body`."""
    status: HTTPStatus = HTTPStatus.OK
    response: Any = None
    """Type of the answer; None if it has no body."""
    response_media_type: str = JSON
    other_statuses: tuple[tuple[HTTPStatus, str, Any], ...] = ()
    """Further statuses that are not problems, with their meaning and type."""
    problems: tuple[int, ...] = ()
    """Statuses of problems beyond 400, 401, 403 and 500, which every operation can answer with."""
    authenticated: bool = True
    action: Action | None = None
    """What must be allowed; None (only with `authenticated=False`, or where the endpoint itself
    decides for each thing it shows) asks for nothing."""
    resource: ResourceOf = node
    """What the action is on."""


def json_response(value: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return a value of the model as JSON."""
    return Response(msgspec.json.encode(value), status.value, media_type=JSON)


PROJECT = QueryParameter(
    name="project",
    description="Only those of this project.",
    schema={"$ref": "#/components/schemas/Name"},
)
FUNCTION = QueryParameter(
    name="function",
    description="Only those of this function; needs `project`.",
    schema={"$ref": "#/components/schemas/Name"},
)


def number_parameter(
    name: str, description: str, *, default: int, minimum: int, maximum: int
) -> QueryParameter:
    """Return the declaration of a whole number in a query."""
    return QueryParameter(
        name=name,
        description=description,
        schema={"type": "integer", "default": default, "minimum": minimum, "maximum": maximum},
    )
