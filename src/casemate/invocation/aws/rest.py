"""Requests to routes as Amazon API Gateway's payload format 1.0, that of its REST APIs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from casemate.invocation.aws.names import ACCOUNT, encoded_path, milliseconds, texts

_STAGE = "default"


def rest_event(event: Mapping[str, object], request_id: str, at: float) -> dict[str, object]:
    """Return the event of a request, given the one that `triggers.http_event` has built of it.

    Names of headers are spelled as `Content-Type`; what is not there is null, as at AWS.
    """
    headers = {_spelled(name): value for name, value in texts(event.get("headers")).items()}
    query = event.get("query")
    values = (
        {str(k): [str(v) for v in many] for k, many in query.items()}
        if isinstance(query, dict)
        else {}
    )
    path, method = encoded_path(str(event.get("path", "/"))), str(event.get("method", ""))
    resource = str(event.get("route", "")).replace("...}", "+}")
    return {
        "version": "1.0",
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers or None,
        "multiValueHeaders": {name: [value] for name, value in headers.items()} or None,
        "queryStringParameters": {name: many[-1] for name, many in values.items()} or None,
        "multiValueQueryStringParameters": values or None,
        "pathParameters": texts(event.get("path_parameters")) or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "casemate",
            "domainName": headers.get("Host", ""),
            "domainPrefix": headers.get("Host", "").partition(".")[0],
            "extendedRequestId": request_id,
            "httpMethod": method,
            "identity": {
                "sourceIp": str(event.get("remote_address", "")),
                "userAgent": headers.get("User-Agent"),
            },
            "path": path,
            "protocol": "HTTP/1.1",
            "requestId": request_id,
            "requestTime": datetime.fromtimestamp(at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "requestTimeEpoch": milliseconds(at),
            "resourceId": resource,
            "resourcePath": resource,
            "stage": _STAGE,
        },
        "body": event.get("body"),
        "isBase64Encoded": bool(event.get("is_base64")),
    }


def _spelled(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))
