"""Routes made from operations that are declared as data."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.operations import Operation, QueryParameter, Service
from casemate.api.performing import Call, Perform, Performers, resource_of, respond
from casemate.model.function import NAME_PATTERN
from casemate.operations.catalogue import operations_of
from casemate.operations.declaration import Decided
from casemate.operations.errors import DeclarationError
from casemate.operations.fields import ID_PATTERN, whole
from casemate.operations.form import Form, form_of

_COMPONENTS = {whole(NAME_PATTERN): "Name", whole(ID_PATTERN): "Id"}
"""What the description calls texts of such a pattern."""


def all_derived(module: ModuleType, performs: Performers) -> tuple[Operation, ...]:
    """Return the routes of all that a module declares for HTTP.

    DeclarationError if one is not performed.
    """
    kinds = tuple(kind for kind in operations_of(module) if kind.declared.http)
    for kind in kinds:
        if kind not in performs.by_type:
            raise DeclarationError(f"Nothing performs {kind.__name__}.")
    return tuple(derived(form_of(kind), performs.by_type[kind]) for kind in kinds)


def derived(form: Form, perform: Perform) -> Operation:
    """Return the route of one operation, performed by `perform`."""
    declared = form.declared

    async def endpoint(request: Request, service: Service) -> Response:
        return await respond(form.kind, perform, Call(service, request))

    return Operation(
        method=form.method,
        path=form.path,
        id=form.id,
        tag=declared.tag,
        summary=form.summary,
        description=form.description,
        endpoint=endpoint,
        query=tuple(map(partial(_parameter, form), form.in_query)),
        body=form.body,
        body_optional=declared.body_optional,
        body_media_type=declared.content_type if declared.raw_content else "application/json",
        has_body=declared.raw_content,
        status=declared.status,
        response=form.line or form.answer,
        response_media_type=declared.answer_type,
        other_statuses=declared.other_statuses,
        problems=declared.problems,
        action=declared.action,
        resource=partial(resource_of, form),
        anywhere=declared.anywhere,
        authenticated=declared.decided is not Decided.OPEN,
    )


def _parameter(form: Form, name: str) -> QueryParameter:
    field = form.fields[name]
    schema: dict[str, Any] = msgspec.json.schema(field.type)
    if "anyOf" in schema:
        # In a query what is null is left out.
        defined = schema.get("$defs", {})
        (schema,) = (each for each in schema["anyOf"] if each != {"type": "null"})
        if "$ref" in schema:
            values = defined[schema.pop("$ref").rpartition("/")[2]]["enum"]
            schema |= {"type": "string", "enum": values}
    description = schema.pop("description", "")
    if (known := _COMPONENTS.get(schema.get("pattern", ""))) is not None:
        schema = {"$ref": f"#/components/schemas/{known}"}
    if field.default not in (msgspec.NODEFAULT, None, ""):
        schema["default"] = field.default
    return QueryParameter(
        name=name, description=description, schema=schema, required=field.required
    )
