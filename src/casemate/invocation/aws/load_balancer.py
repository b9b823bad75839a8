"""Requests to routes as an Application Load Balancer hands them to AWS Lambda."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote_plus

from casemate.invocation.aws.names import arn, encoded_path, texts


def load_balancer_event(
    event: Mapping[str, object], _request_id: str, _at: float
) -> dict[str, object]:
    """Return the event of a request, given the one that `triggers.http_event` has built of it.

    Without multi-value headers, the default there: the last value of a name counts. Queries are
    handed over encoded, and a body that is missing is an empty text.
    """
    query = event.get("query")
    values = query.items() if isinstance(query, dict) else ()
    return {
        "requestContext": {"elb": {"targetGroupArn": arn("elasticloadbalancing", "casemate")}},
        "httpMethod": str(event.get("method", "")),
        "path": encoded_path(str(event.get("path", "/"))),
        "queryStringParameters": {
            quote_plus(str(name)): quote_plus(str(many[-1])) for name, many in values if many
        },
        "headers": texts(event.get("headers")),
        "body": event.get("body") or "",
        "isBase64Encoded": bool(event.get("is_base64")),
    }
