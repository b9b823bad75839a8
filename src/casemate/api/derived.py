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
from casemate.operations.catalogue import operations_of
from casemate.operations.declaration import Decided
from casemate.operations.form import Form, form_of


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
        response=form.answer,
        response_media_type=declared.answer_type,
        other_statuses=declared.other_statuses,
        problems=declared.problems,
        action=declared.action,
        resource=partial(resource_of, form),
        authenticated=declared.decided is not Decided.OPEN,
    )


def routes(module: ModuleType, performs: Performers) -> tuple[Operation, ...]:
    """Return the routes of a module's operations; one that nothing performs is a KeyError."""
    return tuple(
        derived(form_of(kind), performs.by_type[kind])
        for kind in operations_of(module)
        if kind.declared.http
    )


def _parameter(form: Form, name: str) -> QueryParameter:
    field = form.fields[name]
    schema: dict[str, Any] = msgspec.json.schema(field.type)
    if "anyOf" in schema:
        # In a query what is null is left out.
        (schema,) = (each for each in schema["anyOf"] if each != {"type": "null"})
    description = schema.pop("description", "")
    if field.default not in (msgspec.NODEFAULT, None, ""):
        schema["default"] = field.default
    return QueryParameter(
        name=name, description=description, schema=schema, required=field.required
    )
