"""All processes of a node are killed and stopped at random under load; what was acknowledged holds.

CASEMATE_STORM_KILLS is how many processes the long form kills (200). What is not there at once is
looked for until it would have been tried again in any case: late is told from lost.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.cli import casemate
from support.node import TestNode
from support.processes import process

KILLS, STORM_KILLS = 5, int(os.environ.get("CASEMATE_STORM_KILLS", "200"))
CLIENTS = 6
OPERATION = "/api/v1/functions/t/put/baseline/lock"
CALL_SECONDS = 30.0
"""No call may take longer, whatever is killed; the longest pause of a restart is half of it."""
LATE_SECONDS = 180.0
"""After it nothing comes any more by itself: leases of these functions are over after 150 s
(`delivery.attempt.lease_seconds`), and a pause between two attempts is 1 s at most."""
LOOKS_AFTER = 3
"""So often it is looked again after that: a look that failed once is no loss."""
SOON_SECONDS = 75.0
"""What comes later than this has waited for the end of a lease, which nothing here should: a start,
the longest queue and the time of the function are 60 s (`delivery.attempt.run_seconds`)."""
STARTS = 4
LATE = "timed out"
"""What a node says that gave up because a process of its own had not begun yet. Such a start is a
failure of the machine's, which whoever runs nodes repeats; any other is one of the node's."""
LAUNCHERS = ("casemate.child.bound", "casemate.child.program")
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
    named = (word for word in words if word.startswith("casemate."))
    # What only starts another one is the same for most of them.
    return next((word for word in named if word not in LAUNCHERS), words[0].rpartition("/")[2])


class Turns:
    """Chooses processes so that each kind has its turn: most are those of functions."""

    def __init__(self, chosen: random.Random) -> None:
        self._chosen = chosen
        self._had: Counter[str] = Counter()

    def next(self, alive: list[int]) -> int:
        """Return one of a kind that was chosen least."""
        kinds: dict[str, list[int]] = {}
        for pid in alive:
            kinds.setdefault(name_of(pid), []).append(pid)
        if len(kinds) > 1:
            kinds.pop("", None)  # has ended already
        least = min(self._had[name] for name in kinds)
        name = self._chosen.choice(sorted(name for name in kinds if self._had[name] == least))
        self._had[name] += 1
        return self._chosen.choice(kinds[name])


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


class Sight:
    """What is looked for, until it is there or is lost, and how late it came."""

    def __init__(self, names: set[str], look: Callable[[str], bool], since: float) -> None:
        """Look for each of the names; `since` is when, by the monotonic clock, all should come."""
        self.missing = names
        self.first: float | None = None
        """How long the first look at all of them took to end."""
        self.late: dict[str, float] = {}
        """After how many seconds something was there that was not at the first look."""
        self._look = look
        self._since = since

    def again(self) -> None:
        """Look at all that is missing."""
        for name in sorted(self.missing):
            if self._look(name):
                self.missing.discard(name)
                if self.first is not None:
                    self.late[name] = time.monotonic() - self._since
        if self.first is None:
            self.first = time.monotonic() - self._since

    def until(self, seconds: float, looks: int, pause: float = 0.5) -> None:
        """Look until nothing is missing, for so long, and so often after that."""
        self.again()
        while self.missing and looks:
            time.sleep(pause)
            looks -= time.monotonic() - self._since >= seconds
            self.again()

    def __str__(self) -> str:
        """Say what came late."""
        once = f"all were looked at once by {self.first:.1f} s"
        if not self.late:
            return f"none late ({once})"
        name, seconds = max(self.late.items(), key=lambda found: found[1])
        return f"{len(self.late)} late, the last ({name}) {seconds:.1f} s after the storm ({once})"


def is_kept(node: TestNode, name: str) -> bool:
    return node.invoke({"n": name, "look": 1}, function="t/put").json() is True


def fates(node: TestNode, clients: Clients, names: set[str]) -> dict[str, object]:
    """Say what the node knows of calls that left nothing: by each id how its event stands."""
    found: dict[str, object] = {}
    for name in sorted(names):
        found[name] = "was answered with 200"
        for identity in clients.identities.get(name, ()):
            path = f"/functions/t/later/invocations/{identity}"
            found[name] = node.client.get(f"{node.url}/api/v1{path}").json()
    return {"dead letters": node.get("/functions/t/later/dead-letters")["letters"], **found}


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


def started_late(node: TestNode) -> int:
    """Start a node, again where the machine was too busy for it; return how often it was."""
    for late in range(STARTS):
        try:
            node.start()
        except RuntimeError as error:
            if LATE not in str(error).rsplit("Error: ", 1)[-1] or late == STARTS - 1:
                raise
        else:
            return late
    raise AssertionError


def storm(node: TestNode, kills: int, seed: int) -> None:
    node.deploy_project(MANIFEST, SOURCE)
    chosen = random.Random(seed)
    ended = late = 0
    victims: Counter[str] = Counter()
    turns = Turns(chosen)
    with Clients(node) as clients:
        for _ in range(kills):
            time.sleep(chosen.uniform(0.05, 0.8))
            alive = node.processes()
            # The supervisor's end is the node's: it is not a child like others.
            victim = alive[0] if chosen.random() < 0.15 else turns.next(alive[1:] or alive)
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
                node.wait_until(lambda left=left: not any(p.lives for p in left), 60)
                late += started_late(node)
        node.wait_until(lambda: clients._call("last", False)[0] == 200, CALL_SECONDS)
    ended_at = time.monotonic()
    assert clients.hung == 0
    assert len(clients.acknowledged) > kills
    twice = {name for name, found in clients.identities.items() if len(found) > 1}
    assert not twice, "an idempotency key was kept twice"
    sight = Sight(set(clients.acknowledged), lambda name: is_kept(node, name), ended_at)
    sight.until(LATE_SECONDS, LOOKS_AFTER)
    lost = sight.missing
    assert not lost, (
        f"{len(lost)} of {len(clients.acknowledged)} lost: {fates(node, clients, lost)}"
    )
    too_late = {name: seconds for name, seconds in sight.late.items() if seconds > SOON_SECONDS}
    assert not too_late or (sight.first or 0.0) > SOON_SECONDS, f"none lost, too late: {too_late}"
    tried, acknowledged = clients.operations
    recorded = recorded_operations(node)
    assert acknowledged <= recorded <= tried, (acknowledged, recorded, tried)
    verified = casemate(node, "journal", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    print(
        f"{kills} kills, {victims}, {acknowledged} of {tried} operations acknowledged and "
        f"{recorded} recorded, {len(clients.acknowledged)} acknowledged, {sight}, "
        f"slowest {clients.slowest:.1f} s, "
        f"the node ended by itself {ended} times, and was started again {late} times, being late"
    )


def test_each_kind_of_process_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {1: "gateway", 2: "vault", **dict.fromkeys(range(3, 40), "function")}
    monkeypatch.setitem(globals(), "name_of", kinds.__getitem__)
    turns = Turns(random.Random(5))
    had = Counter(kinds[turns.next(list(kinds))] for _ in range(30))
    assert had == {"gateway": 10, "vault": 10, "function": 10}


def test_processes_are_told_apart_by_what_they_are() -> None:
    """Not by what starts them: all of them had one turn together."""
    words = [sys.executable, "-c", "import time; time.sleep(60)", "casemate.child.bound", "7"]
    started = [
        subprocess.Popen([*words, f"casemate.{name}.process"]) for name in ("gateway", "vault")
    ]
    try:
        deadline = time.monotonic() + 10
        while "" in (names := {name_of(each.pid) for each in started}):
            assert time.monotonic() < deadline  # until the kernel shows what was started
    finally:
        for each in started:
            each.kill()
            each.wait()
    assert names == {"casemate.gateway.process", "casemate.vault.process"}


def test_what_is_late_is_told_from_what_is_lost() -> None:
    looks: Counter[str] = Counter()

    def look(name: str) -> bool:
        looks[name] += 1
        return name == "there" or (name == "late" and looks[name] > 2)

    sight = Sight({"there", "late", "lost"}, look, time.monotonic())
    sight.until(0.0, 4, pause=0.001)
    assert (sight.missing, list(sight.late)) == ({"lost"}, ["late"])
    assert looks == {"there": 1, "late": 3, "lost": 5}
    assert str(sight).startswith("1 late, the last (late) 0.0 s after the storm")


@pytest.mark.timeout(2 * LATE_SECONDS)
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
