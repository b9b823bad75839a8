"""Several gateway processes on one port: rights, limits and quotas are one, whoever is asked."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from casemate.certificates import issuing
from casemate.certificates.issuing import Names
from casemate.model.processes import HTTP_WORKER_UID
from support.node import TestNode
from support.processes import children, command, process

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(120)]
PLAIN = "def handler(event, context):\n    return event\n"
BACK = "def handler(event, context):\n    return {'status': 200, 'body': event['body'].encode()}\n"
SLOW = """
import time
def handler(event, context):
    time.sleep(event.get("seconds", 0))
    return event
"""
WORKERS = 2


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("node") / "data", "--gateways", str(1 + WORKERS))
    try:
        yield node.start()
    finally:
        node.close()


def workers_of(node: TestNode) -> list[int]:
    """Return the process ids of those that take connections."""
    assert node.process is not None
    return [p for p in children(node.process.pid) if "casemate.http_workers.process" in command(p)]


class Through:
    """A connection to a node that one worker has taken."""

    def __init__(self, node: TestNode, worker: int) -> None:
        others = [each for each in workers_of(node) if each != worker]
        self._node = node
        self._connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
        for each in others:
            os.kill(each, signal.SIGSTOP)
        try:
            self.call("PUT", "/nowhere", {})
        finally:
            for each in others:
                os.kill(each, signal.SIGCONT)

    def call(
        self, method: str, path: str, event: Any, key: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        raw = isinstance(event, bytes)
        headers = {"content-type": "text/plain" if raw else "application/json"}
        headers["authorization"] = f"Bearer {key or self._node.key}"
        self._connection.request(method, path, event if raw else json.dumps(event), headers)
        response = self._connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()

    def invoke(self, function: str, event: Any = None, key: str | None = None) -> int:
        return self.call("POST", f"/invoke/{function}", event, key)[0]

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def both(node: TestNode) -> Iterator[list[Through]]:
    """A connection to each worker."""
    node.wait_until(lambda: len(workers_of(node)) == WORKERS)
    with contextlib.ExitStack() as closed:
        yield [closed.enter_context(contextlib.closing(Through(node, w))) for w in workers_of(node)]


def budget(node: TestNode, project: str, amount: int) -> None:
    body = {"per": "day", "hard": True, "amount": amount, "unit": "requests"}
    put = node.client.put(f"{node.url}/api/v1/budgets/{project}/b", json=body)
    assert put.status_code == 200, put.text


def test_each_of_them_answers_calls_large_and_small(node: TestNode, both: list[Through]) -> None:
    route = '[[function.f.http]]\nmethod = "POST"\npath = "/size"\n'
    node.deploy(BACK, project="size", settings='isolation = "instance"', routes=route)
    for size in (1, 60_000, 70_000, 3_000_000):
        for each in both:
            sent = b"x" * size
            status, _, body = each.call("POST", "/size", sent)
            assert (status, body == sent) == (200, True)
    for each in both:  # too long: told from the head, before any of it is sent
        connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
        connection.putrequest("POST", "/size")
        connection.putheader("authorization", f"Bearer {node.key}")
        connection.putheader("content-length", str(10**9))
        connection.putheader("expect", "100-continue")
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()
        assert each.call("POST", "/size", b"y")[2] == b"y"


def test_what_is_streamed_by_one_says_how_long_it_is(node: TestNode, both: list[Through]) -> None:
    for each in both:
        answers: list[tuple[int, dict[str, str], bytes]] = []

        def fetched(answers: list[Any] = answers, each: Through = each) -> bool:
            answers.append(each.call("GET", "/api/v1/backup", b""))
            return bool(answers[-1][0] == 200)

        node.wait_until(fetched)  # the one before may not have been noted as made yet
        status, headers, body = answers[-1]
        assert status == 200 and len(body) > 10_000
        fields = {name.lower(): value for name, value in headers.items()}
        assert fields["content-length"] == str(len(body))
        assert "transfer-encoding" not in fields
        assert each.call("GET", "/api/v1/whoami", b"")[0] == 200, "the connection goes on"


def test_they_hold_nothing_but_their_sockets(node: TestNode) -> None:
    for pid in workers_of(node):
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert int(fields["CapEff"], 16) == 0
        assert fields["NoNewPrivs"] == "1"
        assert fields["Seccomp"] == "2"
        if os.geteuid() == 0:
            assert set(fields["Uid"].split()) == {str(HTTP_WORKER_UID)}
            opened = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            assert not [one for one in opened if one.startswith(f"{node.data}/")]


def test_a_budget_is_one(node: TestNode, both: list[Through]) -> None:
    node.deploy(PLAIN, project="budget", settings='isolation = "instance"')
    budget(node, "budget", 20)
    found = [both[n % WORKERS].invoke("budget/f", {}) for n in range(30)]
    assert (found.count(200), found.count(429)) == (20, 10)


def test_a_limit_on_instances_is_one(node: TestNode, both: list[Through]) -> None:
    node.deploy(SLOW, project="slow", limits="concurrency = 1\nqueue = 0")
    both[0].invoke("slow/f", {})
    found: list[int] = []
    first = threading.Thread(target=lambda: found.append(both[0].invoke("slow/f", {"seconds": 2})))
    first.start()
    time.sleep(0.7)
    assert both[1].invoke("slow/f", {}) in (429, 503)
    first.join()
    assert found == [200]
    assert both[1].invoke("slow/f", {}) == 200


def test_what_was_revoked_or_closed_is_so_for_all_at_once(
    node: TestNode, both: list[Through]
) -> None:
    """Also on connections whose last head was the same, and let in."""
    node.deploy(PLAIN, project="rights", settings='isolation = "instance"\npublic = true')
    made = node.client.post(
        f"{node.url}/api/v1/tokens", json={"name": "one", "roles": ["invoker@rights"]}
    )
    assert made.status_code == 201, made.text
    token, key = made.json()["token"], made.json()["text"]
    for each in both:
        for _ in range(3):
            assert each.invoke("rights/f", {}, key) == 200
    gone = node.client.delete(f"{node.url}/api/v1/tokens/{token['id']}")
    assert gone.status_code in (200, 204), gone.text
    assert [each.invoke("rights/f", {}, key) for each in both] == [401, 401]
    node.deploy(PLAIN, project="rights", settings='isolation = "instance"')
    for each in both:
        connection = each._connection
        connection.request("POST", "/invoke/rights/f", "{}", {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        assert response.status == 401


def test_what_is_no_request_is_on_record(node: TestNode, both: list[Through]) -> None:
    def denials() -> int:
        found = node.get("/denials", limit=200)["denials"]
        return sum("header field that must be single" in one["reason"] for one in found)

    before = denials()
    with socket.create_connection(("127.0.0.1", node.port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 400 ")
    node.wait_until(lambda: denials() > before)


def test_one_that_is_killed_takes_its_own_connections_alone(
    node: TestNode, both: list[Through]
) -> None:
    node.deploy(SLOW, project="killed")
    killed, other = workers_of(node)
    found: list[Any] = []

    def slow() -> None:
        found.append(both[1].invoke("killed/f", {"seconds": 1.5}))

    running = threading.Thread(target=slow)
    running.start()
    time.sleep(0.5)
    gone = process(killed)
    os.kill(killed, signal.SIGKILL)
    with pytest.raises((OSError, http.client.HTTPException)):
        both[0].invoke("killed/f", {})
    node.wait_until(lambda: not gone.lives)
    for _ in range(5):
        assert node.invoke({}, function="killed/f").status_code == 200
    running.join()
    assert found == [200]
    node.wait_until(lambda: len(workers_of(node)) == WORKERS and killed not in workers_of(node))
    fresh = next(each for each in workers_of(node) if each != other)
    with contextlib.closing(Through(node, fresh)) as through:
        assert through.invoke("killed/f", {}) == 200
    node.wait_until(lambda: open_connections(node) < 20)


def open_connections(node: TestNode) -> float:
    return metric(node, "casemate_open_connections")


def metric(node: TestNode, name: str) -> float:
    page = node.client.get(f"{node.url}/metrics").text
    line = next(one for one in page.splitlines() if one.startswith(f"{name} "))
    return float(line.split()[1])


def test_clients_that_go_at_any_moment_end_no_worker(node: TestNode, both: list[Through]) -> None:
    node.deploy(BACK, project="gone", settings='isolation = "instance"')
    starts = 'casemate_process_starts_total{process="http-worker"}'
    before, workers = metric(node, starts), workers_of(node)
    head = f"POST /invoke/gone/f HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {node.key}\r\n"
    long = f"{head}Content-Length: 300000\r\n\r\n".encode()
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
    whole = f"{head}Content-Length: 2\r\n\r\n{{}}".encode()
    for number in range(200):
        for sent in (
            b"",
            head.encode(),
            long,
            long + bytes(1000),
            chunked,
            chunked + b"1\r\nx",
            whole,
        ):
            with socket.create_connection(("127.0.0.1", node.port), 10) as sock:
                sock.sendall(sent)
                if number % 2:  # reset, not closed
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert [each.call("PUT", "/nowhere", {})[0] for each in both] == [404, 404]
    node.wait_until(lambda: open_connections(node) < 20)
    assert (metric(node, starts), workers_of(node)) == (before, workers)


def test_who_waits_for_a_gateway_that_hangs_is_answered_by_the_next(node: TestNode) -> None:
    """Workers had taken these connections, and cut them when their gateway ended."""
    node.deploy(PLAIN, project="waits", settings='isolation = "instance"\npublic = true')
    request = b"POST /invoke/waits/f HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    request += b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    gateway = process(node.part("gateway"))
    os.kill(gateway.pid, signal.SIGSTOP)
    with contextlib.ExitStack() as closed:
        waiting = [
            closed.enter_context(socket.create_connection(("127.0.0.1", node.port), 60))
            for _ in range(40)
        ]
        for each in waiting:
            each.sendall(request)
        time.sleep(0.5)  # they are taken by then
        os.kill(gateway.pid, signal.SIGKILL)
        assert [each.recv(12) for each in waiting] == [b"HTTP/1.1 200"] * 40
    node.wait_until(lambda: len(workers_of(node)) == WORKERS)


@pytest.mark.storm
def test_one_that_hangs_is_replaced(node: TestNode, both: list[Through]) -> None:
    hangs = process(workers_of(node)[0])
    os.kill(hangs.pid, signal.SIGSTOP)
    node.wait_until(lambda: not hangs.lives, 30)
    node.wait_until(lambda: len(workers_of(node)) == WORKERS, 30)
    assert both[1].call("PUT", "/nowhere", {})[0] == 404


def test_a_stop_answers_what_has_begun_on_all_of_them(tmp_path: Path) -> None:
    node = TestNode(tmp_path / "data", "--gateways", "3")
    try:
        node.start()
        node.deploy(SLOW, project="stop")
        through = [Through(node, each) for each in workers_of(node)]
        found: list[tuple[int, str]] = []

        def slow(each: Through) -> None:
            status, headers, _ = each.call("POST", "/invoke/stop/f", {"seconds": 1.5})
            found.append((status, headers.get("connection", "")))

        running = [threading.Thread(target=slow, args=(each,)) for each in through]
        for each in running:
            each.start()
        time.sleep(0.7)
        assert node.stop() == 0
        for each in running:
            each.join()
        assert found == [(200, "close")] * WORKERS
    finally:
        node.close()


def test_a_certificate_that_is_renewed_is_so_for_new_connections(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    names = Names.of(["127.0.0.1", "localhost"])
    authority = issuing.new_authority(names, now)
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def give() -> bytes:
        pair = issuing.issue(authority, names, now)
        key.touch(0o600)
        key.chmod(0o600)
        key.write_bytes(pair.key)
        certificate.write_bytes(pair.certificate)
        if os.geteuid() == 0:
            os.chown(key, 64_800, 64_800)
        tmp_path.chmod(0o755)
        return ssl.PEM_cert_to_DER_cert(pair.certificate.decode())

    # The gateway's user reads the certificate.
    for each in (tmp_path, *tmp_path.parents):
        if each == Path(tempfile.gettempdir()):
            break
        each.chmod(0o755)
    first = give()
    node = TestNode(
        tmp_path / "data",
        *("--gateways", "3", "--tls-cert", str(certificate), "--tls-key", str(key)),
    )
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))

    def shown() -> bytes | None:
        connection = http.client.HTTPSConnection("127.0.0.1", node.port, context=context)
        connection.request("GET", "/", headers={"host": "localhost"})
        found = connection.sock.getpeercert(binary_form=True)
        assert connection.getresponse().status == 401
        connection.close()
        return found

    try:
        node.start()
        assert [shown() for _ in range(6)] == [first] * 6
        second = give()
        assert node.process is not None
        node.process.send_signal(signal.SIGHUP)
        node.wait_until(lambda: [shown() for _ in range(6)] == [second] * 6)
        # One that cannot be used changes nothing, and ends no worker.
        before = workers_of(node)
        certificate.write_bytes(b"none")
        for _ in range(2):
            node.process.send_signal(signal.SIGHUP)
        node.wait_until(lambda: "the certificate stays as it is" in node.errors.read_text())
        assert [shown() for _ in range(6)] == [second] * 6
        assert workers_of(node) == before
    finally:
        node.close()
