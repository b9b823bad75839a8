"""Every process of a node is killed while thousands of events are on their way, and the disk fills.

What was acknowledged ends handled or as a dead letter: nothing vanishes. At least once is what is
promised, so duplicates are counted and shown, not forbidden.

CASEMATE_CRASH_EVENTS is how many events are sent (2000), CASEMATE_CRASH_KILLS how many processes
are killed meanwhile (8).
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.node import TestNode
from support.processes import bases_of, children, command, gateway_of, process, zygotes_of

EVENTS = int(os.environ.get("CASEMATE_CRASH_EVENTS", "2000"))
KILLS = int(os.environ.get("CASEMATE_CRASH_KILLS", "8"))
CLIENTS = 8
TRIES = 1000
SETTLE_SECONDS = 120.0
MIB = 1024 * 1024
DISK = 64 * MIB
MANIFEST = """
[project]
name = "t"
[table.seen]
key = "id"
[queue.jobs]

[function.note]
handler = "app:note"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[function.note.delivery]
attempts = 30
backoff = "50ms"
backoff_most = "1s"

[function.hopeless]
handler = "app:hopeless"
[function.hopeless.delivery]
attempts = 2
backoff = "20ms"

[function.send]
handler = "app:send"
grants = { queues = ["jobs"] }

[function.consume]
handler = "app:consume"
grants = { tables = [{ name = "seen", actions = ["put"] }] }
[[function.consume.queue]]
queue = "jobs"
batch = 10
[function.consume.delivery]
attempts = 30
backoff = "50ms"
backoff_most = "1s"
"""
SOURCE = """
import time

def note(event, context):
    context.table("seen").put({"id": f"{event['n']}.{time.time_ns()}", "n": event["n"]})

def hopeless(event, context):
    raise ValueError("on purpose")

def send(event, context):
    context.queue("jobs").send({"n": event["n"]})
    return event["n"]

def consume(event, context):
    for one in event.data:
        context.table("seen").put({"id": f"{one['n']}.{time.time_ns()}", "n": one["n"]})
"""


class Senders:
    """Clients that send numbered events, and remember which were acknowledged."""

    def __init__(self, node: TestNode, events: int) -> None:
        self.acknowledged: dict[int, str] = {}
        """By number: the function that was to get it."""
        self.sent_again: set[int] = set()
        """What may be there twice because its sender did not learn that it was kept."""
        self._node = node
        self._numbers = iter(range(events))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(240)
            assert not thread.is_alive()

    @property
    def done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            function = "hopeless" if number % 50 == 0 else "send" if number % 3 == 0 else "note"
            for _ in range(TRIES):
                if self._send(number, function, later=function != "send"):
                    break
                self.sent_again.add(number)
                time.sleep(0.05)

    def _send(self, number: int, function: str, *, later: bool) -> bool:
        headers = {"authorization": f"Bearer {self._node.key}", "content-type": "application/json"}
        if later:
            headers["prefer"] = "respond-async"
        connection = http.client.HTTPConnection("127.0.0.1", self._node.port, timeout=15)
        try:
            body = json.dumps({"n": number})
            connection.request("POST", f"/invoke/t/{function}", body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        if answer.status != (202 if later else 200):
            return False
        self.acknowledged[number] = function
        return True


def other(node: TestNode, module: str) -> int | None:
    supervisor = node.process.pid if node.process else 0
    return next((p for p in children(supervisor) if module in command(p)), None)


def victim_of(node: TestNode, kind: str, chosen: random.Random) -> int | None:
    supervisor = node.process.pid if node.process else 0
    if kind == "base":
        return next(iter(bases_of(supervisor)), None)
    if kind == "zygote":
        zygotes = zygotes_of(supervisor)
        return chosen.choice(zygotes) if zygotes else None
    if kind == "gateway":
        return gateway_of(supervisor)
    return other(node, f"casemate.{kind}")


def kill(node: TestNode, kind: str, chosen: random.Random) -> None:
    if kind == "supervisor":
        alive = [process(p) for p in node.processes()]
        node.stop(signal.SIGKILL)
        node.wait_until(lambda: not any(p.lives for p in alive), 10)
        node.start()
        return
    pid = victim_of(node, kind, chosen)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def handled(node: TestNode) -> Counter[int]:
    """Return how often each event was handled."""
    found: Counter[int] = Counter()
    after = None
    while True:
        page = node.client.post(
            f"{node.url}/api/v1/tables/t/seen/query", json={"limit": 1000, "after": after}
        ).json()
        found.update(int(item["value"]["n"]) for item in page["items"])
        after = page.get("after")
        if not after:
            return found


def given_up(node: TestNode) -> set[int]:
    """Return the events that are dead letters."""
    found: set[int] = set()
    for place in ("functions/t/note", "functions/t/hopeless", "queues/t/jobs"):
        after: str | None = None
        while True:
            query = {"limit": 1000} | ({"after": after} if after else {})
            page = node.get(f"/{place}/dead-letters", **query)
            for letter in page["letters"]:
                shown = node.get(f"/{place}/dead-letters/{letter['id']}")["content"]
                found.add(int(shown.get("data", shown)["n"]))
            after = page["after"]
            if not after:
                break
    return found


def waiting(node: TestNode) -> int:
    queue: int = node.get("/queues/t/jobs")["waiting"]
    return queue


def settle(node: TestNode, acknowledged: dict[int, str]) -> tuple[Counter[int], set[int]]:
    """Wait until every acknowledged event has ended; return what became of them."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        seen, dead = handled(node), given_up(node)
        left = [n for n in acknowledged if n not in seen and n not in dead]
        if not left or time.monotonic() > deadline:
            assert left == [], f"{len(left)} vanished: {node.errors.read_text()[-2000:]}"
            return seen, dead
        time.sleep(0.5)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[TestNode]:
    running = TestNode(tmp_path / "data").start()
    try:
        running.deploy_project(MANIFEST, SOURCE)
        yield running
    finally:
        running.close()


@pytest.mark.storm
def test_no_event_vanishes_whoever_is_killed(node: TestNode, record_property: Any) -> None:
    chosen = random.Random(4)
    kinds = itertools.cycle(
        ("gateway", "zygote", "supervisor", "base", "gateway", "vault", "supervisor", "egress")
    )
    senders = Senders(node, EVENTS)
    killed = []
    for kind in itertools.islice(kinds, KILLS):
        if senders.done:
            break
        time.sleep(0.2 + chosen.random())
        kill(node, kind, chosen)
        killed.append(kind)
    senders.join()
    acknowledged = senders.acknowledged
    seen, dead = settle(node, acknowledged)
    assert {n for n, function in acknowledged.items() if function == "hopeless"} <= dead
    assert not {n for n, function in acknowledged.items() if function != "hopeless"} & dead
    again = sum(times - 1 for n, times in seen.items() if n not in senders.sent_again)
    told = {
        "acknowledged": len(acknowledged),
        "sent again by their sender": len(senders.sent_again),
        "handled again": again,
        "killed": killed,
    }
    record_property("delivery", told)
    print("events:", told)
    assert len(acknowledged) == EVENTS, node.errors.read_text()[-2000:]
    assert again < EVENTS / 4
    # What was never acknowledged may have been kept all the same; nothing is left half-way.
    node.wait_until(lambda: waiting(node) == 0, 30)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[TestNode]:
    """A node whose data is on a disk of its own, of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if os.geteuid() != 0 or mounted.returncode != 0:
        pytest.skip("only who may mount can make a small disk")
    running = TestNode(disk / "data", "--master-key", f"file:{tmp_path}/small.key")
    running.errors = tmp_path / "stderr"
    try:
        running.start()
        running.deploy_project(MANIFEST, SOURCE)
        yield running
    finally:
        running.close()
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_no_event_vanishes_when_the_disk_is_full_for_a_while(small: TestNode) -> None:
    node = small
    senders = Senders(node, EVENTS // 4)
    time.sleep(0.5)
    filler = node.data.parent / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(64 * 1024)):
                pass
        except OSError:
            pass
    refused = later(node)
    time.sleep(1.0)
    filler.unlink()
    senders.join()
    assert refused in (202, 503, 507), "kept, or refused in so many words"
    node.wait_until(lambda: later(node) == 202, 20)
    seen, _dead = settle(node, senders.acknowledged)
    print("events:", len(senders.acknowledged), "sent again:", len(senders.sent_again), len(seen))


def later(node: TestNode) -> int:
    answer = node.invoke({"n": -1}, function="t/note", headers={"prefer": "respond-async"})
    if answer.status_code >= 500:
        assert "retry-after" in answer.headers
    return answer.status_code
