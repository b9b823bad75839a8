"""The keys of `[[function.NAME.KIND]]` for every kind of trigger but HTTP, and of delivery."""

from __future__ import annotations

from casemate.manifest.grant_tables import RESOURCE_NAME
from casemate.manifest.kinds import Choice, Pattern
from casemate.manifest.numeric_kinds import Duration, Whole
from casemate.manifest.outside_tables import MQTT, NATS, POSTGRES, RABBITMQ, VALKEY
from casemate.manifest.structure import (
    Field,
    NamedValues,
    Table,
    TableArray,
    ValueArray,
    model_field,
)
from casemate.manifest.trigger_fields import (
    COMMON,
    KEY,
    MAX_TRIGGERS,
    NAME,
    array_field,
    batch_fields,
    secret_field,
)
from casemate.manifest.trigger_kinds import Cron, DestinationText, FilterValues, JsonValue, TimeZone
from casemate.model.function import Delivery
from casemate.model.trigger import (
    BucketTrigger,
    Missed,
    MqttTrigger,
    NatsTrigger,
    PostgresTrigger,
    QueueTrigger,
    RabbitmqTrigger,
    RepositoryTrigger,
    ResultTrigger,
    S3Trigger,
    ScheduleTrigger,
    TableTrigger,
    TopicTrigger,
    Trigger,
    TriggerKind,
    ValkeyTrigger,
)

MAX_FILTERS = 32
MAX_DESTINATIONS = 8
_DAY = 86_400.0

SCHEDULE = Table(
    "Schedule trigger",
    "Times at which the function is invoked. Exactly one of cron and every.",
    (
        *COMMON,
        Field("cron", Cron(), "Times as cron(5) writes them, in the time zone."),
        Field(
            "every",
            Duration(1.0, 366 * _DAY, 300.0),
            "Time from one event to the next.",
        ),
        model_field(
            ScheduleTrigger,
            "timezone",
            TimeZone(),
            "Zone of cron. A time that daylight saving skips comes at the next existing time, one "
            "that it repeats comes once.",
        ),
        model_field(
            ScheduleTrigger,
            "missed",
            Choice(tuple(choice.value for choice in Missed)),
            'What happens to times at which the node did not run: "skip" them, "once" for all of '
            'them, "all" one for each up to 1000.',
        ),
        model_field(ScheduleTrigger, "data", JsonValue(), "Data of each event."),
    ),
)

QUEUE = Table(
    "Queue trigger",
    "Messages of a queue of this manifest. A queue has one consumer.",
    (
        *COMMON,
        model_field(QueueTrigger, "queue", RESOURCE_NAME, "Name of the queue."),
        *batch_fields(QueueTrigger),
    ),
)

TOPIC = Table(
    "Topic trigger",
    "Messages published to a topic of this manifest: each subscribed function gets all that fit.",
    (
        *COMMON,
        model_field(TopicTrigger, "topic", RESOURCE_NAME, "Name of the topic."),
        Field(
            "filter",
            NamedValues(
                FilterValues(),
                Pattern(
                    r"^[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9_-]{1,64}){0,7}$",
                    "the path of an attribute, in quotes: up to 8 names of letters, digits, "
                    "underscores and hyphens with dots between them",
                    520,
                ),
                MAX_FILTERS,
                "Value or values that the attribute may have.",
            ),
            'Values that attributes of the message must have, such as { "order.kind" = ["new", '
            '"paid"] }: all attributes must fit, with any of their values.',
        ),
    ),
)

_OBJECT_EVENTS = ("created", "deleted")
BUCKET = Table(
    "Bucket trigger",
    "Objects of a bucket of this manifest that are written or deleted.",
    (
        *COMMON,
        model_field(BucketTrigger, "bucket", RESOURCE_NAME, "Name of the bucket."),
        array_field(
            BucketTrigger,
            "events",
            Choice(_OBJECT_EVENTS),
            len(_OBJECT_EVENTS),
            "One event.",
            "Which changes are events.",
        ),
        model_field(BucketTrigger, "prefix", KEY, "Only keys that start with this."),
        model_field(BucketTrigger, "suffix", KEY, "Only keys that end with this."),
    ),
)

_ITEM_EVENTS = ("inserted", "updated", "deleted", "expired")
TABLE = Table(
    "Table trigger",
    "The change stream of a table of this manifest: old and new item, in order for each key.",
    (
        *COMMON,
        model_field(TableTrigger, "table", RESOURCE_NAME, "Name of the table."),
        array_field(
            TableTrigger,
            "events",
            Choice(_ITEM_EVENTS),
            len(_ITEM_EVENTS),
            "One event.",
            "Which changes are events.",
        ),
        *batch_fields(TableTrigger),
    ),
)

PROVIDERS = ("github", "gitlab", "gitea", "git")
REPOSITORY = Table(
    "Repository trigger",
    "Code changes, delivered by a web hook at /hooks/PROJECT/FUNCTION/NAME.",
    (
        *COMMON,
        model_field(
            RepositoryTrigger,
            "provider",
            Choice(PROVIDERS),
            'Who sends it; "git" is the hook that `casemate hooks git` prints.',
        ),
        secret_field(RepositoryTrigger, "secret", "Name of the secret that the sender signs with."),
        array_field(
            RepositoryTrigger,
            "events",
            Pattern(
                r"^[A-Za-z][A-Za-z0-9_ -]{0,63}$",
                'an event as the provider names it, such as "push"',
                64,
            ),
            32,
            "One event.",
            "Only these events; without it all.",
        ),
        array_field(
            RepositoryTrigger,
            "branches",
            Pattern(
                r"^[^\s~^:?\[\\\x00-\x1f\x7f]{1,255}$",
                "the name of a branch, * standing for any characters",
                255,
            ),
            32,
            "One branch.",
            "Only changes of these branches; without it of all.",
        ),
    ),
)

_ENDS = ("success", "failure")
RESULT = Table(
    "Result trigger",
    "The outcome of asynchronous invocations of another function of this manifest.",
    (
        *COMMON,
        model_field(ResultTrigger, "function", NAME, "Name of the function."),
        array_field(
            ResultTrigger, "on", Choice(_ENDS), len(_ENDS), "One end.", "Which outcomes count."
        ),
    ),
)


S3 = Table(
    "S3 trigger",
    "Notifications of an S3-compatible server, sent to /hooks/PROJECT/FUNCTION/NAME.",
    (
        *COMMON,
        secret_field(
            S3Trigger, "secret", "Name of the secret that the server shows as a bearer token."
        ),
        array_field(
            S3Trigger,
            "events",
            Pattern(
                r"^s3:[A-Za-z]{1,64}(?::(?:\*|[A-Za-z]{1,64}))?$",
                'an event such as "s3:ObjectCreated:*"',
                140,
            ),
            32,
            "One event.",
            "Only these events; without it all.",
        ),
        model_field(S3Trigger, "prefix", KEY, "Only keys that start with this."),
        model_field(S3Trigger, "suffix", KEY, "Only keys that end with this."),
    ),
)

TABLES: dict[TriggerKind, tuple[type[Trigger], Table]] = {
    TriggerKind.SCHEDULE: (ScheduleTrigger, SCHEDULE),
    TriggerKind.QUEUE: (QueueTrigger, QUEUE),
    TriggerKind.TOPIC: (TopicTrigger, TOPIC),
    TriggerKind.BUCKET: (BucketTrigger, BUCKET),
    TriggerKind.TABLE: (TableTrigger, TABLE),
    TriggerKind.REPOSITORY: (RepositoryTrigger, REPOSITORY),
    TriggerKind.RESULT: (ResultTrigger, RESULT),
    TriggerKind.VALKEY: (ValkeyTrigger, VALKEY),
    TriggerKind.POSTGRES: (PostgresTrigger, POSTGRES),
    TriggerKind.RABBITMQ: (RabbitmqTrigger, RABBITMQ),
    TriggerKind.MQTT: (MqttTrigger, MQTT),
    TriggerKind.NATS: (NatsTrigger, NATS),
    TriggerKind.S3: (S3Trigger, S3),
}
"""Every kind whose key in a function's table is its own name, in the order of the model."""

TRIGGERS = tuple(
    Field(kind.value, TableArray(table, MAX_TRIGGERS), table.description)
    for kind, (_, table) in TABLES.items()
)

_DESTINATIONS = ValueArray(DestinationText(), 1, MAX_DESTINATIONS, "One destination.")
DELIVERY = Table(
    "Delivery",
    "How events that are kept, and not called with, reach the function.",
    (
        model_field(
            Delivery,
            "attempts",
            Whole(1, 100),
            "How often an event is tried before it is a dead letter.",
        ),
        model_field(
            Delivery,
            "backoff",
            Duration(0.01, 3600.0, 1.0),
            "Wait before the second attempt; it doubles with each, and is drawn from its upper "
            "half.",
        ),
        model_field(Delivery, "backoff_most", Duration(0.01, _DAY, 300.0), "The longest wait."),
        model_field(
            Delivery,
            "max_age",
            Duration(1.0, 14 * _DAY, 6 * 3600.0),
            "An event that is older is a dead letter, however often it was tried.",
        ),
        model_field(
            Delivery,
            "keep_results",
            Duration(60.0, 30 * _DAY, _DAY),
            "How long the outcome of an invocation, and an idempotency key, is remembered.",
        ),
        Field("on_success", _DESTINATIONS, "Where to send a notice of each success."),
        Field("on_failure", _DESTINATIONS, "Where to send a notice of each event given up."),
    ),
)
