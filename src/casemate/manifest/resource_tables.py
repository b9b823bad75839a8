"""The keys of `[bucket.NAME]`, `[table.NAME]`, `[queue.NAME]` and `[topic.NAME]`."""

from __future__ import annotations

from casemate.manifest.grant_tables import RESOURCE_NAME
from casemate.manifest.kinds import Pattern
from casemate.manifest.numeric_kinds import Duration, Size, Whole
from casemate.manifest.structure import Field, NamedTables, Table, TableArray, model_field
from casemate.model.function import KIB, MIB
from casemate.model.grant import BucketSpec, QueueSpec, TableIndex, TableSpec

MAX_RESOURCES = 100
"""Buckets, tables, queues or topics of one project."""
MAX_INDEXES = 8

_GIB = 1024 * MIB
_DAY = 86_400.0

ATTRIBUTE = Pattern(
    r"^[A-Za-z_][A-Za-z0-9_-]*$",
    "the name of an attribute: at most 64 letters, digits, underscores and hyphens, no digit "
    "or hyphen first",
    64,
)

BUCKET = Table(
    "Bucket",
    "A bucket of the project: objects under keys.",
    (
        model_field(
            BucketSpec, "max_object", Size(KIB, 64 * _GIB, _GIB), "Largest size of an object."
        ),
        model_field(
            BucketSpec,
            "max_total",
            Size(KIB, 16 * 1024 * _GIB, 10 * _GIB),
            "Size of its whole contents, earlier revisions included.",
        ),
        model_field(
            BucketSpec,
            "versions",
            Whole(1, 1000),
            "Revisions kept of each object, the present one included.",
        ),
    ),
)

INDEX = Table(
    "Index",
    "A secondary index: items by other attributes than the key.",
    (
        model_field(TableIndex, "name", RESOURCE_NAME, "What queries call it."),
        model_field(TableIndex, "key", ATTRIBUTE, "Attribute that items are found by."),
        model_field(TableIndex, "sort", ATTRIBUTE, "Attribute that they are sorted by."),
    ),
)

TABLE = Table(
    "Table",
    "A table of the project: JSON items under a key.",
    (
        model_field(TableSpec, "key", ATTRIBUTE, "Attribute that items are found by."),
        model_field(
            TableSpec,
            "sort",
            ATTRIBUTE,
            "Attribute that items with the same key are sorted by; with it, both name an item.",
        ),
        Field("indexes", TableArray(INDEX, MAX_INDEXES), INDEX.description),
        model_field(
            TableSpec,
            "ttl",
            ATTRIBUTE,
            "Attribute that holds the Unix time in seconds after which an item is gone.",
        ),
        model_field(
            TableSpec, "max_item", Size(KIB, 4 * MIB, 400 * KIB), "Largest size of an item."
        ),
    ),
)

_MESSAGES = (
    model_field(
        QueueSpec, "max_message", Size(KIB, 4 * MIB, 256 * KIB), "Largest size of a message."
    ),
    model_field(
        QueueSpec,
        "retention",
        Duration(60.0, 365 * _DAY, 14 * _DAY),
        "Time until a message that nobody has read is dropped.",
    ),
)
QUEUE = Table("Queue", "A queue of the project: each message is for one reader.", _MESSAGES)
TOPIC = Table("Topic", "A topic of the project: each message is for every subscriber.", _MESSAGES)


def _named(name: str, table: Table) -> Field:
    return Field(name, NamedTables(table, RESOURCE_NAME, MAX_RESOURCES), table.description)


RESOURCES = (
    _named("bucket", BUCKET),
    _named("table", TABLE),
    _named("queue", QUEUE),
    _named("topic", TOPIC),
)
