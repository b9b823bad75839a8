"""What a hostile server of names can have connected to: `names_child.py`, in namespaces of its own.

A real resolver asks a real server over UDP and TCP. All addresses that answers name are this
namespace's, and at each somebody says who it is. Prints what was reached for each name, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joserfc.jwk import RSAKey

from casemate.accounts.errors import OidcProviderError
from casemate.accounts.oidc import provider
from casemate.egress.access import Access
from casemate.egress.config import EgressLimits
from casemate.egress.connector import Connector
from casemate.egress.errors import DeniedError, UpstreamError
from casemate.egress.resolver import Resolver
from casemate.egress.routes import OwnAddresses
from casemate.egress.rules import Rule
from casemate.egress.target import parse_authority
from casemate.monitor.errors import UndeliveredError
from casemate.monitor.reached import AtServer
from casemate.monitor.reaching import Reach

PORT, PUBLISHED = 8080, 8081
KEY = RSAKey.generate_key(2048, {"kid": "one"}).as_dict(private=False)
PUBLIC, PUBLIC2, PUBLIC6 = "93.184.216.34", "93.184.216.35", "2606:2800:220:1::34"
INSIDE = (
    *("10.9.0.1", "172.16.0.9", "192.168.7.7", "100.64.1.1", "169.254.169.254", "169.254.9.9"),
    *("127.0.0.1", "127.9.9.9", "198.18.0.1", "192.0.2.7", "100.100.100.200", "168.63.129.16"),
)
INSIDE6 = ("::1", "fd00:ec2::254", "fd12::7", "2001:db8::7")
ODD6 = (
    *("::ffff:10.9.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::10.9.0.1"),
    *("64:ff9b::a09:1", "64:ff9b:1::a09:1", "2002:a09:1::1", "2001:0:0:0:0:0:f5f6:fffe"),
    *("::ffff:0:10.9.0.1", "fe80::1", "ff02::1", "fe80::5efe:a09:1", "::", "fec0::1", "4000::1"),
)
ODD = ("0.0.0.0", "0.0.0.7", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.0.192")

A, CNAME, AAAA = 1, 5, 28
Records = list[tuple[int, str]]
Answer = Callable[[int, int], Records]
"""Returns what is answered to the nth question for a type."""


def packed(name: str) -> bytes:
    parts = [part.encode() for part in name.rstrip(".").split(".")]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def record(owner: str, kind: int, value: str) -> bytes:
    data = packed(value) if kind == CNAME else ipaddress.ip_address(value).packed
    return packed(owner) + struct.pack(">HHIH", kind, 1, 0, len(data)) + data


class Server:
    """Answers by what the names say; time to live is 0."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.asked: defaultdict[tuple[str, int], int] = defaultdict(int)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.53", 53))
        self.tcp = socket.create_server(("127.0.0.53", 53))
        threading.Thread(target=self.datagrams, daemon=True).start()
        threading.Thread(target=self.streams, daemon=True).start()

    def datagrams(self) -> None:
        while True:
            data, peer = self.udp.recvfrom(4096)
            threading.Thread(target=self.datagram, args=(data, peer), daemon=True).start()

    def datagram(self, data: bytes, peer: Any) -> None:
        with contextlib.suppress(Exception):
            for each in self.answers(data, stream=False):
                self.udp.sendto(each, peer)

    def streams(self) -> None:
        while True:
            stream, _ = self.tcp.accept()
            threading.Thread(target=self.stream, args=(stream,), daemon=True).start()

    def stream(self, stream: socket.socket) -> None:
        with stream, stream.makefile("rb") as file, contextlib.suppress(OSError, struct.error):
            while True:
                data = file.read(struct.unpack(">H", file.read(2))[0])
                for each in self.answers(data, stream=True):
                    stream.sendall(struct.pack(">H", len(each)) + each)

    def answers(self, data: bytes, *, stream: bool) -> list[bytes]:
        name, at = "", 12
        while data[at]:
            name += data[at + 1 : at + 1 + data[at]].decode() + "."
            at += 1 + data[at]
        name = name.rstrip(".").lower()
        kind = struct.unpack(">H", data[at + 1 : at + 3])[0]
        question = data[12 : at + 5]
        number = self.asked[name, kind]
        self.asked[name, kind] += 1
        said = self.names.get(name)
        if said is None:
            return [data[:2] + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0) + question]
        found = said(kind, number) if callable(said) else said
        if isinstance(found, bytes):
            return [found.replace(b"ID", data[:2])]
        if found == "silence":
            return []
        if found == "truncated" and not stream:
            return [data[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + question]
        if found == "truncated":
            found = [(A, "10.9.0.1")] if kind == A else []
        if found == "poisoned":
            # An answer that was not asked for, from who guesses badly, before the right one.
            forged = record(name, A, "10.9.0.1")
            wrong = bytes([data[0] ^ 1, data[1]]) + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0)
            right = record(name, A, PUBLIC) if kind == A else b""
            head = data[:2] + struct.pack(">HHHHH", 0x8180, 1, int(kind == A), 0, 0)
            return [wrong + question + forged, head + question + right]
        owner, lines = name, []
        for each, value in found:
            if each in (CNAME, kind):
                lines.append(record(owner, each, value))
            if each == CNAME:
                owner = value
        head = data[:2] + struct.pack(">HHHHH", 0x8180, 1, len(lines), 0, 0)
        whole = head + question + b"".join(lines)
        return [
            whole
            if stream or len(whole) <= 512
            else head[:2] + b"\x83\x80" + head[4:6] + bytes(6) + question
        ]


def both(*values: str) -> Records:
    return [(AAAA if ":" in value else A, value) for value in values]


def turns(*answers: Records) -> Answer:
    return lambda _kind, number: answers[min(number, len(answers) - 1)]


def alternating(one: Records, other: Records) -> Answer:
    return lambda _kind, number: (one, other)[number % 2]


def chain(length: int, end: Records) -> Records:
    return [(CNAME, f"c{number}.evil.example") for number in range(length)] + end


def names() -> dict[str, Any]:
    """Return what is answered, by name."""
    found: dict[str, Any] = {"public.example": both(PUBLIC), "six.example": both(PUBLIC6)}
    for number, address in enumerate((*INSIDE, *ODD, *INSIDE6, *ODD6)):
        found[f"to-{number}.example"] = both(address)
        found[f"first-{number}.example"] = both(address, PUBLIC)
        found[f"last-{number}.example"] = both(PUBLIC, address)
        found[f"turn-{number}.example"] = turns(both(PUBLIC), both(address))
        found[f"chain-{number}.example"] = chain(2, both(address))
    found |= {
        "alternate.example": alternating(both(PUBLIC), both("127.0.0.1")),
        "alternate-back.example": alternating(both("127.0.0.1"), both(PUBLIC)),
        "long-chain.example": chain(15, both("10.9.0.1")),
        "loop.example": [(CNAME, "loop.example")],
        "to-localhost.example": [(CNAME, "localhost"), (A, "127.0.0.1")],
        "many.example": both(*(f"93.184.{n}.9" for n in range(64)), "127.0.0.1"),
        "too-many.example": both(*(f"93.184.{n}.9" for n in range(80))),
        "last-of-64.example": both(*(f"93.184.{n}.9" for n in range(63)), "10.9.0.1"),
        "none.example": [],
        "silent.example": "silence",
        "truncated.example": "truncated",
        "poisoned.example": "poisoned",
        "rubbish.example": b"ID" + b"\xff" * 40,
        "short.example": b"ID",
        "pointer.example": b"ID\x81\x80\0\1\0\1\0\0\0\0\xc0\x0c\0\1\0\1",
        "late.example": lambda kind, number: both(PUBLIC) if number < 3 else both("10.9.0.1"),
    }
    return found


def identify(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.create_server((address, PORT), family=family, reuse_port=True)

    def serve() -> None:
        while True:
            stream, _ = server.accept()
            with stream, contextlib.suppress(OSError):
                stream.sendall(address.encode())

    threading.Thread(target=serve, daemon=True).start()


class Published:
    """A provider at every address: its keys are where the path of its issuer says."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def publish(self, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.create_server((address, PUBLISHED), family=family, reuse_port=True)
        threading.Thread(target=self.serve, args=(address, server), daemon=True).start()

    def serve(self, address: str, server: socket.socket) -> None:
        while True:
            stream, _ = server.accept()
            with stream, contextlib.suppress(OSError, IndexError):
                stream.settimeout(2)
                head = stream.recv(4096)
                if not head:
                    continue
                path = head.split(b" ")[1].decode()
                self.sent.append((address, path))
                host, name = (
                    head.decode().lower().split("host: ")[1].split("\r")[0],
                    path.split("/")[1],
                )
                issuer = f"http://{host}/{name}"
                body = json.dumps({"issuer": issuer, "jwks_uri": f"http://{name}:{PUBLISHED}/jwks"})
                if path == "/jwks":
                    body = json.dumps({"keys": [KEY]})
                stream.sendall(
                    f"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
                    f"{body}".encode()
                )

    def reached(self, issuer: str, name: str) -> list[str]:
        """Return whom keys were asked of, at `name`, for an issuer."""
        del self.sent[:]
        url = f"http://{issuer}:{PUBLISHED}/{name}"
        source = provider.KeySource(url, provider.Issuer, time.time)
        with contextlib.suppress(OidcProviderError):
            asyncio.run(source.keys(knows=bool))
        return [address for address, path in self.sent if path == "/jwks"]


def prepare() -> list[str]:
    run = lambda *words: subprocess.run(words, check=False, capture_output=True)  # noqa: E731
    run("ip", "link", "set", "lo", "up")
    there = [PUBLIC, PUBLIC2, PUBLIC6, *INSIDE, *INSIDE6, *(f"93.184.{n}.9" for n in range(64))]
    for address in there:
        bits = "128" if ":" in address else "32"
        more = ["nodad"] if ":" in address else []
        run("ip", "addr", "add", f"{address}/{bits}", "dev", "lo", *more)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "resolv.conf")
        file.write_text("nameserver 127.0.0.53\noptions timeout:1 attempts:1\n")
        subprocess.run(["mount", "--bind", str(file), "/etc/resolv.conf"], check=True)
    for address in [*there, "::ffff:127.0.0.1"]:
        with contextlib.suppress(OSError):
            identify(address)
        if address != "::ffff:127.0.0.1":
            published.publish(address)
    return there


async def reached(connect: Callable[[], Any]) -> str:
    try:
        sock = await connect()
    except DeniedError as error:
        return f"denied: {error.reason}"
    except (UpstreamError, UndeliveredError) as error:
        return f"not: {error}"
    with sock:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(3):
            return (await loop.sock_recv(sock, 64)).decode()


async def tried(is_own: Any) -> dict[str, list[str]]:
    limits = EgressLimits(cache=0.15, connect_time=2.0, resolve_time=2.5)
    access = Access(Resolver(limits), Connector(), is_own, limits)
    reach = Reach(is_own)
    found: dict[str, list[str]] = {}
    gate = asyncio.Semaphore(12)

    async def one(number: int, name: str) -> None:
        target = parse_authority(f"{name}:{PORT}")
        rule = Rule("egress", target)
        kept = found[name] = []
        async with gate:
            for _ in range(4):
                kept.append(await reached(lambda: access.connect(number, rule, target)))
                if name in (
                    "silent.example",
                    "short.example",
                    "rubbish.example",
                    "pointer.example",
                ):
                    break
                await asyncio.sleep(0.1)
            server = AtServer(server=f"{name}:{PORT}")
            kept.append(await reached(lambda: reach.socket(number, server)))

    await asyncio.gather(*(one(number, name) for number, name in enumerate(names())))
    return found


published = Published()


def main() -> None:
    # TLS is not what is tried here: with it nothing would be sent to who has no certificate.
    provider.require_safe_url = lambda _url, _what: None  # type: ignore[assignment]
    prepare()
    server = Server(names())
    began = time.monotonic()
    OwnAddresses(())
    found = asyncio.run(tried(lambda _address: False))
    asked = sum(server.asked.values())
    own = asyncio.run(owned())
    slow = ("silent.example", "short.example", "rubbish.example", "pointer.example")
    keys = {name: published.reached("public.example", name) for name in names() if name not in slow}
    inside = {name: published.reached("to-0.example", name) for name in NAMED}
    print(
        json.dumps(
            {
                "reached": found,
                "asked": asked,
                "own": own,
                "keys": keys,
                "inside": inside,
                "seconds": time.monotonic() - began,
            }
        )
    )


NAMED = ("to-0.example", "to-1.example", "to-4.example", "to-6.example", "public.example")
"""Private like the provider itself, private, of metadata, of this machine, and outside."""


async def owned() -> str:
    """A public address that is this host's own."""
    limits = EgressLimits()
    access = Access(Resolver(limits), Connector(), OwnAddresses(()), limits)
    target = parse_authority(f"public.example:{PORT}")
    return await reached(lambda: access.connect(1, Rule("egress", target), target))


if __name__ == "__main__":
    sys.path[:0] = sys.argv[1:]
    main()
