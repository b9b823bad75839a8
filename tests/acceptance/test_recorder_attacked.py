"""A gateway that was broken into tells its recorder rubbish: 2,000 messages of a real node."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import shutil
import socket
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support.broken_gateway import ENDS, STAYS, connection_between, duplicates, large
from support.cli import casemate
from support.node import TestNode

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(1800)]
MESSAGES = 2000
SEED = int(os.environ.get("CASEMATE_STORM_SEED", "12"))
MEMORY = 400 << 20


def connected(node: TestNode) -> tuple[socket.socket, int]:
    """Wait for a recorder; return a copy of the gateway's connection to it, and its id."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(AssertionError, OSError):
            gateway, recorder = node.part("gateway"), node.part("recorder")
            assert gateway is not None and recorder is not None
            return connection_between(gateway, recorder), recorder
        assert time.monotonic() < deadline, node.errors.read_text()[-2000:]
        time.sleep(0.1)


def memory_peak(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0


def send(sock: socket.socket, data: bytes, seconds: float = 20.0) -> bool:
    """Send all of it; the recorder may end meanwhile, which is told by False."""
    view, until = memoryview(data), time.monotonic() + seconds
    while view and time.monotonic() < until:
        select.select([], [sock], [], 0.5)
        try:
            view = view[sock.send(view, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) :]
        except BlockingIOError:
            continue
        except OSError:
            return False
    return not view


def ended(pid: int, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if b") Z " in Path(f"/proc/{pid}/stat").read_bytes():
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ss") is None, reason="needs root, and ss")
def test_a_recorder_that_is_fed_rubbish_lives_and_keeps_what_it_has(tmp_path: Path) -> None:
    node = TestNode(tmp_path / "data").start()
    try:
        node.deploy("def handler(event, context):\n    print('kept', event)\n    return event\n")
        for n in range(20):
            assert node.invoke(n).status_code == 200
        node.wait_until(lambda: len(node.get("/invocations")["invocations"]) == 20, 20)
        deaths = _attack(node, random.Random(SEED))
        node.wait_until(lambda: node.invoke(99).status_code == 200, 60)
        node.wait_until(lambda: len(node.get("/invocations")["invocations"]) == 21, 60)
        verified = node.client.post(f"{node.url}/api/v1/journal/verify").json()
        assert verified["findings"] == [], verified
        _told(node, deaths)
    finally:
        node.close()


def _attack(node: TestNode, chance: random.Random) -> int:
    done: Counter[str] = Counter()
    peak, deaths = 0, 0
    sock, recorder = connected(node)
    ends = list(ENDS) * 2
    chance.shuffle(ends)
    while done.total() < MESSAGES:
        peak = max(peak, memory_peak(recorder))
        if ends and done.total() % (MESSAGES // 40) == 0:
            name = ends.pop()
            send(sock, ENDS[name](chance))
            sock.close()
            assert ended(recorder), f"{name} did not end the connection"
            deaths += 1
            sock, recorder = connected(node)
        elif done.total() % 20 == 0:
            name = "duplicates"
            if not send(sock, duplicates(chance)):
                sock.close()
                sock, recorder = connected(node)
        else:
            name = chance.choice(list(STAYS))
            if not send(sock, STAYS[name](chance)) or node.part("recorder") != recorder:
                sock.close()
                sock, recorder = connected(node)
        done[name] += 1
    for _ in range(14):  # more than 100 MB, each message in its bounds
        sent = send(sock, large(chance))
        peak = max(peak, memory_peak(recorder))
        if not sent:
            break
    sock.close()
    print(done, f"{deaths} recorders ended, peak {peak >> 20} MB", flush=True)
    assert peak < MEMORY
    return deaths


def _told(node: TestNode, deaths: int) -> None:
    entries: list[dict[str, Any]] = []
    before = None
    while True:
        query = {"kind": "GatewayDoubtful", "limit": 1000} | (
            {} if before is None else {"before": before}
        )
        page = node.get("/journal", **query)
        entries += page["entries"]
        before = page["before"]
        if before is None:
            break
    reasons = Counter(each["event"]["message"] for each in entries)
    print(reasons)
    assert reasons.total() >= deaths
    listed = casemate(node, "findings", "ls", "--rule", "other-node-doubtful", "--json")
    found = json.loads(listed.stdout)["findings"]
    assert found and all(each["level"] == "high" for each in found)
