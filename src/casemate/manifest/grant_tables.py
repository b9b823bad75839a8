"""The keys of `[function.NAME.grants]`: all that a function can be granted."""

from __future__ import annotations

from casemate.manifest.hosts import Host
from casemate.manifest.kinds import Choice, Flag, Pattern, Text
from casemate.manifest.numeric_kinds import Whole
from casemate.manifest.structure import Field, Table, TableArray, ValueArray
from casemate.model.function import NAME_PATTERN
from casemate.model.grant import ACTIONS, RESOURCE_PATTERN, GrantKind

MAX_GRANTS = 100
"""Grants of one kind."""
MAX_PREFIXES = 32
MAX_PREFIX = 1024
MAX_FORWARDS = 31
PROXY_PORT = 3128
"""Local port of the HTTP proxy, which no forward may take."""

_NAME_RULE = "1 to 63 lower-case letters, digits and hyphens that starts with a letter"

RESOURCE_NAME = Pattern(
    RESOURCE_PATTERN, f"a name of {_NAME_RULE} and does not end with a hyphen", 63
)
_FUNCTION_NAME = Pattern(
    NAME_PATTERN, f"a function's name of {_NAME_RULE} and does not end with a hyphen", 63
)
REASON = Text(500, 10)


def _actions(kind: GrantKind) -> Field:
    actions = ACTIONS[kind]
    return Field(
        "actions",
        ValueArray(Choice(actions), 1, len(actions), "One action."),
        "What it may do there.",
        required=True,
    )


BUCKET_GRANT = Table(
    "Bucket grant",
    "A bucket that the function may use.",
    (
        Field("name", RESOURCE_NAME, "Name of a bucket of this manifest.", required=True),
        _actions(GrantKind.BUCKET),
        Field(
            "prefixes",
            ValueArray(Text(MAX_PREFIX, 1), 1, MAX_PREFIXES, "What keys start with."),
            "Only keys that start with one of these; without it every key.",
        ),
    ),
)

TABLE_GRANT = Table(
    "Table grant",
    "A table that the function may use.",
    (
        Field("name", RESOURCE_NAME, "Name of a table of this manifest.", required=True),
        _actions(GrantKind.TABLE),
    ),
)

EGRESS_GRANT = Table(
    "Egress grant",
    "A host and port that the function may connect to.",
    (
        Field(
            "host",
            Host(),
            'Name or address; "*.example.com" stands for every name below example.com and needs '
            "an exception.",
            required=True,
        ),
        Field("port", Whole(1, 65535), "TCP port.", default=443),
        Field(
            "forward",
            Whole(1024, 65535),
            "Port on 127.0.0.1 that leads there by plain TCP, for clients that know no proxy, "
            f"such as database drivers. Not {PROXY_PORT}.",
        ),
        Field(
            "private",
            Flag(),
            "True lets the host have a private, loopback or link-local address; needs an "
            "exception.",
            default=False,
        ),
        Field(
            "exception",
            REASON,
            "Why a wildcard or a private address is accepted: required for these, recorded at "
            "the deploy.",
        ),
    ),
)


def _names(name: str, kind: Pattern, what: str, description: str) -> Field:
    return Field(name, ValueArray(kind, 0, MAX_GRANTS, what), description)


GRANTS = Table(
    "Grants",
    "What the function may use: nothing by default.",
    (
        Field("buckets", TableArray(BUCKET_GRANT, MAX_GRANTS), BUCKET_GRANT.description),
        Field("tables", TableArray(TABLE_GRANT, MAX_GRANTS), TABLE_GRANT.description),
        _names("queues", RESOURCE_NAME, "Name of a queue.", "Queues that it may send to."),
        _names("topics", RESOURCE_NAME, "Name of a topic.", "Topics that it may publish to."),
        _names("secrets", RESOURCE_NAME, "Name of a secret.", "Secrets that it may read."),
        Field("egress", TableArray(EGRESS_GRANT, MAX_GRANTS), EGRESS_GRANT.description),
        _names(
            "invoke",
            _FUNCTION_NAME,
            "Name of a function.",
            "Functions of this project that it may invoke.",
        ),
    ),
)

KEYS = {
    GrantKind.BUCKET: "buckets",
    GrantKind.TABLE: "tables",
    GrantKind.QUEUE: "queues",
    GrantKind.TOPIC: "topics",
    GrantKind.SECRET: "secrets",
    GrantKind.EGRESS: "egress",
    GrantKind.FUNCTION: "invoke",
}
"""The key of each kind of grants."""
