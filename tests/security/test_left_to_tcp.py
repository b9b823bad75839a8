"""What TCP goes on with, or remembers, when the call is over that had the connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from support.node import TestNode

BOTH_WAYS = True
pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(120)]
GRANT = (
    'egress = [{{ host = "127.0.0.1", port = {}, forward = 15432, private = true,'
    ' exception = "the host is the test" }}]'
)
LIMITS = 'memory = "64MB"\ntimeout = "30s"'
SIZE = 32768
SENDS = f"""
import mmap, os, socket, time

MEMORY = mmap.mmap(-1, {SIZE}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

def handler(event, context):
    MEMORY[:] = event["text"].encode() * {SIZE}
    if "send" in event:
        send()

def send():
    sock = socket.create_connection(("127.0.0.1", 15432), timeout=10)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    try:
        sock.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
    except OSError:
        pass
    sock.setblocking(False)
    # The other end takes nothing: what comes now waits on this side.
    for _ in range(25):
        try:
            while True:
                sock.send(b"." * 4096)
        except BlockingIOError:
            time.sleep(0.02)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
    with memoryview(MEMORY) as view:
        assert sock.send(view, 0x4000000) == {SIZE}  # MSG_ZEROCOPY
"""


def _called(node: TestNode, name: str, event: Any) -> Any:
    answer = node.invoke(event, function=f"t/{name}")
    assert answer.status_code == 200, node.error(answer)
    return answer.json()


def test_what_is_sent_is_what_the_call_had(node: TestNode) -> None:
    """And not what is in that memory by the time that the other end takes it."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        grant = GRANT.format(listener.getsockname()[1])
        node.deploy(SENDS, name="sends", grants=grant, limits=LIMITS, approve=True, unguarded=True)
        for _ in range(4):
            _called(node, "sends", {"text": "b"})
        _called(node, "sends", {"text": "a", "send": 1})
        for _ in range(20):
            _called(node, "sends", {"text": "c"})
        taken = bytearray()
        connection, _ = listener.accept()
        connection.settimeout(20)
        with connection, suppress(ConnectionError):
            while part := connection.recv(1 << 16):
                taken += part
    assert taken.lstrip(b".") == b"a" * SIZE


ASKS = """
import socket, struct, time

def told(sock):
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    timeout, = struct.unpack_from("I", info, 8)
    round_trip, _, threshold, _, _, reordering = struct.unpack_from("6I", info, 68)
    return {"timeout": timeout, "others": [threshold, reordering], "round trip": round_trip}

def handler(event, context):
    with socket.create_connection(("127.0.0.1", 15432), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(event["slow"]):
            sock.send(b"e")
            sock.recv(1)
            sock.send(b"x")  # which nobody answers: the kernel takes its time to say it has come
            time.sleep(0.05)
        return told(sock)
"""


@contextmanager
def _answering() -> Iterator[int]:
    """Give the port of a host that answers some of what it is sent."""

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while part := connection.recv(99):
                connection.sendall(b"r" * part.count(b"e"))

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=listener.accept()[:1], daemon=True).start()

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(10)


def test_no_connection_tells_how_quick_one_before_it_was(node: TestNode) -> None:
    with _answering() as port:
        grant = GRANT.format(port)
        node.deploy(ASKS, name="asks", grants=grant, limits=LIMITS, approve=True, unguarded=True)
        before = [_called(node, "asks", {"slow": 0}) for _ in range(4)]
        slow = _called(node, "asks", {"slow": 30})
        after = [_called(node, "asks", {"slow": 0}) for _ in range(4)]
    assert slow["timeout"] > max(one["timeout"] for one in before), "it was as quick"
    # In ticks of the kernel's clock: of quick ones it is the least, or a tick more.
    assert max(one["timeout"] for one in after) < 210_000, after
    assert {str(one["others"]) for one in after} == {str(one["others"]) for one in before}
