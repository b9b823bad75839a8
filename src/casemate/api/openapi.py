"""The OpenAPI 3.1 description of a node, derived from its operations as its routes are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

import casemate
from casemate.api.invocation_paths import INVOCATION_PATHS
from casemate.api.problems import Problem
from casemate.model.bundle import DIGEST_PATTERN
from casemate.model.function import NAME_PATTERN
from casemate.model.problem import MEDIA_TYPE
from casemate.operations import samples
from casemate.operations.declaration import JSON, NDJSON, Decided
from casemate.operations.fields import ID_PATTERN, whole
from casemate.operations.form import Form

_REF = "#/components/schemas/{name}"

_NAMED: dict[str, tuple[str, dict[str, Any]]] = {
    whole(NAME_PATTERN): (
        "Name",
        {"type": "string", "pattern": NAME_PATTERN, "description": "A DNS label."},
    ),
    whole(DIGEST_PATTERN): (
        "Digest",
        {"type": "string", "pattern": DIGEST_PATTERN, "description": "SHA-256 in hex."},
    ),
    whole(ID_PATTERN): ("Id", {"type": "string", "pattern": ID_PATTERN}),
}
"""What the description calls texts of a pattern, in paths and queries."""

_PROBLEMS = {
    400: "The request is malformed.",
    401: "There is no valid credential.",
    403: "No policy allows it.",
    404: "There is no such thing.",
    409: "The change conflicts with stored data.",
    413: "The body is too large.",
    414: "The target or the query is too long.",
    415: "The body has the wrong media type.",
    422: "The request is understood but cannot be carried out.",
    429: "Too many of these at the same time.",
    500: "A fault of the node; its log has the rest.",
    503: "The node cannot do this now; try again.",
}
_HEADERS = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}


def describe(prefix: str, forms: Sequence[Form]) -> dict[str, Any]:
    """Return the OpenAPI document for operations below `prefix`, and for invoking functions."""
    types: list[Any] = [Problem]
    for form in forms:
        types += [t for t in (form.body, form.line or form.answer) if t is not None]
        types += [t for _, _, t in form.declared.other_statuses if t is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for form in forms:
        item = paths.setdefault(prefix + form.path, _path_item(form))
        item[form.method.lower()] = _operation(form, schema_of)
    tags = dict.fromkeys(["invocation", *(form.declared.tag for form in forms)])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Casemate control API",
            "version": casemate.__version__,
            "summary": "Deploy, inspect and operate the functions of a Casemate node.",
            "description": (
                "Every GET also works with HEAD. Bodies and queries are read strictly: "
                "anything that is not described here is refused."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": tag} for tag in tags],
        "paths": {**paths, **INVOCATION_PATHS},
        "components": {
            "schemas": dict(sorted({**components, **dict(_NAMED.values())}.items())),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "cm_<id>_<secret>",
                    "description": "A token, of a person or a service; policies say what it may.",
                }
            },
        },
    }


def parameter(form: Form, name: str) -> dict[str, Any]:
    """Return one parameter of a path or query."""
    field = form.fields[name]
    schema: dict[str, Any] = msgspec.json.schema(field.type)
    definitions = schema.pop("$defs", {})
    if "anyOf" in schema:
        # In a path or query what is null is left out.
        (schema,) = (each for each in schema["anyOf"] if each != {"type": "null"})
    if (reference := schema.pop("$ref", None)) is not None:
        # An enumeration, written where it stands.
        values = definitions[reference.rpartition("/")[2]]["enum"]
        schema |= {"type": "string", "enum": values}
    described: dict[str, Any] = {"name": name, "in": "query", "required": field.required}
    if name in form.in_path:
        described |= {"in": "path", "required": True}
    description = schema.pop("description", "")
    if description:
        described["description"] = description
    schema.pop("examples", None)
    if (known := _NAMED.get(schema.get("pattern", ""))) is not None:
        schema = {"$ref": _REF.format(name=known[0])}
    if field.default not in (msgspec.NODEFAULT, None, ""):
        schema["default"] = msgspec.to_builtins(field.default)
    example = getattr(samples.request_of(form), name)
    if example not in (None, ""):
        described["example"] = msgspec.to_builtins(example)
    return {**described, "schema": schema}


def _path_item(form: Form) -> dict[str, Any]:
    parameters = [parameter(form, name) for name in form.in_path]
    return {"parameters": parameters} if parameters else {}


def _content(media_type: str, schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {media_type: content}


def _operation(form: Form, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": form.id,
        "tags": [form.declared.tag],
        "summary": form.summary,
        "description": form.description or f"{form.summary}.",
        "responses": _responses(form, schema_of),
    }
    if form.declared.action is not None:
        described["x-casemate-action"] = form.declared.action.value
    if form.declared.decided is Decided.OPEN:
        described["security"] = []
    if form.in_query:
        described["parameters"] = [parameter(form, name) for name in form.in_query]
    if form.body is not None:
        example = form.json(samples.request_of(form)) or {}
        described["requestBody"] = {
            "required": not form.declared.body_optional,
            "content": _content(JSON, schema_of[form.body], _as_json(example)),
        }
    elif form.declared.content or form.declared.raw_content:
        described["requestBody"] = {"required": True, "content": {form.declared.content_type: {}}}
    return described


def _as_json(value: Any) -> Any:
    """Return a value as JSON has it, also where it holds JSON that is written already."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _responses(form: Form, schema_of: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    declared = form.declared
    responses: dict[str, Any] = {}
    successes = [(declared.status, declared.status.phrase, form.line or form.answer)]
    for status, meaning, kind in (*successes, *declared.other_statuses):
        responses[str(status.value)] = {"description": meaning}
        if kind is not None:
            example = _example(form, kind)
            media_type = declared.answer_type
            responses[str(status.value)]["content"] = _content(media_type, schema_of[kind], example)
    problems = {400, 414, 500, *declared.problems}
    if declared.decided is not Decided.OPEN:
        problems |= {401, 403, 503}
    if form.narrowed:
        problems |= {404}
    for problem in sorted(problems):
        response: dict[str, Any] = {"description": _PROBLEMS[problem]}
        if form.method != "HEAD":
            response["content"] = _content(MEDIA_TYPE, schema_of[Problem])
        if problem in _HEADERS:
            response["headers"] = {_HEADERS[problem]: {"schema": {"type": "string"}}}
        responses[str(problem)] = response
    return dict(sorted(responses.items()))


def _example(form: Form, kind: Any) -> Any:
    if form.declared.answer_type == NDJSON:
        return msgspec.json.encode(samples.sample(kind, form.id)).decode() + "\n"
    if form.declared.answer_type != JSON:
        return None
    return samples.answer_of(form) if kind is form.answer else samples.sample(kind, form.id)
