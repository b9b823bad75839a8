"""All processes of a node are killed and stopped at random under load; what was acknowledged holds.

CASEMATE_STORM_KILLS is how many processes the long form kills (200).
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from support.cli import casemate
from support.node import TestNode
from support.processes import process

pytestmark = pytest.mark.alone

KILLS, STORM_KILLS = 5, int(os.environ.get("CASEMATE_STORM_KILLS", "200"))
CLIENTS = 6
OPERATION = "/api/v1/functions/t/put/baseline/lock"
CALL_SECONDS = 30.0
"""No call may take longer, whatever is killed; the longest pause of a restart is half of it."""
MANIFEST = """
[project]
name = "t"
[table.kept]
key = "id"
[function.put]
handler = "app:put"
grants = { tables = [{ name = "kept", actions = ["put", "get"] }] }
[function.later]
handler = "app:later"
grants = { tables = [{ name = "kept", actions = ["put"] }] }
[function.later.delivery]
attempts = 30
backoff = "50ms"
backoff_most = "1s"
"""
SOURCE = """
def put(event, context):
    if event.get("look"):
        return context.table("kept").get(event["n"]) is not None
    context.table("kept").put({"id": event["n"]})
    return event["n"]

def later(event, context):
    context.table("kept").put({"id": event["n"]})
"""


def name_of(pid: int) -> str:
    """Return which process of the node one is: its module, or what starts it."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return "gone"
    return next(
        (word for word in words if word.startswith("casemate.")), words[0].rpartition("/")[2]
    )


class Clients:
    """Keep numbered things, now and later, each tried until it is acknowledged."""

    def __init__(self, node: TestNode) -> None:
        self.acknowledged: list[str] = []
        self.identities: dict[str, set[str]] = {}
        """By idempotency key: the ids that were given for it."""
        self.operations = [0, 0]
        """Of people, which are recorded before they are answered: tried, and acknowledged."""
        self.slowest = 0.0
        self.hung = 0
        self._node = node
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(CLIENTS)
        ]
        self._threads.append(threading.Thread(target=self._operate, daemon=True))

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(4 * CALL_SECONDS)
            assert not thread.is_alive()

    def _run(self, client: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            name = f"{client}-{number}"
            later = number % 2 == 0
            while not self._stop.is_set():
                status, body = self._call(name, later)
                if status == (202 if later else 200):
                    self.acknowledged.append(name)
                    if later:
                        self.identities.setdefault(name, set()).add(json.loads(body)["id"])
                        again, body = self._call(name, later)
                        if again == 202:
                            self.identities[name].add(json.loads(body)["id"])
                    break
                time.sleep(0.02)

    def _operate(self) -> None:
        while not self._stop.wait(0.1):
            self.operations[0] += 1
            self.operations[1] += self._ask(OPERATION, b"", {})[0] == 200

    def _call(self, name: str, later: bool) -> tuple[int, bytes]:
        headers = {"prefer": "respond-async", "idempotency-key": name} if later else {}
        target = "/invoke/t/later" if later else "/invoke/t/put"
        return self._ask(target, json.dumps({"n": name}).encode(), headers)

    def _ask(self, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        headers = {
            "authorization": f"Bearer {self._node.key}",
            "content-type": "application/json",
            **headers,
        }
        connection = http.client.HTTPConnection("127.0.0.1", self._node.port, timeout=CALL_SECONDS)
        started = time.monotonic()
        try:
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except TimeoutError:
            self.hung += 1
            return 0, b""
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            self.slowest = max(self.slowest, time.monotonic() - started)
            connection.close()


def not_kept(node: TestNode, names: set[str]) -> set[str]:
    return {
        n for n in names if node.invoke({"n": n, "look": 1}, function="t/put").json() is not True
    }


def fate_of_later(node: TestNode) -> str:
    """Say what became of events that were not delivered: they wait, were given up, or neither."""
    letters = node.get("/functions/t/later/dead-letters")["letters"]
    (figures,) = node.get("/metrics", project="t", function="later")["functions"]
    return f"{figures['inbox']} wait, given up: {letters}"


def recorded_operations(node: TestNode) -> int:
    """Return how often the journal has the operation of people; each entry is there once."""
    found: list[str] = []
    before: dict[str, int] = {}
    while True:
        page = node.get("/journal", kind="OperationPerformed", limit=1000, **before)
        found += [
            entry["id"]
            for entry in page["entries"]
            if entry["event"]["unmapped"]["operation"] == "lockBaseline"
        ]
        if page["before"] is None:
            break
        before = {"before": page["before"]}
    assert len(found) == len(set(found)), "an entry is there twice"
    return len(found)


def storm(node: TestNode, kills: int, seed: int) -> None:
    node.deploy_project(MANIFEST, SOURCE)
    chosen = random.Random(seed)
    ended = 0
    victims: Counter[str] = Counter()
    with Clients(node) as clients:
        for _ in range(kills):
            time.sleep(chosen.uniform(0.05, 0.8))
            alive = node.processes()
            # The supervisor's end is the node's: it is not a child like others.
            victim = alive[0] if chosen.random() < 0.15 else chosen.choice(alive[1:] or alive)
            victims[name_of(victim)] += 1
            stopped = chosen.random() < 0.3 and victim != alive[0]
            try:
                if stopped:
                    os.kill(victim, signal.SIGSTOP)
                    time.sleep(chosen.uniform(0.1, 1.5))
                    os.kill(victim, signal.SIGCONT if chosen.random() < 0.5 else signal.SIGKILL)
                else:
                    os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
            assert node.process is not None
            gone = victim == alive[0] or node.process.poll() is not None
            if gone:
                ended += victim != alive[0]
                left = [process(pid) for pid in alive]
                node.stop(signal.SIGKILL)
                node.wait_until(lambda left=left: not any(p.lives for p in left), 10)
                node.start()
        node.wait_until(lambda: clients._call("last", False)[0] == 200, CALL_SECONDS)
    assert clients.hung == 0
    assert len(clients.acknowledged) > kills
    twice = {name for name, found in clients.identities.items() if len(found) > 1}
    assert not twice, "an idempotency key was kept twice"
    # To look at each takes its time: what is delivered late has a minute after that.
    missing = not_kept(node, set(clients.acknowledged))
    deadline = time.monotonic() + 60
    while missing and time.monotonic() < deadline:
        time.sleep(0.5)
        missing = not_kept(node, missing)
    assert not missing, f"{missing} of {len(clients.acknowledged)} are gone; {fate_of_later(node)}"
    tried, acknowledged = clients.operations
    recorded = recorded_operations(node)
    assert acknowledged <= recorded <= tried, (acknowledged, recorded, tried)
    verified = casemate(node, "journal", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    print(
        f"{kills} kills, {victims}, {acknowledged} of {tried} operations acknowledged and "
        f"{recorded} recorded, {len(clients.acknowledged)} acknowledged, "
        f"slowest {clients.slowest:.1f} s, "
        f"the node ended by itself {ended} times"
    )


def test_a_short_storm(tmp_path: Path) -> None:
    node = TestNode(tmp_path / "data").start()
    try:
        storm(node, KILLS, 5)
    finally:
        node.close()


@pytest.mark.storm
def test_a_long_storm(tmp_path: Path) -> None:
    node = TestNode(tmp_path / "data").start()
    try:
        storm(node, STORM_KILLS, int(time.time()))
    finally:
        node.close()
