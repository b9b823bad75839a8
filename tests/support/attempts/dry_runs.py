"""Code that is started to see whether it starts is to reach what nobody has approved."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from support.node import TestNode

from . import Attempt, Attempts
from .others import Somebody, owner

HEAD = """
import atexit, ctypes, os, socket, sys, threading, time, urllib.request
PORT, FORWARD = {port}, 15999
def plain(host="127.0.0.1", port=PORT):
    with socket.create_connection((host, port), 1) as s:
        s.sendall(b"GET / HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n"); return s.recv(9)
def proxied(first=b"CONNECT localhost:%d HTTP/1.1\\r\\nhost: localhost:%d\\r\\n\\r\\n" % (PORT, PORT)):
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        place = os.environ.get(name, "http://127.0.0.1:3128").rsplit(":", 1)[1].strip("/")
        with socket.create_connection(("127.0.0.1", int(place)), 1) as s:
            s.sendall(first); s.recv(99)
            s.sendall(b"GET / HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n"); return s.recv(9)
def again(what, seconds=1.5, pause=0.02):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try: what()
        except Exception: time.sleep(pause)
def guessed():
    for port in range(3100, 3200):
        try: plain("127.0.0.1", port)
        except OSError: pass
def handler(event, context):
    again(proxied, 0.3)
    again(lambda: plain("127.0.0.1", FORWARD), 0.3)
    return "ok"
"""
WAYS = {
    "by urllib": "again(lambda: urllib.request.urlopen(f'http://localhost:{PORT}/', timeout=1))",
    "by CONNECT": "again(proxied)",
    "by an absolute URL": "again(lambda: proxied(b'GET http://localhost:%d/ HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n' % PORT))",
    "straight": "again(plain)",
    "straight, IPv6": "again(lambda: plain('::1'))",
    "by the forwarded port": "again(lambda: plain('127.0.0.1', FORWARD))",
    "by any port that answers": "again(guessed, 1.5)",
    "in a thread that goes on": "threading.Thread(target=again, args=(proxied, 20), daemon=True).start()",
    "in a child that goes on": "os.fork() or (again(proxied, 20), os._exit(0))",
    "in a grandchild": "os.fork() or (os.setsid(), os.fork() or again(proxied, 20), os._exit(0))",
    "at the end": "atexit.register(again, proxied, 2)",
    "with many at once": "[threading.Thread(target=again, args=(proxied, 2)).start() for _ in range(8)]",
    "a connection that is kept until it is let out": "S = socket.socket(); S.setblocking(False); S.connect_ex(('127.0.0.1', FORWARD)); again(proxied, 1)",
    "a socket made before": "S = [socket.socket() for _ in range(20)]; again(lambda: [s.connect(('127.0.0.1', PORT)) for s in S])",
    "by a datagram": "U = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); again(lambda: U.sendto(b'x', ('127.0.0.1', PORT)))",
    "by an import that fails": "again(proxied); raise RuntimeError('over')",
    "by an import that ends the process": "again(proxied); os._exit(3)",
    "by one that takes too long": "again(proxied, 30)",
    "without waiting for a refusal": "again(proxied, 1.5, 0)",
}


class Listener:
    """Counts who comes."""

    def __init__(self) -> None:
        self.count = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.other = socket.create_server(("127.0.0.1", 0))
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = self.socket.getsockname()[1]
        self.datagrams.bind(("127.0.0.1", self.port))
        for wait in (self._accept, self._receive, lambda: self._accept(self.other)):
            threading.Thread(target=wait, daemon=True).start()

    def _accept(self, on: socket.socket | None = None) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = (on or self.socket).accept()
                self.count += 1
                one.close()

    def _receive(self) -> None:
        with contextlib.suppress(OSError):
            while self.datagrams.recv(9):
                self.count += 1

    def close(self) -> None:
        for one in (self.socket, self.other, self.datagrams):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextlib.contextmanager
def listening() -> Iterator[Listener]:
    found = Listener()
    try:
        yield found
    finally:
        found.close()


def grants(to: Listener) -> str:
    said = 'host = "localhost", private = true, exception = "an attempt"'
    forwarded = to.other.getsockname()[1]
    return f"egress = [{{ {said}, port = {to.port} }}, {{ {said}, port = {forwarded}, forward = 15999 }}]"


def tried(who: Somebody, name: str, code: str, settings: str = "") -> Attempt:
    """Deploy without an approval, or with one of somebody who may not give it."""
    told = []
    with listening() as other:
        source = HEAD.format(port=other.port) + code
        for approve in (False, True):
            said = who.deploys(
                source, project="dry", name="f", grants=grants(other), settings=settings,
                approve=approve, limits='timeout = "3s"', unguarded=True,
            )  # fmt: skip
            told.append(said[-90:] or "DEPLOYED")
        count = other.count
    return Attempt(name, count > 0 or "DEPLOYED" in told, f"{count} came; {told}"[:200])


def attempts(node: TestNode) -> Attempts:
    """Try all as a developer, who may not approve; the first shows that an approval lets it out."""
    own = owner(node)
    with listening() as other:
        source = HEAD.format(port=other.port)
        said = own.deploys(
            source, project="shown", grants=grants(other), approve=True, unguarded=True
        )
        answer = node.invoke({}, function="shown/f")
        assert other.count > 1, f"an approved grant leads nowhere: {said} {answer.text}"
    developer = own.made("developer@dry")
    developer.deploys("def handler(event, context):\n    return 1\n", project="dry")
    for name, code in WAYS.items():
        yield tried(developer, name, code)
    for name in ("by CONNECT", "by the forwarded port", "in a child that goes on"):
        yield tried(developer, f"{name}, imported in each instance", WAYS[name], 'trust = "low"')
        yield tried(developer, f"{name}, layout of its own", WAYS[name], 'layout = "own"')
    for name in ("by CONNECT", "in a thread that goes on"):
        with listening() as other:
            # Approved, but the import fails: nothing is live, so nothing is let out.
            said = own.deploys(
                HEAD.format(port=other.port) + WAYS[name] + "\nraise RuntimeError('over')",
                project="over", grants=grants(other), approve=True, unguarded=True,
            )  # fmt: skip
            yield Attempt(
                f"{name}, approved, with an import that fails",
                other.count > 0,
                f"{other.count} {said[-80:]}",
            )
