"""The same head again on one connection: what was read of it is kept, no decision is.

Each attack sends the very same bytes on a connection on which they were answered before, so that
the gateway's memo of the head is in use, after what they are allowed has changed.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import pytest

from support.node import TestNode
from support.raw_http import Answer, connect, read_answer, request

SHARES_NODE = True
REUSED = 'isolation = "instance"'
_numbers = itertools.count()
BOUND = f"""
[project]
name = "c"
[function.bound]
handler = "app:handler"
contract = "one.json"
{REUSED}
"""
ECHO = "def handler(event, context):\n    return event\n"


class Caller:
    """One connection on which a call was answered several times."""

    def __init__(self, node: TestNode, path: str = "/invoke/t/echo", key: str | None = None):
        self.node = node
        self.sock: socket.socket = connect(node.port)
        self.path, self.key = path, key
        for number in range(3):
            answer = self.call(b"[%d]" % number)
            assert (answer.status, answer.body) == (200, b"[%d]" % number)

    def bytes_of(self, body: bytes) -> bytes:
        return request(self.path, body, key=self.key)

    def call(self, body: bytes = b"[0]") -> Answer:
        self.sock.sendall(self.bytes_of(body))
        return read_answer(self.sock)


@pytest.fixture(scope="module")
def echo(node: TestNode) -> TestNode:
    node.deploy(ECHO, name="echo", settings=REUSED)
    node.deploy(ECHO, name="open", settings=f"{REUSED}\npublic = true")
    return node


def made(node: TestNode, *roles: str) -> tuple[str, str]:
    """Return id and text of a new token."""
    body = {"name": f"caller-{next(_numbers)}", "roles": roles}
    answer = node.client.post(f"{node.url}/api/v1/tokens", json=body)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    return told["token"]["id"], told["text"]


@pytest.fixture
def caller(echo: TestNode) -> Iterator[tuple[Caller, str]]:
    identity, text = made(echo, "invoker@t")
    caller = Caller(echo, key=text)
    yield caller, identity
    caller.sock.close()


def changed(node: TestNode, method: str, path: str, body: object = None) -> None:
    answer = node.client.request(method, f"{node.url}/api/v1{path}", json=body)
    assert answer.is_success, answer.text


def test_a_token_that_is_revoked_is_refused_at_the_next_request(
    caller: tuple[Caller, str],
) -> None:
    connection, identity = caller
    changed(connection.node, "DELETE", f"/tokens/{identity}")
    assert connection.call().status == 401


def test_a_policy_that_forbids_is_in_force_at_the_next_request(
    caller: tuple[Caller, str],
) -> None:
    connection, _ = caller
    text = (
        '@id("shut")\nforbid (principal, action == Casemate::Action::"function:invoke", '
        'resource in Casemate::Project::"t");'
    )
    changed(connection.node, "PUT", "/policies/shut", {"text": text})
    try:
        assert connection.call().status == 403
    finally:
        changed(connection.node, "DELETE", "/policies/shut")
    assert connection.call().status == 200


def test_a_function_that_is_closed_is_closed_at_the_next_request(echo: TestNode) -> None:
    connection = Caller(echo, "/invoke/t/open")
    echo.deploy(ECHO, name="open", settings=REUSED)
    assert connection.call().status == 401


def test_a_function_that_is_removed_is_gone_at_the_next_request(echo: TestNode) -> None:
    echo.deploy(ECHO, name="gone", settings=REUSED)
    connection = Caller(echo, "/invoke/t/gone", key=echo.key)
    changed(echo, "DELETE", "/functions/t/gone")
    assert connection.call().status == 404


def test_each_body_is_looked_at(caller: tuple[Caller, str]) -> None:
    connection, _ = caller
    hostile = [b'["\\u0000"]', b'{"__proto__":{"a":1}}', b"[" * 40 + b"]" * 40, b"[1", b'["\xff"]']
    for body in hostile:
        sound = b'"' + b"x" * (len(body) - 2) + b'"'
        assert connection.call(sound).body == sound  # the head has this length now
        assert connection.call(body).status == 400, body
        assert connection.call(sound).body == sound


def test_a_contract_is_held_to(echo: TestNode) -> None:
    contract = '{"type": "array", "maxItems": 1}'
    echo.deploy_project(BOUND, ECHO, files={"one.json": contract})
    connection = Caller(echo, "/invoke/c/bound", key=echo.key)
    assert connection.call(b"[1,2]").status == 400
    assert connection.call(b"[1  ]").status == 200
    assert connection.call(b"[1,2]").status == 400


def test_what_follows_a_repeated_request_is_a_request_of_its_own(
    caller: tuple[Caller, str],
) -> None:
    """Without a token it is refused, wherever it stands in what is read together."""
    connection, _ = caller
    mine = connection.bytes_of(b"[7]")
    other = request("/invoke/t/echo", b"[8]")
    for sent, statuses in (
        (mine + other, [200, 401]),
        (other + mine, [401, 200]),
        (mine + mine + other + mine, [200, 200, 401, 200]),
    ):
        connection.sock.sendall(sent)
        assert statuses_of(connection.sock, len(statuses)) == statuses


def statuses_of(sock: socket.socket, count: int) -> list[int]:
    """Return the statuses of answers that may come together."""
    data, found = b"", []
    while len(found) < count:
        head, end, rest = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]) if end else 0
        if not end or len(rest) < length:
            more = sock.recv(65536)
            assert more, found
            data += more
            continue
        found.append(int(head.split()[1]))
        data = rest[length:]
    assert data == b""
    return found


def test_a_body_that_holds_a_request_stays_a_body(caller: tuple[Caller, str]) -> None:
    connection, _ = caller
    inner = request("/invoke/t/echo", b"[8]", key="x").decode()
    body = ('"' + inner.replace("\r\n", "  ").replace('"', "'") + '"').encode()
    for _ in range(3):
        assert connection.call(body).body == body


def test_a_repeated_request_in_any_pieces_is_the_same_request(
    caller: tuple[Caller, str],
) -> None:
    connection, _ = caller
    whole = connection.bytes_of(b"[5]")
    for at in (1, len(whole) // 2, len(whole) - 4, len(whole) - 3, len(whole) - 1):
        connection.sock.sendall(whole[:at])
        connection.sock.sendall(whole[at:])
        assert read_answer(connection.sock).body == b"[5]"
