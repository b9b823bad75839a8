"""Requests to routes as Amazon API Gateway's payload format 2.0."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote_plus

from casemate.invocation.aws.names import ACCOUNT, encoded_path, milliseconds, texts

_STAGE = "$default"


def http_event(event: Mapping[str, object], request_id: str, at: float) -> dict[str, object]:
    """Return the event of a request, given the one that `triggers.http_event` has built of it."""
    headers = texts(event.get("headers"))
    query = event.get("query")
    values = query if isinstance(query, dict) else {}
    parameters = texts(event.get("path_parameters"))
    path, method = str(event.get("path", "/")), str(event.get("method", ""))
    template = str(event.get("route", ""))
    host = headers.get("host", "")
    shown: dict[str, object] = {
        "version": "2.0",
        "routeKey": f"{method} {template.replace('...}', '+}')}",
        "rawPath": encoded_path(path),
        "rawQueryString": "&".join(
            f"{quote_plus(name)}={quote_plus(str(value))}"
            for name, many in values.items()
            for value in many
        ),
        "headers": {name: value for name, value in headers.items() if name != "cookie"},
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "casemate",
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": str(event.get("remote_address", "")),
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": request_id,
            "routeKey": f"{method} {template.replace('...}', '+}')}",
            "stage": _STAGE,
            "time": datetime.fromtimestamp(at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": milliseconds(at),
        },
        "isBase64Encoded": bool(event.get("is_base64")),
    }
    if headers.get("cookie"):
        shown["cookies"] = [one.strip() for one in headers["cookie"].split(";") if one.strip()]
    if values:
        shown["queryStringParameters"] = {
            name: ",".join(map(str, many)) for name, many in values.items()
        }
    if parameters:
        shown["pathParameters"] = parameters
    if event.get("body") is not None:
        shown["body"] = event["body"]
    return shown
