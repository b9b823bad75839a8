"""Clients that speak TLS to a node and mean no good, and certificates that are none of a server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from casemate.certificates import issuing
from casemate.certificates.given import GivenFiles
from casemate.certificates.issuing import Names
from casemate.certificates.key_pair import CertificateError, KeyPair
from casemate.certificates.server_context import server_context
from casemate.cli.authority import client_context
from casemate.model.errors import CasemateError
from casemate.model.http import HttpRequest, HttpResponse
from casemate.triggers.http_server import HttpLimits, HttpServer
from support.destinations import leading_to
from support.tls_records import ClientRecords, client

NOW = datetime.now(UTC)
NAMES = Names.of(["localhost", "127.0.0.1"])
LIMITS = HttpLimits(header_seconds=1.0, connections_per_peer=50, linger_seconds=0.2)


class Server:
    """A server over TLS on a loop in a thread of its own, whose certificate can change."""

    def __init__(self, limits: HttpLimits = LIMITS) -> None:
        self.authority = issuing.new_authority(NAMES, NOW - timedelta(days=365))
        self.context = server_context(issuing.issue(self.authority, NAMES, NOW))
        self.errors: list[str] = []
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.limits = limits
        self.run(self._start())

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    async def _start(self) -> None:
        async def handler(request: HttpRequest) -> HttpResponse:
            return HttpResponse(200, (), request.body)

        def on_error(error: BaseException) -> str:
            self.errors.append(repr(error))
            return "err_1"

        self.server = HttpServer(
            leading_to(handler, lambda _head: 1 << 20), self.limits, on_error=on_error
        )
        await self.server.start(tls=lambda: self.context)
        self.port = self.server.port

    def connect(self, source: str = "127.0.0.1", seconds: float = 8) -> socket.socket:
        return socket.create_connection(
            ("127.0.0.1", self.port), timeout=seconds, source_address=(source, 0)
        )

    def client(self) -> ssl.SSLContext:
        return client_context(self.authority.certificate.decode())

    def answers(self, source: str = "127.0.0.1", **rest: Any) -> ssl.SSLSocket:
        secure = self.client().wrap_socket(
            self.connect(source), server_hostname="127.0.0.1", **rest
        )
        secure.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        said = b""
        while part := secure.recv(65536):
            said += part
        assert said.startswith(b"HTTP/1.1 200 ")
        return secure

    def close(self) -> None:
        self.run(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        assert not self.errors


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def idle(server: Server, seconds: float = 6) -> None:
    deadline = time.monotonic() + seconds
    while server.server.open_connections:
        assert time.monotonic() < deadline, "connections are held"
        time.sleep(0.02)


def rest(sock: socket.socket) -> bytes:
    said = b""
    with contextlib.suppress(OSError):
        while part := sock.recv(65536):
            said += part
    return said


def hello(**changes: Any) -> bytes:
    """Return a ClientHello of OpenSSL's, whole."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn := changes.get("alpn"):
        context.set_alpn_protocols(alpn)
    sent = ssl.MemoryBIO()
    talk = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=changes.get("name", "node"))
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.do_handshake()
    return sent.read()


def record_of(kind: int, data: bytes) -> bytes:
    return struct.pack(">BHH", kind, 0x0303, len(data)) + data


HELLO = hello()
BODY = HELLO[5:]
FIRST: dict[str, list[bytes]] = {
    "a record for each byte of a hello": [record_of(22, BODY[n : n + 1]) for n in range(len(BODY))],
    "hellos without end": [HELLO] * 400,
    "an empty record, many times": [record_of(22, b"")] * 400,
    "a change of cipher first": [record_of(20, b"\1")] * 400,
    "changes of cipher after a hello": [HELLO, *([record_of(20, b"\1")] * 400)],
    "warnings": [HELLO, *([record_of(21, b"\1\x5a")] * 400)],
    "a fatal alert": [record_of(21, b"\2\x28")],
    "data before keys": [HELLO, record_of(23, b"GET / HTTP/1.1\r\n\r\n")],
    "a hello of 16 MiB": [record_of(22, b"\1\xff\xff\xff" + bytes(16000))] * 20,
    "a record longer than there are": [struct.pack(">BHH", 22, 0x0303, 65535) + bytes(65535)],
    "a hello of SSL 2": [b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37)],
    "a hello of TLS 1.0": [HELLO.replace(b"\x03\x04", b"\x03\x01").replace(b"\x03\x03", b"\x03\1")],
    "a hello that is an answer": [record_of(22, b"\2" + BODY[1:])],
    "a heartbeat": [HELLO, record_of(24, b"\1\xff\xff")],
    "a finish first": [record_of(22, b"\x14\0\0\x0c" + bytes(12))],
    "a change of keys first": [record_of(22, b"\x18\0\0\1\1")] * 50,
    "a hello with lengths that lie": [HELLO[:44] + b"\xff\xff" + HELLO[46:]],
    "zeros": [b"\x16" + bytes(4000)],
    "HTTP/2 in clear": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(18)],
    "plain HTTP that goes on": [b"POST / HTTP/1.1\r\ncontent-length: 999999\r\n\r\n" + b"x" * 9999],
    "a proxy's line": [b"PROXY TCP4 9.9.9.9 127.0.0.1 1 2\r\n" + HELLO],
    "a proxy's header": [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + HELLO],
}


@pytest.mark.parametrize("name", FIRST)
def test_what_is_no_handshake_ends_soon_and_leaves_nothing(server: Server, name: str) -> None:
    began, used = time.monotonic(), time.process_time()
    with server.connect() as sock, contextlib.suppress(OSError):
        for part in FIRST[name]:
            sock.sendall(part)
        said = rest(sock)
        assert b"HTTP/1.1 200" not in said
    assert time.monotonic() - began < 30
    assert time.process_time() - used < 1
    idle(server)
    server.answers()


@pytest.mark.parametrize("name", ["", "x" * 253, "a.b.c", "xn--x", "LOCALHOST", "127.0.0.1"])
def test_any_name_gets_the_certificate_that_there_is(server: Server, name: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=server.authority.certificate.decode())
    with (
        contextlib.suppress(ValueError),
        context.wrap_socket(server.connect(), server_hostname=name or None) as secure,
    ):
        assert secure.getpeercert()
    idle(server)
    server.answers()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_was_agreed_with_another_certificate_is_not_gone_on_with(
    version: ssl.TLSVersion,
) -> None:
    server = Server()
    try:
        context = server.client()
        context.maximum_version = context.minimum_version = version

        def once(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None]:
            with context.wrap_socket(
                server.connect(), server_hostname="127.0.0.1", session=session
            ) as secure:
                secure.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                assert secure.recv(65536).startswith(b"HTTP/1.1 200 ")
                return secure.session, secure.session_reused

        session, _ = once(None)
        _, reused = once(session)
        assert reused
        server.context = server_context(issuing.issue(server.authority, NAMES, NOW))
        _, reused = once(session)
        assert not reused
    finally:
        server.close()


@pytest.mark.parametrize("alpn", [["h2"], ["h2", "http/1.1"], ["spdy/3"], ["http/1.0"], ["ftp"]])
def test_another_protocol_is_not_agreed_on(server: Server, alpn: list[str]) -> None:
    context = server.client()
    context.set_alpn_protocols(alpn)
    with context.wrap_socket(server.connect(), server_hostname="127.0.0.1") as secure:
        assert secure.selected_alpn_protocol() in (None, "http/1.1")
        secure.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert b" 200 " not in rest(secure)


def test_a_certificate_of_a_client_is_not_asked_for_and_changes_nothing(
    server: Server, tmp_path: Path
) -> None:
    pair = issuing.issue(server.authority, NAMES, NOW)
    (tmp_path / "pair.pem").write_bytes(pair.certificate + pair.key)
    context = server.client()
    context.load_cert_chain(tmp_path / "pair.pem")
    with context.wrap_socket(server.connect(), server_hostname="127.0.0.1") as secure:
        secure.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        assert rest(secure).startswith(b"HTTP/1.1 200 ")


def openssl(server: Server, *more: str, said: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *more]
    return subprocess.run(words, input=said, capture_output=True, timeout=30, check=False)


def test_new_keys_without_end_end_with_the_connection(server: Server) -> None:
    """`K` has both sides take new keys (RFC 8446, 4.6.3): no request comes of it."""
    began, used = time.monotonic(), time.process_time()
    openssl(server, "-tls1_3", "-quiet", said=b"K\n" * 2000)
    assert time.monotonic() - began < 20
    assert time.process_time() - used < 3
    idle(server)
    server.answers()


def test_a_request_behind_new_keys_again_and_again_is_not_answered(
    server: Server, tmp_path: Path
) -> None:
    """OpenSSL took a whole core for those of one connection, and never counted them."""
    asked = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
    for count, cut in ((20, False), (3000, True)):
        keys = tmp_path / f"keys-{count}"
        secure = client(keys).wrap_socket(server.connect(seconds=4))
        by_hand = ClientRecords(keys, secure.cipher()[0])  # type: ignore[index]
        with socket.socket(fileno=secure.detach()) as sock:
            sock.settimeout(4)
            began = time.monotonic()
            with contextlib.suppress(OSError):
                sock.sendall(by_hand.new_keys(count) + by_hand.data(asked))
            rest(sock)
            assert (time.monotonic() - began < 3) is cut
    idle(server)
    server.answers()


def test_nothing_is_taken_before_keys_are_there(server: Server, tmp_path: Path) -> None:
    session, early = tmp_path / "session", tmp_path / "early"
    early.write_bytes(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    openssl(server, "-tls1_3", "-sess_out", str(session), "-ign_eof", said=early.read_bytes())
    assert session.exists()
    again = openssl(server, "-tls1_3", "-sess_in", str(session), "-early_data", str(early))
    assert b"Early data was accepted" not in again.stdout
    assert b"HTTP/1.1 200" not in again.stdout
    idle(server)


@pytest.mark.parametrize(
    "weak",
    [
        ("-tls1_2", "-cipher", "AES128-SHA"),
        ("-tls1_2", "-cipher", "AES128-GCM-SHA256"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"),
        ("-tls1_2", "-cipher", "NULL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "ADH-AES128-SHA256:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "PSK"),
        ("-tls1_2", "-curves", "secp192r1"),
        ("-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"),
        ("-tls1_2", "-legacy_renegotiation", "-cipher", "DHE-RSA-AES128-GCM-SHA256"),
        ("-tls1_2", "-comp", "-cipher", "AES256-SHA256"),
    ],
)
def test_what_is_weak_is_not_agreed_on(server: Server, weak: tuple[str, ...]) -> None:
    done = openssl(server, *weak, "-quiet", said=b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert b"HTTP/1.1 200" not in done.stdout
    idle(server)


def made(key: Any = None, *, usage: Any = None, days: tuple[int, int] = (-1, 9)) -> KeyPair:
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    bare = isinstance(key, ed25519.Ed25519PrivateKey)
    signed = builder.sign(key, None if bare else hashes.SHA256())
    return KeyPair(
        certificate=signed.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def of_another() -> KeyPair:
    return KeyPair(certificate=made().certificate, key=made().key)


def locked() -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    return KeyPair(certificate=made(key).certificate, key=pem)


NO_SERVER: dict[str, Callable[[], KeyPair]] = {
    "of the past": lambda: made(days=(-9, -1)),
    "of the future": lambda: made(days=(1, 9)),
    "for another purpose": lambda: made(usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    "for signing code": lambda: made(usage=ExtendedKeyUsageOID.CODE_SIGNING),
    "RSA of 1024 bits": lambda: made(rsa.generate_private_key(65537, 1024)),
    "another's key": of_another,
    "a key with a passphrase": locked,
    "no certificate": lambda: KeyPair(certificate=b"-----BEGIN CERTIFICATE-----\n", key=made().key),
    "nothing": lambda: KeyPair(certificate=b"", key=b""),
    "bytes": lambda: KeyPair(certificate=os.urandom(4096), key=os.urandom(4096)),
}


@pytest.mark.parametrize("name", NO_SERVER)
def test_a_certificate_that_no_client_would_take_is_refused_by_name(name: str) -> None:
    with pytest.raises(CertificateError) as refused:
        server_context(NO_SERVER[name]())
    assert refused.value.next_step
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("kind", [lambda: ec.generate_private_key(ec.SECP384R1()),
                                  lambda: rsa.generate_private_key(65537, 2048)])  # fmt: skip
def test_others_are_taken(kind: Callable[[], Any]) -> None:
    assert server_context(made(kind()))
    assert server_context(made(usage=ExtendedKeyUsageOID.SERVER_AUTH))
    assert server_context(made(ed25519.Ed25519PrivateKey.generate()))


def given(folder: Path, do: Callable[[Path, Path], None]) -> GivenFiles:
    certificate, key = folder / "tls.crt", folder / "tls.key"
    pair = made()
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    key.chmod(0o600)
    do(certificate, key)
    return GivenFiles(certificate, key)


FILES: dict[str, Callable[[Path, Path], None]] = {
    "a pipe": lambda c, _: (c.unlink(), os.mkfifo(c)),  # type: ignore[func-returns-value]
    "a folder": lambda c, _: (c.unlink(), c.mkdir()),  # type: ignore[func-returns-value]
    "a device": lambda c, _: (c.unlink(), c.symlink_to("/dev/zero")),  # type: ignore[func-returns-value]
    "300 KiB": lambda c, _: c.write_bytes(b"x" * 300 * 1024),  # type: ignore[arg-type,return-value]
    "nothing": lambda _, k: k.unlink(),
    "a key for all": lambda _, k: k.chmod(0o604),
    "a key that all may write": lambda _, k: k.chmod(0o602),
    "a loop": lambda c, _: (c.unlink(), c.symlink_to(c)),  # type: ignore[func-returns-value]
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_certificate_are_refused_and_not_waited_for(
    tmp_path: Path, name: str
) -> None:
    began = time.monotonic()
    with pytest.raises(CasemateError) as refused:
        asyncio.run(given(tmp_path, FILES[name]).first())
    assert refused.value.next_step
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("begun", [0, 1, 5, len(HELLO) - 1])
def test_half_open_connections_of_many_keep_nobody_out_for_longer_than_a_handshake(
    begun: int,
) -> None:
    server = Server(HttpLimits(header_seconds=1.0, connections=300, connections_per_peer=60))
    held = []
    try:
        for number in range(300):
            sock = server.connect(f"127.0.{number // 60}.7")
            sock.sendall(HELLO[:begun])
            held.append(sock)
        began = time.monotonic()
        while True:
            try:
                server.answers("127.0.9.9")
                break
            except (OSError, AssertionError):
                assert time.monotonic() - began < 30
                time.sleep(0.05)
        idle(server)
    finally:
        for sock in held:
            sock.close()
        server.close()


@pytest.mark.storm
def test_ten_thousand_half_open_connections() -> None:
    """From 10 addresses; the descriptors of both ends are this process's."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    server = Server(HttpLimits(header_seconds=5.0, connections=10_000, connections_per_peer=1000))
    held: list[socket.socket] = []
    try:
        before = resource.getrusage(resource.RUSAGE_SELF)
        server.answers("127.0.99.1")
        for number in range(9_900):
            sock = socket.socket()
            sock.bind((f"127.0.{number // 1000}.7", 0))
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(("127.0.0.1", server.port))
            held.append(sock)
            if number % 200 == 0:
                time.sleep(0.01)
        asked = time.monotonic()
        server.answers("127.0.99.1")
        assert time.monotonic() - asked < 2
        _, ready, _ = select.select([], held[:500], [], 1)
        assert ready
        idle(server, 15)
        server.answers("127.0.99.1")
        used = resource.getrusage(resource.RUSAGE_SELF)
        assert used.ru_maxrss - before.ru_maxrss < 400 * 1024
        print(
            f"{used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime:.1f} s,"
            f" {used.ru_maxrss - before.ru_maxrss} KiB"
        )
    finally:
        for sock in held:
            sock.close()
        server.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
