"""Behind a proxy that the node trusts: one is to throttle others, or to be throttled never."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable, Sequence

from support.node import TestNode

from . import Attempt, Attempts, shown
from .others import owner

ARGUMENTS = ("--trusted-proxy", "127.0.0.1", "--trusted-proxy", "10.9.0.0/16")
PASSWORD = secrets.token_urlsafe(18)
EVIL, GOOD = "198.51.100.66", "203.0.113.7"


def head(*lines: str, name: str, code: str = "cmenrol_x") -> bytes:
    body = json.dumps({"name": name, "password": PASSWORD, "code": code}).encode()
    fields = "".join(f"{line}\r\n" for line in lines)
    return (
        f"POST /api/v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{fields}"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode("latin-1") + body


def send(node: TestNode, requests: Sequence[bytes]) -> list[int]:
    """Send requests one after the other on one connection, as a proxy does; return the statuses."""
    found, sock, stream = [], None, None
    for request in requests:
        if sock is None:
            sock = socket.create_connection(("127.0.0.1", node.port))
            sock.settimeout(20)
            stream = sock.makefile("rb")
        sock.sendall(request)
        assert stream is not None
        status = stream.readline()
        if not status:
            sock, stream = None, None
            found.append(0)
            continue
        found.append(int(status.split()[1]))
        length, close = 0, False
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            close = close or line.lower().startswith(b"connection: close")
        stream.read(length)
        if close:
            sock, stream = None, None
    return found


SAID = {
    # name: what the proxy passes on for the attacker, by turn
    "plainly": lambda n: [f"x-forwarded-for: {EVIL}"],
    "the victim before itself": lambda n: [f"x-forwarded-for: {GOOD}, {EVIL}"],
    "the victim many times before itself": lambda n: [
        f"x-forwarded-for: {(GOOD + ', ') * 40}{EVIL}"
    ],
    "the victim with a port before itself": lambda n: [f"x-forwarded-for: {GOOD}:80, {EVIL}:1{n}"],
    "the victim in a field of its own": lambda n: [
        f"x-forwarded-for: {GOOD}",
        f"x-forwarded-for: {EVIL}",
    ],
    "a trusted proxy before itself": lambda n: [f"x-forwarded-for: {GOOD}, 10.9.0.1, {EVIL}"],
    "by another field": lambda n: [
        f"x-forwarded-for: {EVIL}",
        f"forwarded: for={GOOD}",
        f"x-real-ip: {GOOD}",
    ],
    "by fields of clouds": lambda n: [
        f"x-forwarded-for: {EVIL}",
        f"cf-connecting-ip: {GOOD}",
        f"true-client-ip: {GOOD}",
    ],
    "a field's name with an underscore": lambda n: [
        f"x-forwarded-for: {EVIL}",
        f"x_forwarded_for: {GOOD}",
    ],
    "in capitals": lambda n: [f"X-FORWARDED-FOR: {GOOD}, {EVIL}"],
    "as mapped IPv6": lambda n: [f"x-forwarded-for: ::ffff:{EVIL}"],
    "as IPv6 with a zone": lambda n: [f"x-forwarded-for: {GOOD}, fe80::{n:x}%eth0"],
    "of a network of IPv6": lambda n: [f"x-forwarded-for: 2001:db8:1:1::{n:x}"],
    "of many networks of IPv6": lambda n: [f"x-forwarded-for: 2001:db8:{n:x}::1"],
    "nothing readable": lambda n: ["x-forwarded-for: unknown"],
    "letters": lambda n: [f"x-forwarded-for: {GOOD}, _hidden{n}"],
    "an empty entry": lambda n: [f"x-forwarded-for: {GOOD}, ,{EVIL}"],
    "an empty field": lambda n: ["x-forwarded-for:"],
    "no field": lambda n: [],
    "octal digits": lambda n: [f"x-forwarded-for: {GOOD}, 0313.0.0161.07"],
    "spaces of Unicode": lambda n: [f"x-forwarded-for: {GOOD},\xa0{EVIL}"],
    "8 KB of it": lambda n: [f"x-forwarded-for: {(GOOD + ',') * 450}{EVIL}"],
}


def others_wait(node: TestNode) -> Attempts:
    """Fail 30 times; somebody elsewhere is still to be looked at, by the proxy's word."""
    for number, (name, fields) in enumerate(SAID.items()):
        good = f"203.0.113.{100 + number}"
        said = [[one.replace(GOOD, good) for one in fields(n)] for n in range(22)]
        got = send(node, [head(*one, name=f"nobody-{number}-{n}") for n, one in enumerate(said)])
        if name == "plainly":
            yield from shown("others wait: oneself", 429 in got, str(got))
        (victim,) = send(node, [head(f"x-forwarded-for: {good}", name=f"victim-{number}")])
        yield Attempt(f"others wait: {name}", victim == 429, str(victim))


def never_throttled(node: TestNode) -> Attempts:
    """Try one account 12 times, each from elsewhere by what one says of oneself."""
    for name, fields in {
        "another address each time, in front": lambda n: [f"x-forwarded-for: 192.0.2.{n}, {EVIL}"],
        "another port": lambda n: [f"x-forwarded-for: {EVIL}:{1000 + n}"],
        "another proxy": lambda n: [f"x-forwarded-for: {EVIL}, 10.9.0.{n}"],
        "really from elsewhere": lambda n: [f"x-forwarded-for: 192.0.2.{n}"],
        "another address of one's network": lambda n: [f"x-forwarded-for: 2001:db8:77:1::{n:x}"],
        "spelled in another way": lambda n: [
            f"x-forwarded-for: 2001:db8:78:1:{'0' * (n % 4)}:{n:x}::"
        ],
        "by other fields": lambda n: [f"x-forwarded-for: {EVIL}", f"forwarded: for=192.0.2.{n}"],
        "letters each time": lambda n: [f"x-forwarded-for: a{n}"],
    }.items():
        account = f"one-{len(name)}-{hash(name) % 1000}"
        got = send(node, [head(*fields(n), name=account) for n in range(12)])
        yield Attempt(f"never throttled: {name}", 429 not in got[5:], str(got))


def spelled_otherwise(node: TestNode) -> Attempts:
    """Have one account by names that may lead to it: with its own code, none is to.

    Each could be tried as often as the account itself. The last shows that the code is right.
    """
    ways: dict[str, Callable[[str, int], str]] = {
        "in capitals": lambda name, n: name[:n].upper() + name[n:],
        "with spaces": lambda name, n: name + " " * n,
        "with spaces before it": lambda name, n: "\u00a0" * n + name,
        "with NULs": lambda name, n: name + "\0" * n,
        "in full width": lambda name, n: "\uff41" + name[1:] + "\u200b" * (n - 1),
        "composed": lambda name, n: name + "\u0301" * n,
        "with a path": lambda name, n: "./" * n + name,
        "as itself": lambda name, n: name,
    }
    for number, (how, spelled) in enumerate(ways.items()):
        account = f"account{number}"
        made = owner(node).ask("POST", "/users", {"name": account, "roles": []}).json()
        got = send(
            node,
            [
                head(
                    f"x-forwarded-for: 192.0.{number + 3}.{n}",
                    name=spelled(account, n),
                    code=made.get("code", ""),
                )
                for n in range(1, 5)
            ],
        )
        if how == "as itself":
            yield from shown(f"an account's name {how}", 200 in got, f"{got} {made.keys()}")
        else:
            yield Attempt(f"an account's name {how}", 200 in got, str(got))


def untrusted(node: TestNode) -> Attempts:
    """Say where one comes from without being a proxy, from another address of this machine."""
    for source in ("127.0.0.2", "127.9.9.9"):
        found = []
        for n in range(28):
            with socket.socket() as sock:
                sock.bind((source, 0))
                sock.settimeout(20)
                sock.connect(("127.0.0.1", node.port))
                sock.sendall(head(f"x-forwarded-for: 192.0.2.{n}", name=f"un-{source[4]}-{n}"))
                found.append(int(sock.recv(4096).split()[1]))
        yield Attempt(
            f"never throttled, by nobody's word: {source}", 429 not in found[20:], str(found[-8:])
        )


def attempts(node: TestNode) -> Attempts:
    """Try all."""
    yield from others_wait(node)
    yield from never_throttled(node)
    yield from spelled_otherwise(node)
    yield from untrusted(node)
