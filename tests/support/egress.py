"""An egress proxy in a thread, with the names, addresses and origins that a test has it meet.

Listeners are on a loopback address of their own, so that each has the proxy's port. Connections to
public addresses end at an origin on loopback; what was dialled is noted.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import os
import random
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from casemate.child.start import END_SECONDS, Child
from casemate.egress import protocol
from casemate.egress.access import Access
from casemate.egress.config import EgressConfig, EgressLimits
from casemate.egress.connector import Connector
from casemate.egress.interface import PROXY_PORT, EgressEvent
from casemate.egress.proxy import EgressProxy
from casemate.egress.resolver import Resolver
from casemate.egress.start import PROGRAM
from casemate.model.grant import Grant, GrantKind


class EgressProcess:
    """A real egress process for one gateway, confined as on a node."""

    def __init__(self, uid: int | None) -> None:
        self.gateway_end, self._end = protocol.BOUNDS.pair()
        self._uid = uid
        self._child: Child | None = None

    @property
    def started(self) -> bool:
        return self._child is not None

    def start(self) -> None:
        self._child = child = Child(
            PROGRAM,
            lambda control, heart: EgressConfig(control=control, heart=heart, uid=self._uid),
        )
        child.control.settimeout(20)
        child.receive_ready()
        child.pass_connection(self._end.fileno())
        self._end.close()
        self.gateway_end.close()

    def poll(self) -> int | None:
        return None if self._child is None else self._child._process.poll()

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    def close(self, seconds: float = END_SECONDS) -> None:
        self.gateway_end.close()
        self._end.close()
        if self._child is not None:
            self._child.close(seconds)


PUBLIC = "93.184.216.34"
HOST = "api.example.com"


def egress(name: str, **changes: Any) -> Grant:
    """Return a grant to connect."""
    return Grant(kind=GrantKind.EGRESS, name=name, actions=("connect",), **changes)


def loopback_address() -> str:
    """Return one that nobody else uses."""
    return f"127.{random.randint(1, 250)}.{random.randint(0, 250)}.{random.randint(2, 250)}"


def listener(address: str, port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(128)
    return sock


class Names:
    """Stands for getaddrinfo; a list of lists of addresses is answered one after the other."""

    def __init__(self, **names: Any) -> None:
        self.names = {name.replace("_", "."): answer for name, answer in names.items()}
        self.asked: list[str] = []

    def __call__(self, host: bytes, port: None, **_: Any) -> list[Any]:
        name = host.decode()
        self.asked.append(name)
        answer = self.names.get(name)
        if answer is None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        if isinstance(answer, str):
            answer = [answer]
        elif answer and isinstance(answer[0], list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 0)) for text in answer]


class LoopbackConnector(Connector):
    """Connects to loopback, whatever the address, and notes the address."""

    def __init__(self, ports: dict[int, int]) -> None:
        self.ports = ports
        self.dialled: list[tuple[str, int]] = []

    async def connect(self, address: Any, port: int) -> socket.socket:
        self.dialled.append((str(address), port))
        if port not in self.ports:
            raise ConnectionRefusedError
        return await super().connect(IPv4Address("127.0.0.1"), self.ports[port])


class RunningProxy:
    """An EgressProxy serving one zygote."""

    def __init__(
        self,
        *grants: Grant,
        lookup: Callable[..., Any] | None = None,
        connector: Connector | None = None,
        is_own: Callable[[Any], bool] = lambda address: False,
        limits: EgressLimits | None = None,
        function: str = "",
    ) -> None:
        self.events: list[EgressEvent] = []
        self.carried: dict[int, tuple[int, int]] = {}
        """Bytes in and out of each zygote."""
        self.address = loopback_address()
        self.grants = grants
        self.limits = limits or EgressLimits()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        names = lookup or Names(api_example_com=PUBLIC)
        self.access = Access(
            Resolver(self.limits, names), connector or Connector(), is_own, self.limits
        )
        ports = [PROXY_PORT, *(g.forward for g in grants if g.forward is not None)]
        self._listeners = [listener(self.address, port) for port in ports]
        descriptors = [os.dup(sock.fileno()) for sock in self._listeners]
        self.proxy = self.call(self._make)
        self.call(lambda: self.proxy.open(1, ports, grants, descriptors, (), function))
        for sock in self._listeners:
            sock.close()
        self._running = asyncio.run_coroutine_threadsafe(self.proxy.run(), self._loop)

    def _make(self) -> EgressProxy:
        return EgressProxy(
            self.access, self.limits, lambda event: not self.events.append(event), self.passed
        )

    def passed(self, zygote: int, came_in: int, went_out: int) -> bool:
        """Sum up what was carried."""
        before = self.carried.get(zygote, (0, 0))
        self.carried[zygote] = (before[0] + came_in, before[1] + went_out)
        return True

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function in the loop's thread."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def close(self) -> None:
        self._running.cancel()
        asyncio.run_coroutine_threadsafe(self.proxy.shut_down(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> RunningProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://{self.address}:{PROXY_PORT}"

    def dial(self, port: int = PROXY_PORT) -> socket.socket:
        return socket.create_connection((self.address, port), timeout=10)

    def exchange(self, raw: bytes, *, end: bool = False) -> bytes:
        """Send bytes and return all that comes until the proxy closes."""
        with self.dial() as sock:
            sock.sendall(raw)
            if end:
                sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

    def tunnel(self, target: str) -> tuple[socket.socket, bytes]:
        """Send CONNECT; return the socket and the head of the answer."""
        sock = self.dial()
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n") and (byte := sock.recv(1)):
            head += byte
        return sock, head

    @property
    def denials(self) -> list[EgressEvent]:
        return [event for event in self.events if not event.allowed]

    def wait(self, condition: Callable[[], Any], seconds: float = 5.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return found

    def denial(self) -> EgressEvent:
        """Return the first denial, which may take a moment."""
        assert self.wait(lambda: self.denials), self.events
        return self.denials[0]


def read_all(sock: socket.socket) -> bytes:
    data = b""
    try:
        while more := sock.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    return data


class Origin:
    """A threaded server on loopback that runs `handle(socket)` for each connection."""

    def __init__(
        self, handle: Callable[[socket.socket], None], context: ssl.SSLContext | None = None
    ) -> None:
        self.sock = listener("127.0.0.1", 0)
        self.port: int = self.sock.getsockname()[1]
        self.connections = 0
        self._handle = handle
        self._context = context
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock: socket.socket) -> None:
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            with sock:
                self._handle(sock)
        except OSError:
            sock.close()

    def close(self) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def __enter__(self) -> Origin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def echo(sock: socket.socket) -> None:
    """Send back what comes, then say so."""
    while data := sock.recv(65536):
        sock.sendall(data)
    sock.sendall(b"<end>")


class HttpOrigin:
    """An HTTP server that answers with what it was asked, and keeps it."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.stored: dict[str, bytes] = {}
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                try:
                    body = self.body()
                except ConnectionAbortedError:
                    self.close_connection = True
                    return
                origin.requests.append((self.requestline, dict(self.headers), body))
                status, fields, answer = origin.respond(self.command, self.path, body)
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            def line(self) -> bytes:
                """Read a line; one that is cut off is no end of a body."""
                line = self.rfile.readline()
                if not line.endswith(b"\r\n"):
                    raise ConnectionAbortedError
                return line

            def body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b""
                while size := int(self.line(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                while self.line() != b"\r\n":
                    pass
                return body

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_OPTIONS = answer

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def respond(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Redirect from /to?URL; store and give back objects below /bucket/, as S3 does."""
        if path.startswith("/to?"):
            return 302, {"Location": path[4:]}, b""
        key = path.partition("?")[0]
        if method == "PUT":
            self.stored[key] = body
            return 200, {"ETag": '"1"'}, b""
        if key.startswith("/bucket/") and key not in self.stored:
            return (
                404,
                {"Content-Type": "application/xml"},
                b"<Error><Code>NoSuchKey</Code></Error>",
            )
        return 200, {"Content-Type": "text/plain"}, self.stored.get(key, b"hello " + body)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> HttpOrigin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TestAuthority:
    """A certificate authority of one test run."""

    __test__ = False

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
        self._name = name
        self.certificate = self._sign(name, self._key.public_key(), authority=True)
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "authority.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, name: x509.Name, key: Any, *, authority: bool, hosts: tuple[str, ...] = ()
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        names: list[x509.GeneralName] = []
        for host in hosts:
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        else:
            usage = dict.fromkeys(
                (
                    "content_commitment",
                    "key_encipherment",
                    "data_encipherment",
                    "key_agreement",
                    "encipher_only",
                    "decipher_only",
                ),
                False,
            )
            builder = builder.add_extension(
                x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage),
                critical=True,
            )
        return builder.sign(self._key, hashes.SHA256())

    def context(self, *hosts: str) -> ssl.SSLContext:
        """Return a server's context for hosts."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hosts[0])])
        certificate = self._sign(name, key.public_key(), authority=False, hosts=hosts)
        path = self.folder / f"{hosts[0]}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def client_hello(server_name: str | None, *, maximum: ssl.TLSVersion | None = None) -> bytes:
    """Return the ClientHello that OpenSSL makes for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if maximum is not None:
        context.maximum_version = maximum
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


class DnsServer:
    """A server of names on loopback (RFC 1035): A records, changed at will."""

    def __init__(self, answers: Callable[[str], list[str]]) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.address = self._sock.getsockname()
        self._answers = answers
        self.queries = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                query, peer = self._sock.recvfrom(512)
            except OSError:
                return
            self.queries += 1
            labels, at = [], 12
            while size := query[at]:
                labels.append(query[at + 1 : at + 1 + size].decode())
                at += 1 + size
            addresses = self._answers(".".join(labels))
            head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(addresses), 0, 0)
            body = query[12 : at + 5]
            for address in addresses:
                body += struct.pack("!HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(address)
            self._sock.sendto(head + body, peer)

    def lookup(self, host: bytes, port: None, **_: Any) -> list[Any]:
        """Resolve as getaddrinfo does, by asking this server over UDP."""
        query = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0)
        for label in host.split(b"."):
            query += bytes((len(label),)) + label
        query += b"\0" + struct.pack("!HH", 1, 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.sendto(query, self.address)
            answer = sock.recv(512)
        count, at, found = struct.unpack("!H", answer[6:8])[0], len(query), []
        for _n in range(count):
            found.append(socket.inet_ntoa(answer[at + 12 : at + 16]))
            at += 16
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 0)) for text in found]

    def close(self) -> None:
        self._sock.close()
