"""The OpenAPI 3.1 description of the API, made from the same declarations as its routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

import casemate
from casemate.api.operations import Operation
from casemate.api.problems import Problem
from casemate.model.bundle import DIGEST_PATTERN
from casemate.model.function import NAME_PATTERN
from casemate.model.problem import MEDIA_TYPE
from casemate.operations.fields import ID_PATTERN, NUMBER_PATTERN

_REF = "#/components/schemas/{name}"

_PLAIN_SCHEMAS: dict[str, Any] = {
    "Name": {"type": "string", "pattern": NAME_PATTERN, "description": "A DNS label."},
    "Digest": {"type": "string", "pattern": DIGEST_PATTERN, "description": "SHA-256 in hex."},
    "Id": {"type": "string", "pattern": ID_PATTERN},
    "Number": {"type": "string", "pattern": NUMBER_PATTERN},
}

_PARAMETER_SCHEMAS = {"digest": "Digest", "id": "Id", "number": "Number"}

_PROBLEMS = {
    400: "The request is malformed.",
    401: "There is no valid credential.",
    403: "No policy allows it.",
    404: "There is no such thing.",
    409: "The change conflicts with what is stored.",
    413: "The body is too large.",
    414: "The target or the query is too long.",
    415: "The body has the wrong media type.",
    422: "The request is understood but cannot be carried out.",
    429: "Too many of these at the same time.",
    500: "A fault of the node; its log has the rest.",
    503: "The node cannot do this now; try again.",
}

_HEADERS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}


def describe(prefix: str, operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document for `operations` below `prefix`."""
    types: list[Any] = [Problem]
    for operation in operations:
        types += [t for t in (operation.body, operation.response) if t is not None]
        types += [t for _, _, t in operation.other_statuses]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        item = paths.setdefault(prefix + operation.path, _path_item(operation.path))
        item[operation.method.lower()] = _operation(operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Casemate control API",
            "version": casemate.__version__,
            "summary": "Deploy, inspect and operate the functions of a Casemate node.",
            "description": (
                "Every GET can also be asked with HEAD. Bodies and queries are read strictly: "
                "what is not described here is refused."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(o.tag for o in operations)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**components, **_PLAIN_SCHEMAS}.items())),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "cm_<id>_<secret>",
                    "description": "A key with the role `admin`.",
                }
            },
        },
    }


def _path_item(path: str) -> dict[str, Any]:
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"$ref": _REF.format(name=_PARAMETER_SCHEMAS.get(name, "Name"))},
        }
        for name in re.findall(r"{(\w+)}", path)
    ]
    return {"parameters": parameters} if parameters else {}


def _content(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {media_type: {"schema": schema}}


def _operation(operation: Operation, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": _responses(operation, schema_of),
    }
    if operation.description:
        described["description"] = operation.description
    if not operation.authenticated:
        described["security"] = []
    if operation.query:
        described["parameters"] = [
            {
                "name": parameter.name,
                "in": "query",
                "description": parameter.description,
                "required": parameter.required,
                "schema": parameter.schema,
            }
            for parameter in operation.query
        ]
    if operation.body is not None:
        described["requestBody"] = {
            "required": not operation.body_optional,
            "content": _content(operation.body_media_type, schema_of[operation.body]),
        }
    elif operation.has_body:
        described["requestBody"] = {
            "required": True,
            "content": {operation.body_media_type: {}},
        }
    return described


def _responses(operation: Operation, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    successes = [(operation.status, operation.status.phrase, operation.response)]
    for status, meaning, kind in (*successes, *operation.other_statuses):
        responses[str(status.value)] = {"description": meaning}
        if kind is not None:
            responses[str(status.value)]["content"] = _content(
                operation.response_media_type, schema_of[kind]
            )
    problems = {400, 414, 500, *operation.problems}
    if operation.authenticated:
        problems |= {401, 403, 503}
    for problem in sorted(problems):
        response: dict[str, Any] = {"description": _PROBLEMS[problem]}
        if operation.method != "HEAD":
            response["content"] = _content(MEDIA_TYPE, schema_of[Problem])
        if problem in _HEADERS:
            response["headers"] = {_HEADERS[problem]: {"schema": {"type": "string"}}}
        responses[str(problem)] = response
    return dict(sorted(responses.items()))
