"""Each process of a node is killed, at any moment: nothing acknowledged is lost, all comes back."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from support.bundles import Bundle, deploy, make_bundle, publish, upload
from support.load import Load
from support.node import TestNode, cgroups_of
from support.processes import (
    bases_of,
    children,
    gateway_of,
    process,
    zygotes_of,
)
from support.raw_http import connect, read_answer, request
from support.sealed_store import open_store
from support.shared_node import empty
from support.signing import attest, document_of

ECHO = """
import time

def handler(event, context):
    time.sleep(event.get("seconds", 0))
    return {"version": int(context.function_version), "event": event}
"""
ROUNDS = 12
RESTART_SECONDS = 10.0
"""A node starts in less than two on two cores; this leaves room for other tests beside it."""


@pytest.fixture(scope="module")
def echo() -> Bundle:
    return make_bundle(ECHO)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    """One that comes back each time: whatever lives at the end is ended."""
    node = TestNode(tmp_path_factory.mktemp("lasting") / "data").start()
    yield node
    node.close()


@pytest.fixture
def killed_node(lasting: TestNode) -> TestNode:
    """A node whose processes may be killed. It runs, and has nothing of other tests."""
    if lasting.process is None:
        lasting.start()
    lasting.wait_until(lambda: healthy(lasting))
    empty(lasting)
    return lasting


class Deployer:
    """Deploys two functions in turn until told to stop; remembers what was acknowledged."""

    def __init__(self, node: TestNode, bundles: list[Bundle]) -> None:
        self.acknowledged: set[tuple[str, int, str]] = set()
        self._node = node
        self._bundles = bundles
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Deployer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        url = f"{self._node.url}/api/v1/functions/t"
        headers = {"authorization": f"Bearer {self._node.key}"}
        with httpx2.Client(timeout=20, headers=headers) as client:
            turn = 0
            while not self._stop.is_set():
                bundle = self._bundles[turn % len(self._bundles)]
                turn += 1
                name = bundle.manifest.function.name
                document = document_of(bundle.manifest, bundle.files)
                try:
                    attest(client, self._node.url, bundle.manifest, document)
                    answer = client.post(f"{url}/{name}/versions", json={"digest": bundle.digest})
                except httpx2.HTTPError:
                    time.sleep(0.02)
                    continue
                if answer.status_code == 201:
                    self.acknowledged.add((name, answer.json()["number"], bundle.digest))


def stored_versions(node: TestNode) -> set[tuple[str, int, str]]:
    return {
        (function["name"], version["number"], version["digest"])
        for function in node.get("/functions")["functions"]
        for version in function["versions"]
    }


def answers(node: TestNode, function: str = "t/f") -> bool:
    try:
        return node.invoke({}, function=function).status_code == 200
    except httpx2.HTTPError:
        return False


def healthy(node: TestNode) -> bool:
    try:
        return node.client.get(f"{node.url}/api/v1/health").status_code == 200
    except httpx2.HTTPError:
        return False


def kill_supervisor(node: TestNode) -> None:
    """Kill it and see that nothing of the node lives on."""
    assert node.process is not None
    pid = node.process.pid
    alive = [process(p) for p in node.processes()]
    node.stop(signal.SIGKILL)
    node.wait_until(lambda: not any(p.lives for p in alive), 30)
    assert not list(Path("/proc").glob(f"{pid}/exe"))


def timed_restart(node: TestNode) -> float:
    """Start the node again; return the seconds from the start of its process to the first 200."""
    started = time.monotonic()
    node.start()
    answer = node.invoke({})
    took = time.monotonic() - started
    assert answer.status_code == 200, answer.text
    return took


def store_is_sound(node: TestNode) -> bool:
    with open_store(node) as database:
        integrity = database.execute("PRAGMA integrity_check").fetchall()
        foreign = database.execute("PRAGMA foreign_key_check").fetchall()
    return integrity == [("ok",)] and foreign == []


@pytest.mark.storm
def test_kills_at_any_moment_lose_nothing(
    killed_node: TestNode, echo: Bundle, record_property
) -> None:
    node = killed_node
    bundles = [echo, echo.declared(name="g")]
    for bundle in bundles:
        publish(node, bundle)
    chosen = random.Random(20)
    victims = ["supervisor", "gateway", "base", "zygote"] * (ROUNDS // 4)
    chosen.shuffle(victims)
    acknowledged: set[tuple[str, int, str]] = set()
    restarts = []
    for victim in victims:
        with Deployer(node, bundles) as deployer, Load(node.port, "/invoke/t/f", node.key) as load:
            load.more(chosen.randrange(5, 40))
            time.sleep(chosen.random() * 0.05)
            supervisor = node.process.pid if node.process else 0
            if victim == "supervisor":
                kill_supervisor(node)
                deployer._stop.set()
                load._stop.set()
            else:
                pids = {
                    "gateway": [gateway_of(supervisor)],
                    "base": bases_of(supervisor),
                    "zygote": zygotes_of(supervisor),
                }[victim]
                target = chosen.choice([p for p in pids if p])
                os.kill(target, signal.SIGKILL)
                node.wait_until(lambda: answers(node), 60)
        acknowledged |= deployer.acknowledged
        if victim == "supervisor":
            restarts.append(timed_restart(node))
        assert acknowledged <= stored_versions(node), victim
        # The other function may have lost its zygote too, and says so with a 5xx until it is back.
        node.wait_until(lambda: answers(node, "t/g"), 60)
    record_property("restart_seconds", restarts)
    print("first 200 after a restart, seconds:", [round(r, 2) for r in restarts])
    assert max(restarts) < RESTART_SECONDS
    assert len(acknowledged) > ROUNDS
    assert node.stop() == 0, node.errors.read_text()
    assert store_is_sound(node)


def test_a_killed_node_leaves_no_process_and_the_next_start_removes_its_groups(
    killed_node: TestNode, echo: Bundle
) -> None:
    node = killed_node
    publish(node, echo)
    left, dead = [], 0
    for _ in range(5):  # whichever node starts next removes groups that were left: another's test
        node.wait_until(lambda: answers(node), 30)
        dead = node.process.pid if node.process else 0
        kill_supervisor(node)
        if left := cgroups_of(dead):
            break
        node.start()
    assert left, "only a supervisor can remove its groups"
    node.start()
    node.wait_until(lambda: answers(node), 30)
    assert cgroups_of(dead) == []
    assert cgroups_of(node.process.pid if node.process else 0)


def test_the_groups_of_a_node_that_lives_are_left_alone(
    killed_node: TestNode, tmp_path: Path, echo: Bundle
) -> None:
    node = killed_node
    publish(node, echo)
    before = cgroups_of(node.process.pid if node.process else 0)
    other = TestNode(tmp_path / "other").start()
    other.close()
    assert cgroups_of(node.process.pid if node.process else 0) == before
    assert answers(node)


def test_connections_that_wait_while_the_gateway_dies_are_served_by_the_next(
    killed_node: TestNode, echo: Bundle
) -> None:
    node = killed_node
    publish(node, echo)
    supervisor = node.process.pid if node.process else 0
    gateway = gateway_of(supervisor)
    assert gateway is not None
    os.kill(gateway, signal.SIGSTOP)
    with ExitStack() as stack:
        waiting = [stack.enter_context(connect(node.port)) for _ in range(30)]
        for number, sock in enumerate(waiting):
            sock.sendall(request("/invoke/t/f", b'{"n":%d}' % number, key=node.key))
        os.kill(gateway, signal.SIGKILL)
        for number, sock in enumerate(waiting):
            answer = read_answer(sock)
            assert answer.status == 200
            assert b'"n":%d}' % number in answer.body
    assert gateway_of(supervisor) not in (None, gateway)


def test_a_half_received_upload_is_gone_after_the_restart(
    killed_node: TestNode, echo: Bundle
) -> None:
    node = killed_node
    gateway = gateway_of(node.process.pid if node.process else 0)
    assert gateway is not None
    half = echo.declared(name="half")
    archive = half.archive()
    head = request(
        f"/api/v1/bundles/{half.digest}",
        method="PUT",
        key=node.key,
        headers=(
            ("Content-Type", "application/gzip"),
            ("Content-Length", str(len(archive) + 2_000_000)),
        ),
    )
    spool, bundles = node.data / "spool", node.data / "bundles"
    before = set(bundles.iterdir())
    assert half.digest not in str(before)
    with connect(node.port) as sock:
        sock.sendall(head + archive + bytes(1_000_000))
        node.wait_until(lambda: _received(sock))
        (spool / "upload-left-by-a-kill.tar.gz").write_bytes(archive[:1000])
        os.kill(gateway, signal.SIGKILL)
    node.wait_until(lambda: healthy(node))
    assert list(spool.iterdir()) == []
    assert set(bundles.iterdir()) <= before
    assert upload(node, half.digest, archive).status_code == 201
    assert deploy(node, half).status_code == 201
    assert answers(node, "t/half")


def _received(sock: socket.socket) -> bool:
    """Tell whether everything sent was taken by the peer (SIOCOUTQ, tcp(7))."""
    import fcntl
    import struct
    import termios

    queued = fcntl.ioctl(sock, termios.TIOCOUTQ, struct.pack("i", 0))
    return struct.unpack("i", queued)[0] == 0


def test_no_process_of_a_zygote_outlives_its_base(killed_node: TestNode, echo: Bundle) -> None:
    node = killed_node
    publish(node, echo)
    assert answers(node)
    supervisor = node.process.pid if node.process else 0
    (base,) = bases_of(supervisor)
    below, todo = [], children(base)
    while todo:
        pid = todo.pop()
        below.append(process(pid))
        todo += children(pid)
    assert len(below) >= 2, "the init of a zygote's namespace and the zygote"
    with ThreadPoolExecutor(1) as callers:
        call = callers.submit(node.invoke, {"seconds": 30}, function="t/f")
        node.wait_until(lambda: bool(node.get("/invocations")["running"]))
        os.kill(base, signal.SIGKILL)
        node.wait_until(lambda: not any(p.lives for p in below), 30)
        assert call.result().status_code == 500
    # It is told to be the node's doing, and not the function's.
    ended = node.get("/invocations")["invocations"][0]
    assert (ended["outcome"], ended["status"]) == ("internal-error", 500)
    node.wait_until(lambda: answers(node), 30)


# Both leave it stopped.


def test_a_gateway_that_hangs_ends_with_its_supervisor(killed_node: TestNode) -> None:
    """The kernel ends it: it need not notice by itself that the supervisor is gone."""
    supervisor = killed_node.process.pid if killed_node.process else 0
    gateway = gateway_of(supervisor)
    assert gateway is not None
    watched = process(gateway)
    os.kill(gateway, signal.SIGSTOP)
    try:
        killed_node.stop(signal.SIGKILL)
        killed_node.wait_until(lambda: not watched.lives, 30)
    finally:
        if watched.lives:
            os.kill(gateway, signal.SIGKILL)


def test_a_gateway_that_is_killed_again_and_again_is_started_again(
    killed_node: TestNode, echo: Bundle
) -> None:
    node = killed_node
    publish(node, echo)
    supervisor = node.process.pid if node.process else 0
    for _ in range(3):
        gateway = gateway_of(supervisor)
        assert gateway is not None
        os.kill(gateway, signal.SIGKILL)
        node.wait_until(lambda: answers(node), 60)
    # It may be waiting before the next try: a stop does not wait with it.
    gateway = gateway_of(supervisor)
    assert gateway is not None
    os.kill(gateway, signal.SIGKILL)
    node.wait_until(lambda: gateway_of(supervisor) != gateway)
    before = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - before < 20
