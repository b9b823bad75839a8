"""What invokes a function besides a direct call: its triggers, as the manifest declares them.

Each kind has the fields that its source needs; what all of them share is in `Trigger`. Times are
seconds. HTTP routes are in `casemate.model.function`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from casemate.model.grant import Grant, GrantKind


class TriggerKind(StrEnum):
    """Where an event came from. The values are the manifest's and the records' words."""

    INVOKE = "invoke"
    """A direct call over HTTP, the command line, or by another function."""
    HTTP = "http"
    SCHEDULE = "schedule"
    QUEUE = "queue"
    TOPIC = "topic"
    BUCKET = "bucket"
    TABLE = "table"
    REPOSITORY = "repository"
    RESULT = "result"
    """Another function of the project ended an asynchronous invocation."""
    VALKEY = "valkey"
    POSTGRES = "postgres"
    RABBITMQ = "rabbitmq"
    MQTT = "mqtt"
    S3 = "s3"
    NATS = "nats"


INBOX = "inbox"
"""In a trigger's principal (`project/function/inbox`): calls that were kept, and destinations."""

OUTSIDE = frozenset(
    (
        TriggerKind.VALKEY,
        TriggerKind.POSTGRES,
        TriggerKind.RABBITMQ,
        TriggerKind.MQTT,
        TriggerKind.NATS,
    )
)
"""Kinds that a connector fetches from a server outside (`casemate.sources`)."""


class Missed(StrEnum):
    """What becomes of the times of a schedule at which the node did not run."""

    SKIP = "skip"
    ONCE = "once"
    """One event for all of them, the latest."""
    ALL = "all"
    """One event for each, up to 1000."""


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """What every kind has."""

    name: str
    """Unique within the function; by default the kind and a number: `queue-1`."""
    contract: str = ""
    """JSON Schema (2020-12) that an event's data must satisfy, as text; empty: strict default
    limits. The manifest names a file, the bundle holds what is in it."""


class ScheduleTrigger(Trigger, frozen=True, kw_only=True, tag="schedule"):
    """Times. Exactly one of `cron` and `every` is set."""

    cron: str = ""
    """Five fields, as cron(5)."""
    every: float = 0.0
    timezone: str = "UTC"
    """IANA name. A time that daylight saving skips comes at the next one there is, one that it
    repeats comes once."""
    missed: Missed = Missed.ONCE
    data: str = "null"
    """JSON that each event carries."""


class ScheduleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a schedule of a live version stands."""

    name: str
    cron: str
    every: float
    """Seconds; 0 with `cron`."""
    timezone: str
    next_at: float | None
    """Unix time at which it is due next; None if it never is, or just now."""
    failing: bool
    """True while its event could not be kept; it is tried again."""


class QueueTrigger(Trigger, frozen=True, kw_only=True, tag="queue"):
    """Messages of a queue. A queue has one consumer."""

    queue: str
    batch: int = 1
    """Messages handed over at once, at most; above 1 the handler gets a list."""
    window: float = 0.0
    """How long to wait for a batch to fill."""


class TopicTrigger(Trigger, frozen=True, kw_only=True, tag="topic"):
    """Messages published to a topic: each subscribed function gets every one that fits."""

    topic: str
    filter: dict[str, tuple[str | float | bool | None, ...]] = {}
    """Values that attributes of the message (dotted paths) must have; all must fit, any value."""


class BucketTrigger(Trigger, frozen=True, kw_only=True, tag="bucket"):
    """Objects that are written or deleted."""

    bucket: str
    events: tuple[str, ...] = ("created",)
    """Of `created` and `deleted`."""
    prefix: str = ""
    suffix: str = ""


class TableTrigger(Trigger, frozen=True, kw_only=True, tag="table"):
    """The table's change stream: old and new item, in order for each key."""

    table: str
    events: tuple[str, ...] = ("inserted", "updated", "deleted", "expired")
    batch: int = 1
    window: float = 0.0


class RepositoryTrigger(Trigger, frozen=True, kw_only=True, tag="repository"):
    """Code changes told by a web hook at `/hooks/PROJECT/FUNCTION/NAME`."""

    provider: str
    """`github`, `gitlab`, `gitea` or `git` (the hook that `casemate hooks git` prints)."""
    secret: str
    """Name of the secret that the sender signs with."""
    events: tuple[str, ...] = ()
    """The provider's names (`push`, `pull_request`); empty: all."""
    branches: tuple[str, ...] = ()
    """Names or patterns with `*`; empty: all."""


class ResultTrigger(Trigger, frozen=True, kw_only=True, tag="result"):
    """The end of asynchronous invocations of another function of the project."""

    function: str
    on: tuple[str, ...] = ("success", "failure")


class OutsideTrigger(Trigger, frozen=True, kw_only=True):
    """A server outside. Its address is judged as a grant for egress is."""

    host: str
    port: int
    tls: bool = True
    private: bool = False
    """The host may have a private or loopback address; needs `exception`."""
    exception: str = ""
    user: str = ""
    password: str = ""
    """Name of the secret that holds it."""
    batch: int = 1
    window: float = 0.0

    @property
    def server(self) -> str:
        """The server as `host:port`, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class ValkeyTrigger(OutsideTrigger, frozen=True, kw_only=True, tag="valkey"):
    """A stream of Valkey or Redis by a consumer group, or changes of keys (keyspace events).

    Exactly one of `stream` and `keys` is set. Keyspace events are not kept by the server: those
    of a time without a connection are lost, which is the server's limit.
    """

    stream: str = ""
    group: str = "casemate"
    keys: str = ""
    """Pattern of keys, such as `session:*`."""
    database: int = 0


class PostgresTrigger(OutsideTrigger, frozen=True, kw_only=True, tag="postgres"):
    """Rows of an outbox table, deleted once they are kept here; LISTEN wakes the reader.

    The table has `id bigint primary key, topic text, payload jsonb, created_at timestamptz`.
    """

    database: str
    outbox: str = "casemate_outbox"
    channel: str = ""
    """LISTEN channel whose notifications are events themselves if there is no outbox, otherwise
    what wakes the reader."""


class RabbitmqTrigger(OutsideTrigger, frozen=True, kw_only=True, tag="rabbitmq"):
    """Messages of a RabbitMQ queue, acknowledged once they are kept here."""

    queue: str
    vhost: str = "/"


class MqttTrigger(OutsideTrigger, frozen=True, kw_only=True, tag="mqtt"):
    """Messages of MQTT 5 topics by a session that the broker keeps."""

    topic: str
    """A filter, `+` and `#` included."""
    qos: int = 1
    client: str = ""
    """Client id; by default made of project, function and trigger."""


class NatsTrigger(OutsideTrigger, frozen=True, kw_only=True, tag="nats"):
    """Messages of a JetStream stream by a durable consumer, or of a core subject."""

    subject: str
    stream: str = ""
    durable: str = ""


class S3Trigger(Trigger, frozen=True, kw_only=True, tag="s3"):
    """Notifications of an S3-compatible server, sent to `/hooks/PROJECT/FUNCTION/NAME`."""

    secret: str
    """Name of the secret that the server shows as a bearer token."""
    events: tuple[str, ...] = ()
    """Patterns such as `s3:ObjectCreated:*`; empty: all."""
    prefix: str = ""
    suffix: str = ""


AnyTrigger = (
    ScheduleTrigger
    | QueueTrigger
    | TopicTrigger
    | BucketTrigger
    | TableTrigger
    | RepositoryTrigger
    | ResultTrigger
    | ValkeyTrigger
    | PostgresTrigger
    | RabbitmqTrigger
    | MqttTrigger
    | NatsTrigger
    | S3Trigger
)
"""Every trigger but HTTP routes."""


def kind_of(trigger: AnyTrigger) -> TriggerKind:
    """Return the kind of a trigger."""
    return TriggerKind(str(trigger.__struct_config__.tag))


def consumed(triggers: tuple[AnyTrigger, ...]) -> tuple[Grant, ...]:
    """Return what these triggers let a function see, in the form of grants.

    A deploy that adds any of it widens what the function may, and stops for approval.
    """
    found: dict[tuple[GrantKind, str], Grant] = {}
    for trigger in triggers:
        for grant in _consumed(trigger):
            key = (grant.kind, grant.name)
            known = found.get(key)
            found[key] = grant if known is None else _both(known, grant)
    return tuple(found[key] for key in sorted(found))


def _both(one: Grant, other: Grant) -> Grant:
    """Return what two triggers of the same resource let a function see together."""
    every = not one.prefixes or not other.prefixes
    return Grant(
        kind=one.kind,
        name=one.name,
        actions=one.actions,
        prefixes=() if every else tuple(sorted({*one.prefixes, *other.prefixes})),
        private=one.private or other.private,
        exception=one.exception or other.exception,
    )


def _consumed(trigger: AnyTrigger) -> list[Grant]:
    if isinstance(trigger, OutsideTrigger):
        host = f"[{trigger.host}]" if ":" in trigger.host else trigger.host
        return [
            Grant(
                kind=GrantKind.EGRESS,
                name=f"{host}:{trigger.port}",
                actions=("receive",),
                private=trigger.private,
                exception=trigger.exception,
            )
        ]
    kind = kind_of(trigger)
    if kind not in _SEEN:
        return []
    seen, action = _SEEN[kind]
    prefix = getattr(trigger, "prefix", "")
    return [
        Grant(
            kind=seen,
            name=getattr(trigger, seen.value),
            actions=(action,),
            prefixes=(prefix,) if prefix else (),
        )
    ]


_SEEN = {
    TriggerKind.QUEUE: (GrantKind.QUEUE, "receive"),
    TriggerKind.TOPIC: (GrantKind.TOPIC, "subscribe"),
    TriggerKind.BUCKET: (GrantKind.BUCKET, "watch"),
    TriggerKind.TABLE: (GrantKind.TABLE, "watch"),
    TriggerKind.RESULT: (GrantKind.FUNCTION, "watch"),
}
"""Triggers of what belongs to the project: its kind, which is also the field with its name."""
