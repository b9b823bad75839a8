"""Queries and errors of the operations on projects' data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

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

    max_bytes = MAX_DATA_QUERY_BYTES

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
