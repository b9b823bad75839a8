"""A function has no network, and no socket by which it reaches another process."""

from __future__ import annotations

import errno
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from support.attacks import SYSTEM_CALL, Attack, denials
from support.node import TestNode

SHARES_NODE = True
UNREACHABLE = {errno.EACCES, errno.EPERM, errno.ENETUNREACH, errno.EADDRNOTAVAIL}
TEST_NET = "192.0.2.1"
"""TEST-NET-1 (RFC 5737): no host has it, should a packet get out after all."""
FAMILIES = {
    "unix": (1, socket.SOCK_STREAM, 0),
    "netlink": (16, socket.SOCK_RAW, 0),
    "packet": (17, socket.SOCK_RAW, 0),
    "bluetooth": (31, socket.SOCK_RAW, 0),
    "alg": (38, socket.SOCK_SEQPACKET, 0),
    "vsock": (40, socket.SOCK_STREAM, 0),
    "xdp": (44, socket.SOCK_RAW, 0),
    "can": (29, socket.SOCK_RAW, 1),
    "tipc": (30, socket.SOCK_STREAM, 0),
    "key": (15, socket.SOCK_RAW, 2),
}
SPECIAL = {
    "raw-tcp": (2, socket.SOCK_RAW, 6),
    "raw-icmp": (2, socket.SOCK_RAW, 1),
    "raw-ip": (2, socket.SOCK_RAW, 255),
    "ping": (2, socket.SOCK_DGRAM, 1),
    "raw-icmp6": (10, socket.SOCK_RAW, 58),
}


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_family_is_refused(attack: Attack, name: str) -> None:
    family, kind, protocol = FAMILIES[name]
    tried = attack("open_socket", family=family, kind=kind, protocol=protocol)
    assert tried.answer == {"errno": errno.EAFNOSUPPORT}
    if name == "unix":
        # Every resolver tries one first: what cannot lead anywhere is refused without a record.
        assert not tried.denied(seconds=1.0)
        return
    (denial,) = tried.denied()
    assert denial["action"] == f"socket(AF_{name.upper()})"


@pytest.mark.parametrize("name", list(SPECIAL))
def test_the_raw_socket_is_refused(attack: Attack, name: str) -> None:
    family, kind, protocol = SPECIAL[name]
    tried = attack("open_socket", family=family, kind=kind, protocol=protocol)
    assert tried.errno in {errno.EPERM, errno.EACCES}
    assert tried.recorded()


@pytest.mark.parametrize(
    ("address", "family"),
    [
        ("127.0.0.1", socket.AF_INET),
        (TEST_NET, socket.AF_INET),
        ("169.254.169.254", socket.AF_INET),
        ("::1", socket.AF_INET6),
        ("2001:db8::1", socket.AF_INET6),
    ],
)
def test_nothing_is_reached(
    attacked: TestNode, attack: Attack, address: str, family: socket.AddressFamily
) -> None:
    """Neither the node's own gateway, which does listen on 127.0.0.1, nor anything else."""
    connected = attack("connect", address=address, port=attacked.port, family=family)
    assert connected.errno in UNREACHABLE
    assert connected.recorded()
    sent = attack("send_datagram", address=address, port=9, family=family)
    assert sent.errno in UNREACHABLE
    assert sent.recorded()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_it_cannot_listen(attack: Attack, family: socket.AddressFamily) -> None:
    tried = attack("bind", port=8080, family=family)
    assert tried.errno in {errno.EACCES, errno.EPERM}
    if family is socket.AF_INET6:
        assert tried.recorded()  # urllib3 tries it when imported
    else:
        assert tried.denied("bind")


def test_it_cannot_accept_without_an_address(attack: Attack) -> None:
    """`listen` binds a socket that has no address to one the kernel chooses."""
    tried = attack("listen")
    assert tried.errno == errno.EPERM
    assert tried.denied("listen")


def test_there_is_no_interface_to_use(attack: Attack) -> None:
    tried = attack("bring_up_loopback")
    assert tried.errno == errno.ENOTTY
    assert tried.recorded()


def _meet(node: TestNode, listener: str, sender: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let one instance listen on an abstract address, and another one send to it."""

    def call(function: str, event: dict[str, Any]) -> dict[str, Any]:
        answer = httpx2.post(
            f"{node.url}/invoke/{function}",
            json=event,
            headers={"authorization": f"Bearer {node.key}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(call, listener, {"attack": "abstract_listen", "seconds": 1.0})
        node.wait_until(lambda: node.get("/node")["instances"] == 1)
        sent = []
        while not heard.done() and len(sent) < 20:
            sent.append(call(sender, {"attack": "abstract_send"}))
        return heard.result(), sent[-1]


@pytest.mark.parametrize("sender", ["t/attack", "t/victim"])
def test_abstract_sockets_join_no_instances(attacked: TestNode, sender: str) -> None:
    started = time.time()
    heard, sent = _meet(attacked, "t/attack", sender)
    assert "result" not in heard
    assert sent["errno"] in {errno.EPERM, errno.EACCES, errno.ECONNREFUSED}
    assert denials(
        attacked,
        kind=SYSTEM_CALL,
        actions=frozenset({"bind"}),
        since=started,
        project="t",
        function="attack",
    )


def test_abstract_sockets_join_no_instances_on_older_kernels(without_landlock: TestNode) -> None:
    heard, _ = _meet(without_landlock, "t/attack", "t/attack")
    assert "result" not in heard
