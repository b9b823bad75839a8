"""Queries and errors of the operations on projects' data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.requests import Request

from casemate.api.inputs import Query
from casemate.api.operations import QueryParameter, Service
from casemate.api.problems import RequestError
from casemate.data.errors import LimitError
from casemate.data.interface import MAX_KEY_BYTES, MAX_PAGE
from casemate.model.principal import Action, Resource, ResourceKind

MAX_DATA_QUERY_BYTES = 7 * 1024
"""A key, a prefix and the start of a page may all be there, percent-encoded."""
_HIGHEST_REVISION = 2**53


class DataQuery(Query):
    """A query that may hold keys: any text of up to 1024 bytes."""

    def __init__(self, request: Request) -> None:
        """Parse the query string; repeated parameters and broken encodings are refused."""
        raw = request.scope.get("query_string", b"")
        if len(raw) > MAX_DATA_QUERY_BYTES:
            raise RequestError(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                f"The query has {len(raw)} bytes, expected at most {MAX_DATA_QUERY_BYTES}.",
            )
        try:
            pairs = parse_qsl(
                raw.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(raw),
                errors="strict",
            )
        except ValueError as error:
            raise RequestError(
                HTTPStatus.BAD_REQUEST, "The query string is not `name=value` pairs in UTF-8."
            ) from error
        self._values: dict[str, str] = dict(pairs)
        if len(self._values) != len(pairs):
            raise RequestError(
                HTTPStatus.BAD_REQUEST, "A parameter of the query is given more than once."
            )

    def text(self, name: str) -> str | None:
        """Take a text as it is; whoever uses it checks it."""
        return self._values.pop(name, None)

    def key(self) -> str:
        """Take the key of an object, which must be there."""
        key = self.text("key")
        if key is None:
            raise RequestError(
                HTTPStatus.BAD_REQUEST,
                "The query has no `key`.",
                next_step="Name the object as `?key=...`, percent-encoded.",
            )
        return key

    def revision(self, name: str, minimum: int) -> int | None:
        """Take a revision."""
        if name not in self._values:
            return None
        return self.number(name, default=0, minimum=minimum, maximum=_HIGHEST_REVISION)

    def limit(self) -> int:
        """Take how many to return."""
        return self.number("limit", default=100, minimum=1, maximum=MAX_PAGE)


@contextmanager
def limits_as_problems() -> Iterator[None]:
    """Answer a limit that is reached with 413."""
    try:
        yield
    except LimitError as error:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error.message, next_step=error.next_step
        ) from error


def visible(
    request: Request,
    service: Service,
    action: Action,
    kind: ResourceKind,
    project: str,
    name: str,
) -> bool:
    """Tell whether who asks is shown a resource in a listing."""
    return service.may(request, action, Resource(kind=kind, project=project, name=name))


def text_parameter(name: str, description: str, *, least: int = 0) -> QueryParameter:
    """Return the declaration of a text in a query."""
    schema = {"type": "string", "minLength": least, "maxLength": MAX_KEY_BYTES}
    return QueryParameter(name=name, description=description, schema=schema)


def revision_parameter(name: str, description: str, *, minimum: int) -> QueryParameter:
    """Return the declaration of a revision in a query."""
    schema = {"type": "integer", "minimum": minimum, "maximum": _HIGHEST_REVISION}
    return QueryParameter(name=name, description=description, schema=schema)
