"""The server over TLS, against real clients and those that mean no good."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvloop

from casemate.certificates import issuing as certificates
from casemate.certificates.given import GivenFiles
from casemate.certificates.issuing import Names
from casemate.certificates.key_pair import KeyPair
from casemate.certificates.server_context import server_context
from casemate.certificates.tls import NodeTls
from casemate.cli.authority import client_context, fetch_ca
from casemate.cli.client import NodeClient
from casemate.cli.commands import tls as show
from casemate.cli.credentials import Credentials
from casemate.cli.errors import CommandError, UnreachableError, UsageError
from casemate.front import AUTHORITY_PATH, Authority, Nowhere
from casemate.model.http import Destination, HttpHead, HttpRequest, HttpResponse
from casemate.triggers.http_server import HttpLimits, HttpServer, asgi_handler
from support.descriptors import descriptors_held
from support.destinations import leading_to
from support.waiting import wait_for

NOW = datetime.now(UTC)
NAMES = Names.of(["localhost", "127.0.0.1", "node.example.org"])
LIMITS = HttpLimits(header_seconds=1.0, connections_per_peer=20, linger_seconds=0.5)


class Fixed:
    """A source whose certificate the test sets."""

    interval = 3600.0

    def __init__(self) -> None:
        made = certificates.new_authority(NAMES, NOW - timedelta(days=365))
        self.pair, self.authority = made, made.certificate
        self.issuer = made
        self.next: KeyPair | None = None

    async def first(self) -> KeyPair:
        return certificates.issue(self.issuer, NAMES, NOW)

    async def changed(self) -> KeyPair | None:
        return self.next

    def forget(self) -> None:
        pass


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    headers = [(b"x-scheme", scope["scheme"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in (b"a" * 100_000, b"b" * 100_000):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class Server:
    """An HttpServer with TLS on a loop in a thread of its own."""

    def __init__(self, tls_source: Any = None, limits: HttpLimits = LIMITS) -> None:
        self.source = tls_source or Fixed()
        self.limits = limits
        self.errors: list[str] = []
        self.reports: list[str] = []
        self.slow = threading.Event()
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.run(self._start())

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _start(self) -> None:
        self.tls = NodeTls(self.source, self.reports.append)
        await self.tls.start()
        through = asgi_handler(app, scheme="https")

        async def handler(request: HttpRequest) -> HttpResponse:
            if request.head.path == "/asgi":
                return await through(request)
            if request.head.path == "/slow":
                await asyncio.sleep(0.5)
            return HttpResponse(200, ((b"x-peer", request.head.peer.encode()),), request.body)

        def on_error(error: BaseException) -> str:
            self.errors.append(repr(error))
            return "err_1"

        others = leading_to(handler, lambda _head: 1 << 20)
        authority = Authority(self.tls, Nowhere(None, None, None))  # type: ignore[arg-type]

        def route(head: HttpHead) -> Destination | HttpResponse:
            if head.path == AUTHORITY_PATH and self.tls.authority:
                return authority.find(head, None)  # type: ignore[arg-type]
            return others(head)

        self.server = HttpServer(route, self.limits, on_error=on_error)
        await self.server.start(tls=self.tls.context)
        self.port = self.server.port
        self.url = f"https://127.0.0.1:{self.port}"

    def client(self, **rest: Any) -> httpx2.Client:
        context = client_context(self.source.authority.decode())
        return httpx2.Client(base_url=self.url, verify=context, timeout=10, **rest)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def idle(self) -> bool:
        return self.server.open_connections == 0

    def close(self) -> None:
        self.run(self.tls.close())
        self.run(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        assert not self.errors


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Neither the server nor the loop complains, whatever a client does."""
    yield
    assert [
        record.getMessage() for record in caplog.get_records("call") if record.name == "asyncio"
    ] == []


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def rest(sock: socket.socket) -> bytes:
    """Read to the end, however it comes."""
    data = b""
    with contextlib.suppress(OSError):
        while part := sock.recv(65536):
            data += part
    return data


# -- clients as they are -------------------------------------------------------------------------


def test_httpx_keeps_its_connection_and_streams(server: Server) -> None:
    with server.client() as client:
        for size in (0, 10, 300_000):
            answer = client.post("/echo", content=b"x" * size)
            assert answer.status_code == 200 and answer.content == b"x" * size
            assert answer.headers["x-peer"] == "127.0.0.1"
        assert server.server.open_connections == 1
        streamed = client.get("/asgi")
        assert streamed.headers["x-scheme"] == "https"
        assert streamed.content == b"a" * 100_000 + b"b" * 100_000
        assert streamed.headers["strict-transport-security"] == "max-age=2592000"
        assert client.get("/x", headers={"connection": "close"}).status_code == 200
    wait_for(server.idle)


def test_curl(server: Server, tmp_path: Path) -> None:
    (tmp_path / "ca").write_bytes(server.source.authority)
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--fail", "--cacert", str(tmp_path / "ca")),
            *("--data-binary", "hello", "--write-out", "%{http_version} %{ssl_verify_result}"),
            server.url + "/echo",
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.stdout == "hello1.1 0", done.stderr


def s_client(server: Server, *arguments: str) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *arguments],
        input="",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(("version", "protocol"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_the_versions_that_are_spoken(server: Server, version: str, protocol: str) -> None:
    said = s_client(server, version, "-alpn", "h2,http/1.1")
    assert protocol in said and "ALPN protocol: http/1.1" in said
    assert "Compression: NONE" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("-tls1",),
        ("-tls1_1",),
        ("-tls1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "AES128-GCM-SHA256"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"),
        ("-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"),
    ],
)
def test_what_is_old_or_weak_is_not(server: Server, arguments: tuple[str, ...]) -> None:
    said = s_client(server, *arguments)
    assert "Cipher is (NONE)" in said or "Cipher    : 0000" in said or "no peer cert" in said


def test_nobody_renegotiates(server: Server) -> None:
    done = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{server.port}"],
        input="R\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "RENEGOTIATING" in done.stdout + done.stderr
    assert "no renegotiation" in done.stderr or "alert" in done.stderr


def test_a_session_is_resumed(server: Server, tmp_path: Path) -> None:
    context = client_context(server.source.authority.decode())
    with context.wrap_socket(server.connect(), server_hostname="127.0.0.1") as first:
        first.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert rest(first).startswith(b"HTTP/1.1 200")
        session = first.session
    with context.wrap_socket(
        server.connect(), server_hostname="127.0.0.1", session=session
    ) as second:
        assert second.session_reused


# -- who the server is ---------------------------------------------------------------------------


def refuses(server: Server, ca: bytes, name: str = "127.0.0.1") -> str:
    context = client_context(ca.decode())
    with pytest.raises(ssl.SSLCertVerificationError) as refused, server.connect() as plain:
        context.wrap_socket(plain, server_hostname=name)
    return refused.value.verify_message


def test_another_authority_is_refused(server: Server) -> None:
    other = certificates.new_authority(NAMES, NOW)
    assert refuses(server, other.certificate)


def test_another_name_is_refused(server: Server) -> None:
    assert "mismatch" in refuses(server, server.source.authority, "other.example.org")


def replaced(server: Server, pair: KeyPair) -> None:
    """Have new connections get a pair, as an attacker's server would give it."""
    server.tls._context = server_context(pair)


def test_a_certificate_for_other_names_is_refused(server: Server) -> None:
    replaced(server, certificates.issue(server.source.issuer, Names.of(["localhost"]), NOW))
    assert "IP address mismatch" in refuses(server, server.source.authority)


def test_a_name_beyond_the_authority_is_refused(server: Server) -> None:
    """Whoever steals the authority's key cannot be any other place with it."""
    stolen = certificates.issue(server.source.issuer, Names.of(["bank.example.com"]), NOW)
    replaced(server, stolen)
    said = refuses(server, server.source.authority, "bank.example.com")
    assert "permitted subtree violation" in said


def test_an_expired_certificate_is_refused(server: Server, monkeypatch: Any) -> None:
    expired = certificates.issue(server.source.issuer, NAMES, NOW - timedelta(days=100))
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: (NOW - timedelta(days=50)).timestamp())
        context = server_context(expired)
    server.tls._context = context
    assert "expired" in refuses(server, server.source.authority)


# -- the authority, for the command line ----------------------------------------------------------


def test_the_authority_is_fetched_and_compared(server: Server) -> None:
    fingerprint = server.tls.authority_fingerprint or ""
    colons = ":".join(fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    for given in (fingerprint, colons, f"sha256:{fingerprint}"):
        assert fetch_ca(server.url, given).encode().strip() == server.source.authority.strip()
    with pytest.raises(CommandError, match="another fingerprint"):
        fetch_ca(server.url, "0" * 64)
    for bad in ("", "0" * 63, "g" * 64, fingerprint + "00"):
        with pytest.raises(UsageError):
            fetch_ca(server.url, bad)
    with pytest.raises(UsageError):
        fetch_ca(server.url.replace("https", "http"), fingerprint)


def test_an_authority_that_the_server_has_no_certificate_of_is_refused(server: Server) -> None:
    """A server in between that passes the true authority on still cannot be the node."""
    true = server.tls.authority_fingerprint or ""
    attacker = certificates.new_authority(NAMES, NOW)
    replaced(server, certificates.issue(attacker, NAMES, NOW))
    with pytest.raises(UnreachableError):
        fetch_ca(server.url, true)


def test_the_certificate_is_shown_once_it_is_verified(server: Server) -> None:
    ca = server.source.authority.decode()
    shown = show._describe(Credentials(server.url, ca=ca))
    assert set(shown.names) == {*NAMES.dns, *NAMES.addresses}
    assert shown.protocol == "TLSv1.3" and shown.days_left in (89, 90)
    assert shown.authority_fingerprint == server.tls.authority_fingerprint
    with pytest.raises(CommandError, match="not trusted") as refused:
        show._describe(Credentials(server.url))
    assert "--ca-fingerprint" in str(refused.value)


def test_the_client_trusts_the_pinned_authority_and_says_what_to_do_without(
    server: Server,
) -> None:
    with NodeClient(Credentials(server.url, ca=server.source.authority.decode())) as client:
        assert client.exchange("GET", "/").status_code == 200
    with (
        NodeClient(Credentials(server.url)) as client,
        pytest.raises(UnreachableError, match="not trusted") as refused,
    ):
        client.exchange("GET", "/")
    assert "--ca-fingerprint" in str(refused.value)
    assert "SSL_CERT_FILE" in str(refused.value)


def test_an_authority_of_ones_own_is_trusted_on_this_machine_as_elsewhere(
    server: Server, tmp_path: Path, monkeypatch: Any
) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_bytes(server.source.authority)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with NodeClient(Credentials(server.url)) as client:
        assert client.exchange("GET", "/").status_code == 200


def test_what_is_wrong_with_a_certificate_decides_what_to_do(
    server: Server, monkeypatch: Any
) -> None:
    ca = server.source.authority.decode()
    replaced(server, certificates.issue(server.source.issuer, Names.of(["localhost"]), NOW))
    with (
        NodeClient(Credentials(server.url, ca=ca)) as client,
        pytest.raises(UnreachableError, match="mismatch") as refused,
    ):
        client.exchange("GET", "/")
    assert "--tls-name" in str(refused.value) and "--ca-fingerprint" not in str(refused.value)
    expired = certificates.issue(server.source.issuer, NAMES, NOW - timedelta(days=100))
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: (NOW - timedelta(days=50)).timestamp())
        replaced(server, expired)
    with (
        NodeClient(Credentials(server.url, ca=ca)) as client,
        pytest.raises(UnreachableError, match="expired") as refused,
    ):
        client.exchange("GET", "/")
    assert "renew it" in str(refused.value) and "--ca-fingerprint" not in str(refused.value)


# -- who speaks something else, or nothing -------------------------------------------------------


@pytest.mark.parametrize("method", [b"GET", b"POST", b"OPTIONS"])
def test_plain_http_is_told_to_speak_tls(server: Server, method: bytes) -> None:
    with server.connect() as sock:
        sock.sendall(method + b" / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer cm_x\r\n\r\n")
        said = rest(sock)
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and b"https://" in body
    assert b"content-length: %d" % len(body) in head
    assert b"cm_x" not in said
    wait_for(server.idle)
    assert httpx2.get(server.url.replace("https", "http")).status_code == 400


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00" * 100,
        b"\xff" * 100,
        b"SSH-2.0-x\r\n"[:1],
        b"\x80\x2e\x01\x03\x01",  # SSL 2.0
        b"\x16\x03\x01\x40\x00",  # a record that never comes
        b"\x16\x03\x01\xff\xff" + b"\x01" * 70_000,
        b"\x15\x03\x03\x00\x02\x01\x00",
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
    ],
)
def test_rubbish_is_cut_off(server: Server, said: bytes) -> None:
    with server.connect() as sock:
        with contextlib.suppress(OSError):
            sock.sendall(said)
            sock.shutdown(socket.SHUT_WR)
        assert b"HTTP/1.1 2" not in rest(sock)
    wait_for(server.idle)
    with server.client() as client:
        assert client.get("/").status_code == 200


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("part", [1, 5, 6, 43, 200, -1])
def test_a_client_hello_that_is_cut_short_ends_in_time(server: Server, part: int) -> None:
    with server.connect() as sock:
        sock.sendall(client_hello()[:part])
        begun = time.monotonic()
        rest(sock)
        assert time.monotonic() - begun < LIMITS.header_seconds + 20.0
    wait_for(server.idle)


def test_a_handshake_byte_by_byte_ends_in_time(server: Server) -> None:
    begun = time.monotonic()
    with server.connect() as sock, contextlib.suppress(OSError):
        for byte in client_hello():
            sock.sendall(bytes([byte]))
            time.sleep(0.02)
        rest(sock)
    assert time.monotonic() - begun < LIMITS.header_seconds + 6.0
    wait_for(server.idle)


def test_silence_ends_in_time(server: Server) -> None:
    with server.connect() as sock:
        begun = time.monotonic()
        assert rest(sock) == b""
        assert time.monotonic() - begun < LIMITS.header_seconds + 20.0
    wait_for(server.idle)
    assert server.server.failed_handshakes >= 1


def test_a_reset_within_the_handshake_leaves_nothing(server: Server) -> None:
    for part in (0, 1, 100, -1):
        sock = server.connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if part:
            sock.sendall(client_hello()[:part])
        sock.close()
    wait_for(server.idle)


def test_connections_of_one_peer_are_counted_before_their_handshake(server: Server) -> None:
    held = [server.connect() for _ in range(LIMITS.connections_per_peer)]
    wait_for(lambda: server.server.open_connections == len(held))
    with server.connect() as extra:
        assert rest(extra) == b""
    for sock in held:
        sock.close()
    wait_for(server.idle)
    with server.client() as client:  # and given back
        assert client.get("/").status_code == 200


def test_no_descriptor_is_left_behind(server: Server) -> None:

    with server.client() as client:
        client.get("/")
    wait_for(server.idle)
    before = descriptors_held()
    for said in (b"", b"\x16\x03", b"GET / HTTP/1.1\r\n\r\n", client_hello(), b"\x00"):
        with server.connect() as sock:
            sock.sendall(said)
            with contextlib.suppress(OSError):  # it was refused already
                sock.shutdown(socket.SHUT_WR)
            rest(sock)
    wait_for(server.idle)
    wait_for(lambda: descriptors_held() <= before)


def test_a_flood_of_handshakes_leaves_room_for_others(server: Server) -> None:
    """One peer's handshakes wait for their turn; the loop answers others meanwhile."""
    stop = threading.Event()
    done = [0]

    def flood() -> None:
        context = client_context(server.source.authority.decode())
        while not stop.is_set():
            with contextlib.suppress(OSError), server.connect() as plain:
                context.wrap_socket(plain, server_hostname="127.0.0.1").close()
                done[0] += 1

    with server.client() as client:
        client.get("/")
        threads = [threading.Thread(target=flood) for _ in range(4)]
        for thread in threads:
            thread.start()
        slowest, begun = 0.0, time.monotonic()
        while time.monotonic() < begun + 3.0:
            asked = time.monotonic()
            assert client.get("/").status_code == 200
            slowest = max(slowest, time.monotonic() - asked)
        stop.set()
        for thread in threads:
            thread.join()
    assert slowest < 1.0
    assert done[0] < 100 + 100 * 4.5  # the burst, and the rate after it


# -- change and end ------------------------------------------------------------------------------


def test_a_new_certificate_is_for_new_connections(server: Server) -> None:
    context = client_context(server.source.authority.decode())

    def serial() -> bytes:
        with context.wrap_socket(server.connect(), server_hostname="127.0.0.1") as sock:
            return sock.getpeercert(binary_form=True) or b""

    before = serial()
    with server.client() as client:
        assert client.get("/").status_code == 200
        server.source.next = certificates.issue(server.source.issuer, NAMES, NOW)
        server.run(server.tls.look())
        assert serial() != before
        assert client.get("/").status_code == 200
        assert server.server.open_connections >= 1


def test_files_are_reloaded_by_a_running_server(tmp_path: Path) -> None:
    authority = certificates.new_authority(NAMES, NOW)
    certificate, key = tmp_path / "cert", tmp_path / "key"

    def write() -> None:
        pair = certificates.issue(authority, NAMES, NOW)
        certificate.write_bytes(pair.certificate)
        key.touch(0o600)
        key.write_bytes(pair.key)

    write()
    files = GivenFiles(certificate, key)
    server = Server(files)
    context = client_context(authority.certificate.decode())

    def given() -> bytes:
        with context.wrap_socket(server.connect(), server_hostname="localhost") as sock:
            return sock.getpeercert(binary_form=True) or b""

    try:
        before = given()
        key.write_bytes(b"half a k")
        time.sleep(2.5)
        assert given() == before
        write()
        wait_for(lambda: given() != before)
        with httpx2.Client(verify=context) as client:
            # The authority is not the node's, so it gives none.
            answer = client.get(f"https://localhost:{server.port}/.well-known/casemate-ca.pem")
            assert answer.content == b""
    finally:
        server.close()


def test_a_drain_answers_what_has_begun_and_takes_no_more(server: Server) -> None:
    with server.client() as client:
        client.get("/")
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(client.get("/slow").status_code))
        thread.start()
        time.sleep(0.2)
        half = server.connect()
        assert server.run(server.server.drain(5.0)) == 0
        thread.join()
        assert answers == [200]
        assert rest(half) == b""
        half.close()


def test_a_close_cuts_handshakes(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(client_hello()[:50])
        wait_for(lambda: server.server.open_connections == 1)
        begun = time.monotonic()
        server.run(server.server.close())
        assert time.monotonic() - begun < 1.0
        assert rest(sock) == b""
