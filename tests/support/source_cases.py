"""The same for every kind of source: a place in its server, messages with numbers, a trigger."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from casemate.model.trigger import (
    MqttTrigger,
    NatsTrigger,
    OutsideTrigger,
    PostgresTrigger,
    RabbitmqTrigger,
    ValkeyTrigger,
)
from casemate.sources import Received
from support.outside_servers import Mosquitto, Nats, Postgres, Rabbitmq, Server, Valkey
from support.publishers import (
    OUTBOX,
    NatsPublisher,
    mqtt_publish,
    postgres_connection,
    postgres_do,
    rabbitmq_channel,
    rabbitmq_publish,
    valkey_add,
    valkey_do,
)
from support.sources import LOCAL


class Case:
    """One kind of source. `place` is a name that no other test uses."""

    kind: type[Server]
    keeps_too_large = True
    """The server hands over what is larger than the limit."""

    returns_at_once = True
    """What a connection leaves without acknowledgement comes again to the next one."""

    def __init__(self, server: Any) -> None:
        self.server = server

    @classmethod
    def start(cls, folder: Path) -> Server:
        return cls.kind(folder)

    def settings(self, **more: Any) -> dict[str, Any]:
        return {**LOCAL, "port": self.server.port, "name": "t", "password": "pw", **more}

    def trigger(self, place: str, **more: Any) -> OutsideTrigger:
        raise NotImplementedError

    async def prepare(self, place: str) -> None:
        """Have the place."""

    async def send(self, place: str, *bodies: bytes) -> None:
        """Put messages there."""
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def feed(self, place: str) -> AsyncIterator[Callable[..., Awaitable[None]]]:
        """Yield what sends bodies over one connection, where connecting takes its time."""

        async def send(*bodies: bytes) -> None:
            await self.send(place, *bodies)

        yield send

    async def left(self, place: str) -> int | None:
        """Return how many the server still has for the source, None if it cannot tell."""
        return None

    async def publish(self, place: str, numbers: Sequence[int]) -> None:
        """Put messages with numbers there."""
        await self.send(place, *(json.dumps({"n": n}).encode() for n in numbers))

    def number(self, received: Received) -> int:
        """Return the number of a message."""
        return int(json.loads(received.body)["n"])


class ValkeyCase(Case):
    kind = Valkey

    def trigger(self, place: str, **more: Any) -> OutsideTrigger:
        return ValkeyTrigger(**self.settings(stream=place, **more))

    async def send(self, place: str, *bodies: bytes) -> None:
        await asyncio.to_thread(valkey_add, self.server, place, *map(json.loads, bodies))

    async def left(self, place: str) -> int | None:
        answer = await asyncio.to_thread(valkey_do, self.server, ["XPENDING", place, "casemate"])
        return int(answer.split(b"\r\n:")[1].split(b"\r\n")[0] if b"\r\n:" in answer else 0)


class PostgresCase(Case):
    kind = Postgres

    def trigger(self, place: str, **more: Any) -> OutsideTrigger:
        settings = {"database": "postgres", "user": "reader", "outbox": place, "channel": "wake"}
        return PostgresTrigger(**self.settings(**settings, **more))

    async def prepare(self, place: str) -> None:
        role = f"CREATE ROLE reader LOGIN PASSWORD '{self.server.password}'"
        await postgres_do(
            self.server,
            f"DO $$ BEGIN {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            OUTBOX.format(name=place),
            f"GRANT SELECT, UPDATE, DELETE ON {place} TO reader",
        )

    async def send(self, place: str, *bodies: bytes) -> None:
        rows = ", ".join(f"('a', '{body.decode()}')" for body in bodies)
        await postgres_do(
            self.server, f"INSERT INTO {place} (topic, payload) VALUES {rows}", "NOTIFY wake"
        )

    @contextlib.asynccontextmanager
    async def feed(self, place: str) -> AsyncIterator[Callable[..., Awaitable[None]]]:
        async with postgres_connection(self.server) as connection:
            statement = f"INSERT INTO {place} (topic, payload) SELECT 'a', unnest($1::jsonb[])"

            async def send(*bodies: bytes) -> None:
                await connection.execute(statement, [body.decode() for body in bodies])
                await connection.execute("NOTIFY wake")

            yield send

    async def left(self, place: str) -> int | None:
        return int((await postgres_do(self.server, f"SELECT count(*) FROM {place}"))[0][0])


class RabbitmqCase(Case):
    kind = Rabbitmq

    def trigger(self, place: str, **more: Any) -> OutsideTrigger:
        return RabbitmqTrigger(**self.settings(queue=place, user="casemate", **more))

    async def prepare(self, place: str) -> None:
        async with rabbitmq_channel(self.server) as channel:
            await channel.queue_declare(place, durable=True)

    async def send(self, place: str, *bodies: bytes) -> None:
        await rabbitmq_publish(self.server, place, *bodies)

    @contextlib.asynccontextmanager
    async def feed(self, place: str) -> AsyncIterator[Callable[..., Awaitable[None]]]:
        async with rabbitmq_channel(self.server) as channel:

            async def send(*bodies: bytes) -> None:
                await asyncio.gather(
                    *(channel.basic_publish(body, routing_key=place) for body in bodies)
                )

            yield send

    async def left(self, place: str) -> int | None:
        async with rabbitmq_channel(self.server) as channel:
            return (await channel.queue_declare(place, durable=True)).message_count


class MqttCase(Case):
    kind = Mosquitto
    keeps_too_large = False

    def trigger(self, place: str, **more: Any) -> OutsideTrigger:
        return MqttTrigger(**self.settings(topic=f"{place}/#", user="anybody", **more))

    async def send(self, place: str, *bodies: bytes) -> None:
        await asyncio.to_thread(mqtt_publish, self.server, f"{place}/a", *bodies)


class NatsCase(Case):
    kind = Nats
    returns_at_once = False  # but after the consumer's wait of 30 s

    def trigger(self, place: str, **more: Any) -> OutsideTrigger:
        settings = {"subject": f"{place}.*", "stream": place, "user": "casemate"}
        return NatsTrigger(**self.settings(**settings, **more))

    async def prepare(self, place: str) -> None:
        with NatsPublisher(self.server) as publisher:
            stream = f'{{"name":"{place}","subjects":["{place}.*"]}}'
            assert "error" not in publisher.ask(f"$JS.API.STREAM.CREATE.{place}", stream)

    def _send(self, place: str, bodies: Sequence[bytes]) -> None:
        with NatsPublisher(self.server) as publisher:
            if bodies[1:]:
                publisher.publish(f"{place}.a", *bodies[:-1])
            # What JetStream answers to is stored, and so is all before it.
            assert "error" not in publisher.ask(f"{place}.a", bodies[-1].decode("latin-1"))

    async def send(self, place: str, *bodies: bytes) -> None:
        await asyncio.to_thread(self._send, place, bodies)

    async def left(self, place: str) -> int | None:
        def ask() -> int:
            with NatsPublisher(self.server) as publisher:
                names = json.loads(publisher.ask(f"$JS.API.CONSUMER.NAMES.{place}", "{}"))
                name = names["consumers"][0]
                info = json.loads(publisher.ask(f"$JS.API.CONSUMER.INFO.{place}.{name}", "{}"))
                return int(info["num_pending"] + info["num_ack_pending"])

        return await asyncio.to_thread(ask)


CASES = (ValkeyCase, PostgresCase, RabbitmqCase, MqttCase, NatsCase)
