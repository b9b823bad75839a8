"""Where outside data enters: attributes of requests, fields of events."""

from __future__ import annotations

import ast
from dataclasses import replace

from casemate.audit.flow.ports import Reader
from casemate.audit.flow.values import CLEAN, Taint, Text, Unknown, Value

_FLASK = frozenset(
    (
        *("args", "form", "values", "cookies", "headers", "json", "data", "files", "view_args"),
        *("query_string", "full_path", "url", "path", "base_url", "referrer", "user_agent"),
        *("stream", "authorization", "host", "host_url", "get_json", "get_data", "environ"),
        *("raw_url", "root_url", "url_root", "mimetype_params", "query_params", "body", "params"),
        *("GET", "POST", "COOKIES", "META", "FILES", "get_full_path", "path_params"),
        *("build_absolute_uri", "raw_body", "json_body", "uri_params", "query", "arguments"),
        *("text", "post", "read", "match_info", "rel_url", "raw_path", "forms", "getvalue"),
        *("path_parameters", "query_string_parameters", "multi_value_query_string_parameters"),
        *("decoded_body", "to_dict", "resolved_headers_field", "media", "bounded_stream"),
        *("get_param", "get_header", "uri", "relative_uri", "parsed_body", "REQUEST", "session_id"),
        *("multi_items", "getlist", "get_argument", "get_arguments", "get_body_argument"),
        *("get_query_argument", "get_cookie", "get_query_string_value", "get_header_value"),
        *("get_query_string_values", "raw_event", "get_media", "cookie", "data_as_dict"),
    )
)
"""Attributes of a request that its sender chooses, in the frameworks of Python."""

_PATHS = frozenset(("path", "full_path", "raw_path"))
"""Those that always begin with `/`."""

REQUESTS = {
    "flask.request": "http",
    "quart.request": "http",
    "bottle.request": "http",
    "sanic.request": "http",
    "cherrypy.request": "http",
    "chalice.app.current_request": "http",
    "webapp2.request": "http",
}
"""Objects that are requests, by their names."""
_REQUEST_ATTRIBUTES = ("current_request", "current_event")
"""Of a Chalice or Powertools application."""
CALLS = {
    "builtins.input": "invoke",
    "cgi.FieldStorage": "http",
    "flask.request.get_json": "http",
    **dict.fromkeys(
        (
            *("cloudevents.http.from_http", "cloudevents.http.from_json"),
            *("cloudevents.http.from_dict", "cloudevents.core.bindings.http.from_http"),
            *("cloudevents.pydantic.from_http", "cloudevents.pydantic.from_json"),
        ),
        "topic",
    ),
}
RANDOM = frozenset(
    f"random.{name}"
    for name in (
        *("random", "randint", "randrange", "choice", "choices", "getrandbits", "randbytes"),
        *("uniform", "sample", "gauss", "normalvariate", "triangular", "betavariate", "shuffle"),
        *("expovariate", "lognormvariate", "vonmisesvariate", "gammavariate", "paretovariate"),
        *("weibullvariate", "binomialvariate"),
    )
) | frozenset(
    (
        *("uuid.uuid1", "numpy.random.rand", "numpy.random.randint", "numpy.random.random"),
        *("numpy.random.choice", "numpy.random.bytes"),
    )
)
"""Numbers that can be foretold from others."""

STORED = {
    "get_item": "table",
    "scan": "table",
    "query": "table",
    "batch_get_item": "table",
    "get_object": "storage",
    "find_one": "table",
    "hgetall": "table",
    "lrange": "table",
    "receive_message": "queue",
    "download_as_string": "storage",
    "download_as_text": "storage",
    "download_as_bytes": "storage",
}
"""Methods that give what is stored, by whoever may have stored it."""
_OF_HANDLES = frozenset(("get", "query", "receive", "scan"))
STORED_ROOTS = frozenset(
    ("boto3", "aioboto3", "pymongo", "redis", "motor", "google", "azure", "valkey")
)

_OF_CALLERS = frozenset(
    (
        *("queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "headers"),
        *("multiValueHeaders", "body", "cookies", "query", "params", "path_parameters", "data"),
        *("query_string_parameters", "messageAttributes", "MessageAttributes", "Message"),
        *("NewImage", "OldImage", "Keys", "arguments", "input", "payload", "userAttributes"),
        *("message",),
        *("attributes", "key", "value", "form", "files", "args", "json", "clientMetadata"),
    )
)
"""Parts of events that callers fill: whatever is below them is theirs, however it is called."""
_OF_REQUEST_CONTEXT = frozenset(
    (
        *("requestId", "extendedRequestId", "stage", "apiId", "accountId", "sourceIp", "method"),
        *("requestTimeEpoch", "requestTime", "httpMethod", "resourcePath", "resourceId", "sub"),
        *("domainName", "domainPrefix", "routeKey", "connectionId", "principalId", "eventType"),
    )
)
_OF_RECORDS = frozenset(
    (
        *("eventSource", "eventSourceARN", "eventName", "awsRegion", "eventTime", "eventVersion"),
        *("eventID", "messageId", "receiptHandle", "sequencer", "TopicArn", "MessageId"),
        *("SequenceNumber", "sequenceNumber", "StreamViewType", "approximateArrivalTimestamp"),
        *("ApproximateCreationDateTime", "EventSource", "EventSubscriptionArn"),
    )
)
_AT_THE_TOP = frozenset(
    (
        *("httpMethod", "resource", "routeKey", "isBase64Encoded", "requestId", "deadlineMs"),
        *("ResponseURL", "StackId", "RequestType", "PhysicalResourceId", "userPoolId"),
        *("triggerSource", "is_base64", "remote_address", "method"),
    )
)
_OF_OTHER_EVENTS = frozenset(("region", "account", "schedule", "scheduled_at"))
"""At the top of events of the platform, where a request has nothing that is called so."""
_BELOW = {
    "bucket": frozenset(("name", "arn", "size", "revision")),
    "object": frozenset(("size", "sequencer")),
    "table": frozenset(("revision",)),
    "schedule": frozenset(("scheduled_at",)),
}
_BRACKETS = str.maketrans({"[": ".", "]": "", "'": "", ")": ""})


def of_platform(path: str, kind: str) -> bool:
    """Return whether the platform writes a part of an event: `event['Records'][]['eventSource']`.

    Python's paths have brackets, those of JavaScript dots. What callers fill may have parts of the
    same names: `event['queryStringParameters']['region']`.
    """
    labels = labels_of(path)[1:]
    if not labels:
        return False
    *before, last = labels
    if path.startswith("json(") or _OF_CALLERS & frozenset(before):
        # A notification of a bucket may come within a message.
        return kind != "http" and before[-2:] == ["s3", "bucket"] and last in _BELOW["bucket"]
    if "requestContext" in before or "request_context" in before:
        return last in _OF_REQUEST_CONTEXT
    if before and last in _BELOW.get(before[-1], ()):
        return True
    if last in _OF_RECORDS:
        return "Records" in before or not before
    return not before and (last in _AT_THE_TOP or (last in _OF_OTHER_EVENTS and kind != "http"))


_BY_LINKS = frozenset(("referer", "referrer", "cookie"))
"""Headers in which a page of others has a say; other ones no link and no form can set."""
NO_PAGE = frozenset(("markup",))


def labels_of(path: str) -> list[str]:
    """Return the names in a path of Python or JavaScript: `event`, `headers`, `Host`."""
    return [each for each in path.translate(_BRACKETS).split(".") if each]


def sent_by_code(path: str) -> bool:
    """Return whether a part of a request is a header that pages of others make nobody send.

    Who sends it gets the answer, so that scripts in it run in the browser of nobody else.
    """
    *before, owner, last = ("", "", *labels_of(path))
    if path.startswith("json(") or "body" in before:
        return False
    return owner in ("headers", "multiValueHeaders") and last.lower() not in _BY_LINKS


_TRUSTED_EVENTS = frozenset(("schedule",))
_LONGEST = 200


def of_request(reader: Reader, value: Unknown, name: str, node: ast.AST) -> Value | None:
    """Return an attribute of a request; None if the value is no request."""
    if value.type == "knative.Context":
        if name == "cloud_event":
            return begin(reader, "topic", f"{value.path}.{name}", node)
        return Unknown(CLEAN, "request" if name == "request" else "", f"{value.path}.{name}")
    if value.type != "request":
        return None
    if name not in _FLASK:
        own = {"request": "request", "state": "request.state"}
        return Unknown(CLEAN, own.get(name, ""))
    if name == "path" and reader.route is not None and fixed(reader.route.pattern):
        return Text((reader.route.pattern,))
    data = begin(reader, "http", f"{value.path or 'request'}.{name}", node)
    if name == "json" and value.path == "flask.request":
        # No page of others makes a browser send JSON here, so the answer shows it to its sender.
        data = Unknown(
            frozenset(replace(t, safe=t.safe | {"markup"}) for t in data.taints), "", data.path
        )
    return Text(("/", data.taints)) if name in _PATHS else data


def fixed(pattern: str) -> bool:
    """Return whether a route has one path only."""
    return bool(pattern) and not any(sign in pattern for sign in "<{*(:$^")


def begin(reader: Reader, kind: str, what: str, node: ast.AST) -> Unknown:
    """Return outside data that enters here."""
    return Unknown(frozenset((reader.source(kind, what, node),)), "", what[:_LONGEST])


def narrowed(reader: Reader, value: Unknown, name: str, node: ast.AST) -> Value:
    """Return a part of outside data: a source of its own, so that a check of one is of one."""
    path = f"{value.path}{name}"
    if len(path) > _LONGEST:
        return Unknown(value.taints, "", value.path)
    taints: set[Taint] = set()
    for taint in value.taints:
        kind = kind_of(reader, taint)
        if of_platform(path, kind):
            continue
        new = reader.source(kind, path, node, path)
        safe = taint.safe | NO_PAGE if kind == "http" and sent_by_code(path) else taint.safe
        without = taint.without | reader.narrow.get(path, frozenset())
        taints.add(Taint(new.source, new.forms, without, safe, taint.seen, taint.doubt, new.trail))
    return Unknown(frozenset(taints), "", path) if taints else Unknown(CLEAN)


def kind_of(reader: Reader, taint: Taint) -> str:
    """Return which kind of event a mark is of."""
    return reader.kinds[taint.source]


def is_request_attribute(name: str) -> bool:
    """Return whether an attribute of an application is the request."""
    return name in _REQUEST_ATTRIBUTES


def is_stored(name: str) -> bool:
    """Return whether a call gives what is stored."""
    root, method = name.partition(".")[0], name.rpartition(".")[2]
    if root == "casemate":
        return method in _OF_HANDLES
    return root in STORED_ROOTS and method in STORED


def is_trusted(event: str) -> bool:
    """Return whether nobody outside chooses what is in an event."""
    return event in _TRUSTED_EVENTS
