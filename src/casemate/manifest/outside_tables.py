"""The keys of triggers that a server outside brings: `[[function.NAME.valkey]]` and the like."""

from __future__ import annotations

from casemate.manifest.grant_tables import REASON, RESOURCE_NAME
from casemate.manifest.hosts import Host
from casemate.manifest.kinds import Flag, Pattern, Text
from casemate.manifest.numeric_kinds import Whole
from casemate.manifest.structure import Field, Table, model_field
from casemate.manifest.trigger_fields import ADDRESS, COMMON, KEY, batch_fields
from casemate.model.trigger import (
    MqttTrigger,
    NatsTrigger,
    OutsideTrigger,
    PostgresTrigger,
    RabbitmqTrigger,
    ValkeyTrigger,
)


def _outside(title: str, description: str, model: type[OutsideTrigger], *own: Field) -> Table:
    return Table(
        title,
        description,
        (
            *COMMON,
            Field("host", Host(), "Name or address of the server.", required=True),
            model_field(model, "port", Whole(1, 65535), "TCP port of the server."),
            model_field(
                model,
                "tls",
                Flag(),
                "False connects without encryption: anybody on the network path can read all; "
                "needs an exception.",
            ),
            model_field(
                model,
                "private",
                Flag(),
                "True lets the host have a private, loopback or link-local address; needs an "
                "exception.",
            ),
            Field(
                "exception",
                REASON,
                "Why a private address, or a connection in clear, is accepted: required for "
                "these, recorded at the deploy.",
            ),
            model_field(model, "user", Text(255), "Name to log in with."),
            Field("password", RESOURCE_NAME, "Name of the secret that holds the password."),
            *own,
            *batch_fields(model),
        ),
    )


VALKEY = _outside(
    "Valkey trigger",
    "A stream of Valkey or Redis, or changes of its keys. Exactly one of stream and keys.",
    ValkeyTrigger,
    model_field(ValkeyTrigger, "stream", KEY, "Key of the stream."),
    model_field(
        ValkeyTrigger, "group", ADDRESS, "Consumer group to read the stream by; made if missing."
    ),
    model_field(
        ValkeyTrigger,
        "keys",
        KEY,
        "Pattern of keys whose changes are events, such as session:*. Those that happen without "
        "a connection are lost: the server does not keep them.",
    ),
    model_field(ValkeyTrigger, "database", Whole(0, 1_000_000), "Number of the database."),
)

_SQL_NAME = Pattern(
    r"^(?:[a-z_][a-z0-9_]{0,62}(?:\.[a-z_][a-z0-9_]{0,62})?)?$",
    "a name of lower-case letters, digits and underscores, with its schema before a dot if it "
    "has one; or empty",
    127,
)
POSTGRES = _outside(
    "PostgreSQL trigger",
    "Rows of an outbox table, deleted once they are kept here; LISTEN wakes the reader.",
    PostgresTrigger,
    model_field(PostgresTrigger, "database", ADDRESS, "Name of the database."),
    model_field(
        PostgresTrigger,
        "outbox",
        _SQL_NAME,
        "Table with id bigint primary key, topic text, payload jsonb, created_at timestamptz. "
        "Empty: notifications of the channel are the events, and are lost without a connection.",
    ),
    model_field(
        PostgresTrigger,
        "channel",
        Pattern(
            r"^(?:[a-z_][a-z0-9_]{0,62})?$",
            "a name of lower-case letters, digits and underscores, or empty",
            63,
        ),
        "Channel to LISTEN to.",
    ),
)

RABBITMQ = _outside(
    "RabbitMQ trigger",
    "Messages of a RabbitMQ queue, acknowledged once they are kept here.",
    RabbitmqTrigger,
    model_field(RabbitmqTrigger, "queue", ADDRESS, "Name of the queue, which must be there."),
    model_field(RabbitmqTrigger, "vhost", ADDRESS, "Virtual host."),
)

MQTT = _outside(
    "MQTT trigger",
    "Messages of MQTT 5 topics, by a session that the broker keeps.",
    MqttTrigger,
    model_field(
        MqttTrigger,
        "topic",
        Pattern(
            r"^(?:\$share/[^/+#\x00]+/)?(?:[^/+#\x00]*|\+)(?:/(?:[^/+#\x00]*|\+)){0,127}(?:(?<=/)#)?$|^#$",
            "a topic filter, + standing for one level and # for all that are left",
            1024,
        ),
        "Topic filter, + and # included.",
    ),
    model_field(
        MqttTrigger, "qos", Whole(0, 2), "Quality of service; 0 loses messages in transit."
    ),
    model_field(
        MqttTrigger,
        "client",
        Pattern(r"^[A-Za-z0-9_.-]{0,64}$", "up to 64 letters, digits, and -_.", 64),
        "Client id; empty: made of project, function and trigger.",
    ),
)

_SUBJECT = Pattern(
    r"^(?:[A-Za-z0-9_$-]+|\*)(?:\.(?:[A-Za-z0-9_$-]+|\*)){0,31}(?:\.>)?$|^>$",
    "a subject of names with dots between them, * standing for one and > for all that are left",
    255,
)
_NATS_NAME = Pattern(
    r"^[A-Za-z0-9_-]{0,64}$", "up to 64 letters, digits, underscores and hyphens", 64
)
NATS = _outside(
    "NATS trigger",
    "Messages of a JetStream stream by a durable consumer, or of a subject.",
    NatsTrigger,
    model_field(NatsTrigger, "subject", _SUBJECT, "Subject, * and > included."),
    model_field(
        NatsTrigger,
        "stream",
        _NATS_NAME,
        "JetStream stream; empty: the subject alone, whose messages are lost without a connection.",
    ),
    model_field(
        NatsTrigger,
        "durable",
        _NATS_NAME,
        "Name of the consumer; empty: made of project, function and trigger. Only with stream.",
    ),
)
