"""From a real server outside to a real function: each kind of source, on one node."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from support.cli import casemate
from support.node import TestNode
from support.outside_servers import Mosquitto, Nats, Postgres, Rabbitmq, Server, Valkey, running
from support.publishers import (
    OUTBOX,
    NatsPublisher,
    mqtt_publish,
    postgres_do,
    rabbitmq_channel,
    rabbitmq_publish,
    valkey_add,
    valkey_do,
)

SHARES_NODE = True
SOURCE = """
def handler(event, context):
    found = context.event
    context.table("seen").put({
        "id": f"{found.type} {found.data}",
        "source": found.source,
        "event": found.id,
        "subject": found.subject,
        "trigger": context.event["%s"] is not None,
        "data": found.data,
    })
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        yield {
            kind.name: stack.enter_context(running(kind, tmp_path_factory.mktemp(kind.name)))
            for kind in (Valkey, Postgres, Mosquitto, Nats, Rabbitmq)
        }


def follow(node: TestNode, server: Server, settings: str, *, user: str = "") -> None:
    """Deploy a function named as the kind, with one trigger; its password is in the vault."""
    name = server.name
    secret = f"{name}-password"
    done = casemate(node, "secrets", "set", f"t/{secret}", stdin=server.password)
    assert done.returncode == 0, done.stderr
    trigger = f"""
[[function.{name}.{name}]]
host = "127.0.0.1"
port = {server.port}
tls = false
private = true
exception = "a server of the test"
{user}password = "{secret}"
{settings}
"""
    node.deploy(
        SOURCE % name,
        name=name,
        routes=trigger,
        grants='tables = [{ name = "seen", actions = ["get", "put"] }]',
        resources='[table.seen]\nkey = "id"',
        approve=True,
    )
    node.wait_until(lambda: status(node, name)["connected"])


def status(node: TestNode, name: str) -> dict[str, Any]:
    done = casemate(node, "sources", "ls", "t", "--json")
    assert done.returncode == 0, done.stderr
    found = {s["function"]: s for s in json.loads(done.stdout)["sources"]}
    return found[name]


def seen(node: TestNode, kind: str, data: Any) -> dict[str, Any] | None:
    """Return what the function kept of the event with this data."""
    done = casemate(node, "tables", "query", "t/seen", "--json")
    assert done.returncode == 0, done.stderr
    for item in json.loads(done.stdout)["items"]:
        value = item["value"]
        if value["data"] == data and value["id"].startswith(f"casemate.{kind}.message"):
            return value
    return None


def arrives(node: TestNode, kind: str, data: Any, publish: Callable[[], None]) -> dict[str, Any]:
    publish()
    node.wait_until(lambda: seen(node, kind, data), 20)
    found = seen(node, kind, data)
    assert found is not None
    assert found["trigger"]
    assert status(node, kind)["events"] >= 1
    return found


def test_valkey(node: TestNode, servers: dict[str, Server]) -> None:
    server: Any = servers["valkey"]
    follow(node, server, 'stream = "orders"')
    found = arrives(node, "valkey", {"n": "1"}, lambda: valkey_add(server, "orders", {"n": 1}))
    assert found["source"] == f"valkey://127.0.0.1:{server.port}/0/orders"
    node.wait_until(lambda: b":0\r\n" in valkey_do(server, ["XPENDING", "orders", "casemate"]))


def test_postgres(node: TestNode, servers: dict[str, Server]) -> None:
    server: Any = servers["postgres"]
    asyncio.run(
        postgres_do(
            server,
            OUTBOX.format(name="casemate_outbox"),
            f"CREATE ROLE reader LOGIN PASSWORD '{server.password}'",
            "GRANT SELECT, UPDATE, DELETE ON casemate_outbox TO reader",
        )
    )
    follow(node, server, 'database = "postgres"\nchannel = "wake"', user='user = "reader"\n')
    insert = """INSERT INTO casemate_outbox (topic, payload) VALUES ('paid', '{"n": 1}')"""
    found = arrives(
        node, "postgres", {"n": 1}, lambda: asyncio.run(postgres_do(server, insert, "NOTIFY wake"))
    )
    assert found["subject"] == "paid" and found["event"] == "1"
    left = asyncio.run(postgres_do(server, "SELECT count(*) FROM casemate_outbox"))
    assert left[0][0] == 0


def test_rabbitmq(node: TestNode, servers: dict[str, Server]) -> None:
    server: Any = servers["rabbitmq"]

    async def declare() -> int:
        async with rabbitmq_channel(server) as channel:
            return (await channel.queue_declare("jobs", durable=True)).message_count or 0

    asyncio.run(declare())
    follow(node, server, 'queue = "jobs"', user='user = "casemate"\n')
    publish = rabbitmq_publish(server, "jobs", b'{"n": 1}', properties={"message_id": "m-1"})
    found = arrives(node, "rabbitmq", {"n": 1}, lambda: asyncio.run(publish))
    assert found["event"] == "m-1"
    assert asyncio.run(declare()) == 0


def test_mqtt(node: TestNode, servers: dict[str, Server]) -> None:
    server: Any = servers["mqtt"]
    follow(node, server, 'topic = "sensors/+/t"', user='user = "anybody"\n')
    found = arrives(node, "mqtt", 21.5, lambda: mqtt_publish(server, "sensors/a/t", b"21.5"))
    assert found["subject"] == "sensors/a/t"


def test_nats(node: TestNode, servers: dict[str, Server]) -> None:
    server: Any = servers["nats"]
    with NatsPublisher(server) as publisher:
        publisher.ask("$JS.API.STREAM.CREATE.ORDERS", '{"name":"ORDERS","subjects":["orders.*"]}')
        settings = 'subject = "orders.*"\nstream = "ORDERS"'
        follow(node, server, settings, user='user = "casemate"\n')
        found = arrives(
            node, "nats", {"n": 1}, lambda: publisher.publish("orders.new", b'{"n": 1}')
        )
        assert found["event"] == "ORDERS-1"


@pytest.mark.skipif(os.geteuid() != 0, reason="looks into the memory of another process")
def test_no_password_is_in_the_gateway(node: TestNode, servers: dict[str, Server]) -> None:
    """Not in the memory of the process that parses the network, for it never was there."""
    gateway = node.part("gateway")
    assert gateway is not None
    wanted = [server.password.encode() for server in servers.values()]
    found = set()
    with open(f"/proc/{gateway}/maps") as maps, open(f"/proc/{gateway}/mem", "rb") as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except OSError:
                continue
            found |= {secret for secret in wanted if secret in data}
    assert not found


def test_sources_end_with_their_function(node: TestNode, servers: dict[str, Server]) -> None:
    done = casemate(node, "sources", "ls")
    assert done.returncode == 0 and "127.0.0.1" in done.stdout
    for name in servers:
        assert casemate(node, "rm", f"t/{name}", "--yes").returncode == 0
    assert "No live function" in casemate(node, "sources", "ls").stderr
    node.wait_until(lambda: node.part("sources") is None)
