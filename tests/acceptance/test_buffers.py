"""What readers that stall, and bodies that come at once, cost a gateway and its other callers."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from casemate.triggers.http_server.limits import MIB, buffer_budget
from support.node import TestNode
from support.processes import memory
from support.raw_http import connect, exchange, read_answer, request

SHARES_NODE = True
SIZE = 30 * MIB
SOURCE = "def handler(event, context):\n    return 'x' * (30 * 1024 * 1024)\n"
SMALL = "def handler(event, context):\n    return 1\n"


def stalled(node: TestNode) -> socket.socket:
    """Ask for a large answer, wait until it begins, and read no more of it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    sock.settimeout(60)
    sock.connect(("127.0.0.1", node.port))
    sock.sendall(request("/invoke/t/large", b"1", key=node.key))
    sock.recv(1)
    return sock


@pytest.mark.alone
@pytest.mark.storm
def test_readers_that_stall_take_no_more_than_the_budget(node: TestNode) -> None:
    limits = 'response = "32MB"\nmemory = "512MB"\ntimeout = "60s"'
    node.deploy(SOURCE, name="large", limits=limits)
    node.deploy(SMALL, name="small")
    pid = node.part("gateway")
    # All from one address, which may have a half of the budget.
    readers = [stalled(node) for _ in range(2 * (buffer_budget() // 2) // SIZE + 10)]
    assert memory(pid, "VmHWM") <= buffer_budget() // 2 + 400 * MIB
    assert exchange(node.port, request("/invoke/t/small", b"1", key=node.key)).status == 200
    with connect(node.port, 60) as sock:
        sock.sendall(request("/invoke/t/large", b"1", key=node.key))
        assert len(read_answer(sock).body) == SIZE + 2
    for reader in readers:
        reader.close()


SENDING = """
import socket
HELD = []
def handler(event, context):
    sent = 0
    while len(HELD) < 100:
        sock = socket.create_connection(("127.0.0.1", 15432), timeout=10)
        sock.setblocking(False)
        HELD.append(sock)
    for _ in range(20):
        for sock in HELD:
            try:
                while True:
                    sent += sock.send(bytes(1 << 16))
            except BlockingIOError:
                pass
        time.sleep(0.05)
    return sent
"""
GRANT = (
    'egress = [{{ host = "127.0.0.1", port = {}, forward = 15432, private = true,'
    ' exception = "what takes nothing of what it is sent" }}]'
)


def memory_of_tcp() -> int:
    """Return what all TCP of the machine has in buffers, in bytes (proc_net(5))."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * os.sysconf("SC_PAGE_SIZE")
    raise AssertionError("no count of TCP")


@pytest.mark.alone
def test_a_function_whose_host_takes_nothing_has_little_of_the_memory_of_tcp(
    node: TestNode,
) -> None:
    """The kernel has one bound of it for the machine, and took 4 MB and more for each of these."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)  # which nobody accepts from
        grant = GRANT.format(listener.getsockname()[1])
        limits = 'memory = "64MB"\ntimeout = "30s"'
        source = f"import time{SENDING}"
        node.deploy(source, name="sends", grants=grant, limits=limits, approve=True)
        before = memory_of_tcp()
        sent = node.invoke({}, function="t/sends").json()
        assert sent > 10 * MIB
        assert memory_of_tcp() - before < 160 * MIB


@pytest.mark.alone
def test_large_bodies_of_others_hold_nobody_up_for_all_of_them(node: TestNode) -> None:
    node.deploy(SMALL, name="small", settings='isolation = "instance"')
    node.deploy(SMALL, name="big", limits='request = "32MB"')
    body = b'"' + b"a" * (24 * MIB) + b'"'
    raw = request("/invoke/t/big", body, key=node.key)
    small = request("/invoke/t/small", b"1", key=node.key)
    with connect(node.port, 60) as quick:
        quick.sendall(small)
        read_answer(quick)
        began = time.perf_counter()
        assert exchange(node.port, raw).status == 400  # a text beyond the limits without contract
        one = time.perf_counter() - began
        others = [connect(node.port, 60) for _ in range(6)]
        for other in others:
            other.sendall(raw[:-1])
        for other in others:
            other.sendall(raw[-1:])
        longest = 0.0
        for _ in range(20):
            began = time.perf_counter()
            quick.sendall(small)
            assert read_answer(quick).status == 200
            longest = max(longest, time.perf_counter() - began)
        for other in others:
            read_answer(other)
            other.close()
    # Six of them at once would take six times as long as one.
    assert longest <= 3 * one + 0.2
