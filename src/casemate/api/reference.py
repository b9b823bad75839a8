"""The API's reference page, made from its OpenAPI document.

`python -m casemate.api.reference` prints it; `docs/reference/api.md` holds what it prints.
"""

from __future__ import annotations

import sys
from typing import Any

from casemate.api.app import document
from casemate.operations.catalogue import FORMS, require_readable

_METHODS = ("get", "head", "put", "post", "delete")
_TAGS = {
    "invocation": "functions: invoking them",
    "node": "the node",
    "functions": "functions",
    "bundles": "bundles",
    "signing": "who vouches for bundles",
    "records": "invocations, errors, logs, denials and recordings",
    "journal": "the journal",
    "findings": "findings and alerts",
    "advisories": "advisories and known vulnerabilities",
    "incidents": "incidents",
    "routes": "paths and host names of projects",
    "data": "buckets, tables, queues and topics",
    "delivery": "asynchronous invocations and dead letters",
    "secrets": "secrets",
    "decoys": "decoys",
    "vault": "the vault",
    "users": "people",
    "tokens": "tokens",
    "access": "access reviews",
    "login": "logging in",
    "policies": "policies",
    "oidc": "the OpenID provider",
    "workloads": "pipelines that sign in",
}

_HEAD = """\
<!-- Made by `python -m casemate.api.reference`; a test compares it. Do not edit. -->
# Control API

{summary} The node serves it on the same port as the functions. The machine-readable
description (OpenAPI 3.1) is at `GET /api/v1/openapi.json`.

- **Authentication**: `Authorization: Bearer cm_...`, on every path but `/api/v1/health` and those
  for logging in. Without a valid token the answer is 401.
- **Authorization**: each operation names its action; [policies](policies.md) say who may do it
  where. Who may not gets 403, and the attempt is recorded.
- **Strictness**: unknown fields and parameters, repeated parameters, other media types (415) and
  bodies over 64 KiB (413; bundles: 512 MiB) are refused.
- **Errors** are problem details (RFC 9457, `application/problem+json`) with the members below.
  `type` does not change between releases; `error_id` is what the node's own log names it by.
- Times are Unix seconds, sizes are bytes.
"""


def _label(schema: dict[str, Any]) -> str:
    """Return a short name of a schema's type."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_label(s) for s in schema["anyOf"])
    if schema.get("type") == "array":
        return f"array of {_label(schema.get('items') or {})}"
    label = str(schema.get("type", "any"))
    bounds = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "from"), ("maximum", "to"), ("default", "default"))
        if key in schema
    ]
    return f"{label} ({', '.join(bounds)})" if bounds else label


def _operation(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    lines = [f"### `{method.upper()} {path}`", "", operation["summary"] + ".", ""]
    if operation["description"] != f"{operation['summary']}.":
        lines += [operation["description"], ""]
    for parameter in operation.get("parameters", ()):
        label = _label(parameter["schema"])
        text = f". {parameter['description']}" if "description" in parameter else ""
        needed = ", needed" if parameter["required"] else ""
        lines.append(f"- {parameter['in']} `{parameter['name']}`: {label}{needed}{text}")
    if "requestBody" in operation:
        body = operation["requestBody"]
        for media_type, content in body["content"].items():
            kind = f", {_label(content['schema'])}" if "schema" in content else ""
            needed = "" if body["required"] else ", may be left out"
            lines.append(f"- body: `{media_type}`{kind}{needed}")
    for status, response in operation["responses"].items():
        if status >= "400":
            continue
        kinds = [
            f": `{media_type}`, {_label(content['schema'])}"
            for media_type, content in response.get("content", {}).items()
        ]
        lines.append(f"- {status} {response['description']}{''.join(kinds)}")
    problems = [status for status in operation["responses"] if status >= "400"]
    lines += [f"- problems: {', '.join(problems)}", ""]
    return lines


def _schema(name: str, schema: dict[str, Any]) -> list[str]:
    lines = [f"### {name}", ""]
    if "description" in schema:
        lines += [" ".join(schema["description"].split("\n\n")[0].split()), ""]
    if "enum" in schema:
        lines += [f"One of {', '.join(f'`{value}`' for value in schema['enum'])}.", ""]
    elif "pattern" in schema:
        lines += [f"Text that matches `{schema['pattern']}`.", ""]
    if schema.get("properties"):
        required = set(schema.get("required", ()))
        lines += ["| field | type | |", "|---|---|---|"]
        for field, kind in schema["properties"].items():
            label = _label(kind).replace("|", "\\|")
            lines.append(f"| `{field}` | {label} | {'' if field in required else 'optional'} |")
        lines.append("")
    return lines


def markdown() -> str:
    """Return the reference page."""
    described = document()
    lines = [_HEAD.format(summary=described["info"]["summary"])]
    for tag in described["tags"]:
        lines += [f"## Operations on {_TAGS[tag['name']]}", ""]
        for path, item in described["paths"].items():
            for method in _METHODS:
                if method in item and tag["name"] in item[method]["tags"]:
                    lines += _operation(path, method, item[method])
    lines += ["## Types", ""]
    for name, schema in described["components"]["schemas"].items():
        lines += _schema(name, schema)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    require_readable(FORMS)
    sys.stdout.write(markdown())
