"""Which connector serves which trigger."""

from __future__ import annotations

from typing import Any

from casemate.model.trigger import (
    MqttTrigger,
    NatsTrigger,
    OutsideTrigger,
    PostgresTrigger,
    RabbitmqTrigger,
    ValkeyTrigger,
)
from casemate.sources.mqtt import MqttConnector
from casemate.sources.nats import NatsConnector
from casemate.sources.postgres import PostgresConnector
from casemate.sources.rabbitmq import RabbitmqConnector
from casemate.sources.valkey import ValkeyConnector

CONNECTORS: dict[type[OutsideTrigger], Any] = {
    ValkeyTrigger: ValkeyConnector,
    PostgresTrigger: PostgresConnector,
    RabbitmqTrigger: RabbitmqConnector,
    MqttTrigger: MqttConnector,
    NatsTrigger: NatsConnector,
}
