"""The paths by which functions are invoked, for the OpenAPI document: they are not operations."""

from __future__ import annotations

from typing import Any

from casemate.delivery import wish
from casemate.model.function import NAME_PATTERN

_EVENT = {"amount": 1200, "currency": "EUR"}

_HEADERS: tuple[tuple[str, str, dict[str, Any], Any], ...] = (
    (
        "Prefer",
        "`respond-async` has the event kept, durably, and answered at once with 202 (RFC 7240).",
        {"type": "string"},
        "respond-async",
    ),
    (
        "Idempotency-Key",
        "The same key within a day leads to one invocation, and to its answer.",
        {"type": "string", "minLength": 1, "maxLength": wish.MAX_KEY},
        "order-1042",
    ),
    (
        "Casemate-Delay",
        "With `respond-async`: seconds until it runs.",
        {"type": "number", "minimum": 0, "maximum": wish.MAX_DELAY},
        60,
    ),
    (
        "Casemate-Priority",
        "With `respond-async`: higher ones run first.",
        {"type": "integer", "minimum": -wish.MAX_PRIORITY, "maximum": wish.MAX_PRIORITY},
        5,
    ),
    (
        "Casemate-Key",
        "With `respond-async`: those with the same key run one after the other, in order.",
        {"type": "string", "minLength": 1, "maxLength": wish.MAX_KEY},
        "customer-7",
    ),
    (
        "Casemate-Max-Age",
        "With `respond-async`: seconds after which it is no longer tried.",
        {"type": "number", "minimum": 0, "maximum": wish.MAX_AGE},
        3600,
    ),
)

_ANSWERS = {
    "200": "The function's own answer: its status, headers and body; here that of plain JSON.",
    "202": "Kept; `id` names the invocation, of which "
    "`GET /api/v1/functions/{project}/{function}/invocations/{id}` tells.",
}
_REFUSALS = {
    "400": "The event breaks the function's contract or a limit; `errors` names the places.",
    "401": "There is no valid credential, and the function is not public.",
    "403": "No policy allows it.",
    "404": "There is no such function, or it is internal.",
    "413": "The body is too large.",
    "429": "A limit of the function, of its project or of the caller is reached.",
    "500": "The function failed; `error_id` names the error, whose details its owner sees.",
    "503": "There is no room at the moment.",
    "504": "The function did not answer in time.",
}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": schema}},
    }


def _invoke(operation_id: str, summary: str, description: str) -> dict[str, Any]:
    answered: dict[str, Any] = {
        status: {"description": text, "content": {"application/json": {"schema": {}}}}
        for status, text in _ANSWERS.items()
    }
    answered["200"]["content"]["application/json"]["example"] = {"total": 1200}
    answered["202"]["content"]["application/json"]["example"] = {
        "id": "inv_01a21a5c499d6d1728d66ddc"
    }
    return {
        "operationId": operation_id,
        "tags": ["invocation"],
        "summary": summary,
        "description": description,
        "x-casemate-action": "function:invoke",
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": False,
                "description": text,
                "schema": schema,
                "example": example,
            }
            for name, text, schema, example in _HEADERS
        ],
        "requestBody": {
            "required": False,
            "description": "The event: JSON, or a CloudEvent in any of its HTTP modes.",
            "content": {
                "application/json": {"schema": {}, "example": _EVENT},
                "application/cloudevents+json": {"schema": {"type": "object"}},
            },
        },
        "responses": answered | {status: _problem(text) for status, text in _REFUSALS.items()},
    }


def _named(name: str, description: str, example: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "pattern": NAME_PATTERN},
        "example": example,
    }


_PROJECT = _named("project", "The project.", "shop")
_FUNCTION = _named("function", "The function.", "checkout")
_QUALIFIER = {
    "name": "qualifier",
    "in": "path",
    "required": True,
    "description": "An alias, or a version's number; the latter needs `function:invoke-version`.",
    "schema": {
        "type": "string",
        "pattern": r"^([1-9][0-9]{0,14}|[a-z]([a-z0-9-]{0,61}[a-z0-9])?)$",
    },
    "example": "canary",
}

INVOCATION_PATHS: dict[str, dict[str, Any]] = {
    "/invoke/{project}/{function}": {
        "parameters": [_PROJECT, _FUNCTION],
        "post": _invoke(
            "invokeFunction",
            "Invoke a function with an event",
            "The live version runs it, in a process of its own. Routes of functions, which their "
            "manifests declare, are invocations too, at paths of their own.",
        ),
    },
    "/invoke/{project}/{function}@{qualifier}": {
        "parameters": [_PROJECT, _FUNCTION, _QUALIFIER],
        "post": _invoke(
            "invokeFunctionAt",
            "Invoke an alias or a version of a function with an event",
            "What decides who may is what is in force now, for older versions too.",
        ),
    },
}
"""Paths of the OpenAPI document, beside those of the operations."""
