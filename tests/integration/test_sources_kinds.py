"""What one kind of source does and no other: groups, sessions, subjects, TLS, rubbish."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from casemate.model.trigger import (
    MqttTrigger,
    NatsTrigger,
    OutsideTrigger,
    PostgresTrigger,
    RabbitmqTrigger,
    ValkeyTrigger,
)
from casemate.sources.config import SourceLimits
from support.egress import TestAuthority
from support.hostile_brokers import Broker as Hostile
from support.outside_servers import Mosquitto, Nats, Postgres, Valkey, running
from support.publishers import (
    OUTBOX,
    NatsPublisher,
    mqtt_publish,
    postgres_do,
    valkey_add,
    valkey_do,
)
from support.sources import LOCAL, Harness, sources

QUICK = SourceLimits(first_pause=0.05, longest_pause=0.2, full_pause=0.02, full_longest=0.05)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running(Valkey, tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running(Mosquitto, tmp_path_factory.mktemp("mosquitto")) as server:
        yield server


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running(Nats, tmp_path_factory.mktemp("nats")) as server:
        yield server


def at(server: Any, **more: Any) -> dict[str, Any]:
    return {**LOCAL, "name": "t", "port": server.port, "password": "pw", **more}


# -- Valkey ----------------------------------------------------------------------------------


def test_changes_of_keys(valkey: Any) -> None:
    async def run() -> None:
        async with sources({"pw": valkey.password}, QUICK) as harness:
            harness.follow(ValkeyTrigger(**at(valkey, keys="session:*", database=1)))
            await harness.connected()
            await asyncio.to_thread(
                valkey_do,
                valkey,
                ["SELECT", 1],
                ["SET", "session:1", "secret content"],
                ["SET", "other", 1],
                ["DEL", "session:1"],
            )
            await harness.until(lambda: len(harness.inbox.kept) == 2)
            assert harness.inbox.bodies == [
                {"key": "session:1", "event": "set"},
                {"key": "session:1", "event": "del"},
            ]

    asyncio.run(run())


def test_a_server_that_tells_no_changes_is_said_to(valkey: Any) -> None:
    async def run() -> None:
        async with sources({"pw": valkey.password}, QUICK) as harness:
            valkey_do(valkey, ["CONFIG", "SET", "notify-keyspace-events", ""])
            harness.follow(ValkeyTrigger(**at(valkey, keys="a*")))
            await harness.until(lambda: "notify-keyspace-events" in harness.status.error)
            valkey_do(valkey, ["CONFIG", "SET", "notify-keyspace-events", "KA"])
            await harness.connected()

    asyncio.run(run())


def test_more_changes_than_there_is_room_for_are_counted(valkey: Any) -> None:
    async def run() -> None:
        limits = SourceLimits(unacknowledged=10, full_pause=0.02, full_longest=0.05)
        async with sources({"pw": valkey.password}, limits) as harness:
            harness.follow(ValkeyTrigger(**at(valkey, keys="flood:*")))
            await harness.connected()
            harness.inbox.full = True
            flood = [["SET", f"flood:{n}", 1] for n in range(300)]
            await asyncio.to_thread(valkey_do, valkey, *flood)
            await harness.until(lambda: harness.inbox.offered)
            harness.inbox.full = False
            await harness.until(lambda: harness.inbox.refusals)
            await harness.until(lambda: len(harness.inbox.kept) + harness.status.refused == 300)
            assert len(harness.inbox.kept) <= 40

    asyncio.run(run())


def test_entries_of_others_that_are_gone_are_taken_over(
    valkey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer of the group took an entry long ago and never acknowledged it."""

    async def run() -> None:
        valkey_do(valkey, ["XGROUP", "CREATE", "stale", "casemate", "0", "MKSTREAM"])
        valkey_add(valkey, "stale", {"n": 1})
        valkey_do(valkey, ["XREADGROUP", "GROUP", "casemate", "gone", "STREAMS", "stale", ">"])
        # As if it had been two minutes ago.
        (entry,) = [
            line
            for line in valkey_do(valkey, ["XRANGE", "stale", "-", "+"]).split(b"\r\n")
            if b"-0" in line
        ]
        valkey_do(
            valkey,
            ["XCLAIM", "stale", "casemate", "gone", 0, entry, "IDLE", 120_000, "JUSTID"],
        )
        async with sources({"pw": valkey.password}, QUICK) as harness:
            harness.follow(ValkeyTrigger(**at(valkey, stream="stale")))
            await harness.until(lambda: harness.inbox.kept)
            assert harness.inbox.bodies == [{"n": "1"}]

    asyncio.run(run())


def test_bytes_and_a_deleted_entry(valkey: Any) -> None:
    async def run() -> None:
        valkey_do(
            valkey,
            ["XADD", "odd", "*", "raw", b"\xff\x00", "text", "grün"],
            ["XADD", "odd", "*", "n", 2],
        )
        async with sources({"pw": valkey.password}, QUICK) as harness:
            harness.follow(ValkeyTrigger(**at(valkey, stream="odd")))
            await harness.until(lambda: len(harness.inbox.kept) == 2)
            assert harness.inbox.bodies[0] == {
                "raw": {"data_base64": "/wA="},
                "text": "grün",
            }

    asyncio.run(run())


# -- PostgreSQL ------------------------------------------------------------------------------


def test_postgres_notifications_an_outbox_shared_and_rows_that_are_too_large(
    tmp_path: Path,
) -> None:
    async def run(server: Any) -> None:
        statements = (
            OUTBOX.format(name="shared"),
            f"CREATE ROLE reader LOGIN PASSWORD '{server.password}'",
            "GRANT ALL ON shared TO reader",
        )
        await postgres_do(server, *statements)
        settings = at(server, database="postgres", user="reader")
        async with sources({"pw": server.password}, QUICK) as harness:
            harness.follow(PostgresTrigger(**settings, outbox="", channel="news"))
            await harness.connected()
            await postgres_do(server, """NOTIFY news, '{"n": 1}'""", "NOTIFY news, 'plain'")
            await harness.until(lambda: len(harness.inbox.kept) == 2)
            assert harness.inbox.bodies == [{"n": 1}, b"plain"]
            assert harness.inbox.kept[0].detail["channel"] == "news"

        limits = SourceLimits(message=2000)
        outbox = PostgresTrigger(**settings, outbox="public.shared")
        async with (
            sources({"pw": server.password}, limits) as one,
            sources({"pw": server.password}, limits) as other,
        ):
            for harness in (one, other):
                harness.follow(outbox)
                await harness.connected()
                # What waits is counted by a statement of its own, which the server has to take.
                await harness.until(lambda h=harness: h.status.waiting == 0)
                assert (harness.status.losses, harness.status.error) == (0, "")
            await postgres_do(
                server,
                """INSERT INTO shared (topic, payload) VALUES
                ('big', jsonb_build_object('n', repeat('x', 5000)))""",
                """INSERT INTO shared (topic, payload)
                SELECT NULL, jsonb_build_object('n', n) FROM generate_series(1, 300) n""",
            )
            await one.until(lambda: len(one.inbox.kept) + len(other.inbox.kept) >= 300)
            found = [b["n"] for h in (one, other) for b in h.inbox.bodies]
            assert sorted(found) == list(range(1, 301))  # each by one of the two
            left = await postgres_do(server, "SELECT topic FROM shared")
            assert [row[0] for row in left] == ["big"]
            assert any("it stays" in r[0] for h in (one, other) for r in h.inbox.refusals)
            await postgres_do(server, "DROP TABLE shared")
            await one.until(lambda: "UndefinedTable" in one.status.error)

    with running(Postgres, tmp_path) as server:
        asyncio.run(run(server))


# -- MQTT ------------------------------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_quality_of_service(mosquitto: Any, qos: int) -> None:
    async def run() -> None:
        async with sources({"pw": "x" * 8}, QUICK) as harness:
            trigger = MqttTrigger(**at(mosquitto, topic=f"q{qos}/+", qos=qos, user="u"))
            harness.follow(trigger)
            await harness.connected()
            kind = b"\x03" + struct.pack("!H", 10) + b"text/plain"
            await asyncio.to_thread(
                mqtt_publish, mosquitto, f"q{qos}/a", b"1", b"2", qos=qos, properties=kind
            )
            await harness.until(lambda: len(harness.inbox.kept) == 2)
            assert [r.body for r in harness.inbox.kept] == [b"1", b"2"]
            assert harness.inbox.kept[0].content_type == "text/plain"
            assert harness.inbox.kept[0].detail["qos"] == qos

    asyncio.run(run())


class Broker:
    """Speaks MQTT for one connection after the other, and sends what a test says."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.acknowledged: list[int] = []

    def serve(self, *publishes: bytes, present: bool, answers: int) -> None:
        """Send messages on the next connection, read `answers` of acknowledgements, and go."""
        connection, _ = self.server.accept()
        with connection, connection.makefile("rb") as stream:
            self._read(stream)
            connection.sendall(b"\x20\x03" + bytes((present,)) + b"\x00\x00")
            self._read(stream)
            connection.sendall(b"\x90\x04\x00\x01\x00\x01" + b"".join(publishes))
            for _ in range(answers):
                self.acknowledged.append(int.from_bytes(self._read(stream)[:2], "big"))

    @staticmethod
    def _read(stream: Any) -> bytes:
        stream.read(1)
        size = stream.read(1)[0]
        if size & 0x80:
            size = (size & 0x7F) | stream.read(1)[0] << 7
        return bytes(stream.read(size))


def test_what_was_kept_and_comes_again_is_acknowledged_and_not_kept_twice() -> None:
    """The connection is lost between keeping and acknowledging."""

    def publish(packet: int, body: bytes, *, again: bool = False) -> bytes:
        rest = b"\x00\x01a" + packet.to_bytes(2, "big") + b"\x00" + body
        return bytes((0x3A if again else 0x32, len(rest))) + rest

    async def run() -> None:
        broker = Broker()
        async with sources(None, QUICK) as harness:
            harness.inbox.slow = 0.2
            harness.follow(MqttTrigger(**{**at(broker, topic="a"), "password": ""}))
            # It goes before it has an acknowledgement.
            await asyncio.to_thread(broker.serve, publish(1, b"1"), present=False, answers=0)
            await harness.until(lambda: len(harness.inbox.kept) >= 1)
            again = publish(1, b"1", again=True), publish(2, b"2"), publish(1, b"other")
            await asyncio.to_thread(broker.serve, *again, present=True, answers=3)
            kept = [received.body for received in harness.inbox.kept]
            # Whether the first was noted as kept before the end is a matter of time.
            assert kept in ([b"1", b"2", b"other"], [b"1", b"1", b"2", b"other"])
            assert broker.acknowledged == [1, 2, 1]
        broker.server.close()

    asyncio.run(run())


# -- NATS ------------------------------------------------------------------------------------


def test_a_core_subject_and_its_headers(nats: Any) -> None:
    async def run() -> None:
        async with sources({"pw": nats.password}, QUICK) as harness:
            harness.follow(NatsTrigger(**at(nats, subject="core.>", user="casemate")))
            await harness.connected()
            with NatsPublisher(nats) as publisher:
                publisher.publish("core.a", b"plain", headers=b"Content-Type: text/plain")
                publisher.publish("core.b.c", b"{}")
            await harness.until(lambda: len(harness.inbox.kept) == 2)
            first, second = harness.inbox.kept
            assert (first.subject, first.content_type) == ("core.a", "text/plain")
            assert (second.subject, second.body) == ("core.b.c", b"{}")

    asyncio.run(run())


def test_a_consumer_that_somebody_made_is_used_or_refused(nats: Any) -> None:
    async def run() -> None:
        with NatsPublisher(nats) as publisher:
            publisher.ask("$JS.API.STREAM.CREATE.MADE", '{"name":"MADE","subjects":["made"]}')
            publisher.publish("made", b"1", b"2")
            for name, policy in (("good", "explicit"), ("bad", "none")):
                config = {"durable_name": name, "ack_policy": policy, "deliver_policy": "new"}
                body = json.dumps({"stream_name": "MADE", "config": config})
                publisher.ask(f"$JS.API.CONSUMER.DURABLE.CREATE.MADE.{name}", body)
            publisher.publish("made", b"3")
        async with sources({"pw": nats.password}, QUICK) as harness:
            settings = at(nats, subject="made", stream="MADE", user="casemate")
            harness.follow(NatsTrigger(**settings, durable="bad"))
            await harness.until(lambda: "explicit" in harness.status.error)
            harness.follow(NatsTrigger(**settings, durable="good"))
            await harness.until(lambda: harness.inbox.kept)
            assert harness.inbox.bodies == [3]

    asyncio.run(run())


def test_a_stream_that_is_deleted_is_told_of(nats: Any) -> None:
    async def run() -> None:
        with NatsPublisher(nats) as publisher:
            publisher.ask("$JS.API.STREAM.CREATE.GONE", '{"name":"GONE","subjects":["gone"]}')
            async with sources({"pw": nats.password}, QUICK) as harness:
                settings = at(nats, subject="gone", stream="GONE", user="casemate")
                harness.follow(NatsTrigger(**settings))
                await harness.connected()
                publisher.ask("$JS.API.STREAM.DELETE.GONE", "")
                await harness.until(lambda: "JetStream" in harness.status.error)

    asyncio.run(run())


# -- TLS -------------------------------------------------------------------------------------


class TlsFront:
    """Speaks TLS for a server on loopback that does not."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._target, self._context = port, context
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            inner = self._context.wrap_socket(sock, server_side=True)
        except OSError:
            sock.close()
            return
        outer = socket.create_connection(("127.0.0.1", self._target))

        def pump(one: socket.socket, other: socket.socket) -> None:
            try:
                while data := one.recv(65536):
                    other.sendall(data)
            except OSError:
                pass
            for each in (one, other):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=pump, args=(outer, inner), daemon=True).start()
        pump(inner, outer)

    def close(self) -> None:
        self._server.close()


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority()


def test_tls_is_verified_by_the_host_name(
    valkey: Any, authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = TlsFront(valkey.port, authority.context("localhost"))
    valkey_add(valkey, "encrypted", {"n": 1})
    settings = at(front, stream="encrypted", tls=True)

    async def run(*, trusted: bool) -> None:
        async with sources({"pw": valkey.password}, QUICK) as harness:
            harness.follow(ValkeyTrigger(**{**settings, "host": "localhost"}))
            if trusted:
                await harness.until(lambda: harness.inbox.kept)
                harness.follow(ValkeyTrigger(**settings))  # by an address not on it
            await harness.until(lambda: "certificate is refused" in harness.status.error)
            assert not harness.status.connected

    asyncio.run(run(trusted=False))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    asyncio.run(run(trusted=True))
    front.close()


def test_nats_goes_over_to_tls_before_it_tells_the_password(
    nats: Any, authority: TestAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def in_clear() -> None:
        async with sources({"pw": nats.password}, QUICK) as harness:
            trigger = NatsTrigger(**at(nats, subject="a", tls=True, user="casemate"))
            harness.follow(trigger)
            await harness.until(lambda: "offers no TLS" in harness.status.error)

    asyncio.run(in_clear())
    authority.context("localhost")
    certificate = authority.folder / "localhost.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))

    async def encrypted(server: Any) -> None:
        async with sources({"pw": server.password}, QUICK) as harness:
            settings = at(server, subject="a", tls=True, user="casemate", host="localhost")
            harness.follow(NatsTrigger(**settings))
            await harness.connected()
            context = ssl.create_default_context(cafile=str(authority.path))
            with NatsPublisher(server, context) as publisher:
                publisher.publish("a", b"1")
            await harness.until(lambda: harness.inbox.kept)

    folder = tmp_path / "nats"
    folder.mkdir()
    with running(Nats, folder, certificate=certificate) as server:
        asyncio.run(encrypted(server))


def test_what_somebody_says_in_clear_is_not_taken_for_the_server_of_nats(
    authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is in between adds to the greeting, and passes on what comes by TLS."""
    context = authority.context("localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))

    def serve(said: bytes) -> Callable[[socket.socket], None]:
        def talk(sock: socket.socket) -> None:
            sock.sendall(b'INFO {"tls_required":true}\r\n' + said)
            with context.wrap_socket(sock, server_side=True) as secure:
                for line in secure.makefile("rb"):
                    if line.startswith(b"PING"):
                        secure.sendall(b"PONG\r\n")

        return talk

    async def run(said: bytes, until: Callable[[Harness], bool]) -> None:
        broker = Hostile(serve(said))
        async with sources({}, QUICK) as harness:
            harness.follow(
                NatsTrigger(
                    **{**LOCAL, "host": "localhost", "tls": True},
                    name="t",
                    port=broker.port,
                    subject="a",
                )
            )
            await harness.until(lambda: until(harness))
            assert not harness.inbox.kept
        broker.close()

    asyncio.run(run(b"", lambda harness: harness.status.connected))
    # So much that there is a subscription before all of it is read.
    message = b"PONG\r\n" + b"+OK\r\n" * 15_000 + b"MSG a 1 1\r\n1\r\n"
    for said in (message, b"PON"):
        asyncio.run(run(said, lambda harness: "before TLS" in harness.status.error))


# -- servers that are none -------------------------------------------------------------------


class Rubbish:
    """Answers whoever connects with rubbish of a kind."""

    def __init__(self, data: bytes, *, endless: bool) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._data, self._endless = data, endless
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            try:
                sock.sendall(self._data)
                while self._endless:
                    sock.sendall(self._data)
            except OSError:
                pass

    def close(self) -> None:
        self._server.close()


ALL: tuple[tuple[type[OutsideTrigger], dict[str, Any]], ...] = (
    (ValkeyTrigger, {"stream": "s"}),
    (PostgresTrigger, {"database": "d", "user": "u"}),
    (RabbitmqTrigger, {"queue": "q", "user": "u"}),
    (MqttTrigger, {"topic": "a", "user": "u"}),
    (NatsTrigger, {"subject": "a", "user": "u"}),
)
RUBBISH = {
    "nothing": (b"", False),
    "http": (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", False),
    "zeros": (b"\0" * 65536, True),
    "noise": (bytes(range(256)) * 64, True),
    "lines": (b"A" * 70_000, True),
    "long": (b"$99999999999\r\n" + b"x" * 60_000, True),
}


@pytest.mark.parametrize("rubbish", RUBBISH)
def test_a_server_that_sends_rubbish_stops_nothing_else(valkey: Any, rubbish: str) -> None:
    """All kinds of source at once, and a good one beside them that goes on."""

    async def run() -> None:
        data, endless = RUBBISH[rubbish]
        server = Rubbish(data, endless=endless)
        stream = f"beside-{rubbish}"
        valkey_add(valkey, stream, {"n": 1})
        triggers = [
            kind(**{**at(server, name=f"bad{number}"), **settings})
            for number, (kind, settings) in enumerate(ALL)
        ]
        limits = SourceLimits(first_pause=0.1, longest_pause=0.2, connect_time=2, silence=2)
        async with sources({"pw": valkey.password}, limits) as harness:
            harness.follow(*triggers, ValkeyTrigger(**at(valkey, stream=stream, name="good")))
            await harness.until(lambda: harness.inbox.kept)
            await harness.until(
                lambda: all(s.error for s in harness.client.statuses() if s.trigger != "good")
            )
            pid = harness.starter.pid
            valkey_add(valkey, stream, {"n": 2})
            await harness.until(lambda: len(harness.inbox.kept) == 2)
            assert harness.starter.pid == pid and pid is not None
            status = Path(f"/proc/{pid}/status").read_text()
            resident = next(x for x in status.splitlines() if x.startswith("VmRSS"))
            assert int(resident.split()[1]) < 400_000, resident
            assert server.connections < 400
        server.close()

    asyncio.run(run())


# -- the process -----------------------------------------------------------------------------


def test_the_process_is_confined(valkey: Any) -> None:
    async def run() -> None:
        async with sources({"pw": valkey.password}, QUICK) as harness:
            harness.follow(ValkeyTrigger(**at(valkey, stream="s")))
            await harness.connected()
            status = Path(f"/proc/{harness.starter.pid}/status").read_text()
            facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            assert facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2"
            assert int(facts["CapEff"], 16) == int(facts["CapPrm"], 16) == 0
            if os.geteuid() == 0:
                assert set(facts["Uid"].split()) == {"64804"}
                assert facts["Groups"].strip() == ""
            environment = Path(f"/proc/{harness.starter.pid}/environ")
            if os.geteuid() != 0:
                with pytest.raises(PermissionError):  # not dumpable
                    environment.read_bytes()
            else:
                names = {e.split(b"=")[0] for e in environment.read_bytes().split(b"\0") if e}
                assert names <= {b"PATH", b"LANG", b"LC_CTYPE", b"SSL_CERT_FILE", b"SSL_CERT_DIR"}

    asyncio.run(run())


def test_the_process_is_there_only_as_long_as_there_are_sources(valkey: Any) -> None:
    async def run() -> None:
        async with sources({"pw": valkey.password}, QUICK) as harness:
            assert harness.starter.pid is None
            harness.follow(ValkeyTrigger(**at(valkey, stream="s")))
            await harness.connected()
            pid = harness.starter.pid
            harness.follow()
            await harness.until(
                lambda: Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
            )

    asyncio.run(run())
