"""What one operation of the API is: the one declaration that routing and OpenAPI are made from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.control import Control
from casemate.api.problems import RequestError

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


@dataclass(frozen=True)
class Service:
    """What every endpoint works with."""

    control: Control
    spool: Path
    """Folder for bundles while they are received; on the disk that keeps them afterwards."""
    uploads: Slots = field(default_factory=lambda: Slots("uploads", 4))
    followers: Slots = field(default_factory=lambda: Slots("followed logs", 64))


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
