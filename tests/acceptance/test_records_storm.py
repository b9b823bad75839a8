"""Processes are killed under load, some in quick succession and all at once.

What was answered is on record and billed, once, with its error and its lines.

CASEMATE_STORM_KILLS is how many processes the long form kills (200), all of a node counted as one;
CASEMATE_STORM_SEED is what chooses whom, so that runs add up (11).
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
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pytest
from test_kill_storm import started_late

from support.node import TestNode
from support.processes import Process, process

pytestmark = [pytest.mark.alone]

KILLS, STORM_KILLS = 2, int(os.environ.get("CASEMATE_STORM_KILLS", "200"))
STORM_SEED = int(os.environ.get("CASEMATE_STORM_SEED", "11"))
CALLERS = 4
CALL_SECONDS = 30.0
BETWEEN = 12
"""Calls that are answered between two strikes."""
WINDOW_SECONDS = 1
MAX_LISTED = 1000
ALL = "all"
"""Every process of the node, in any order, with no pause."""
SUPERVISOR = "supervisor"
OTHERS = ("gateway", "recorder", "monitor", "vault", "egress", "restorer")
STRIKES: Sequence[tuple[str, ...]] = (
    ("recorder", "gateway"),
    ("gateway", "recorder"),
    (ALL,),
    ("vault", "recorder", "gateway"),
    ("recorder", SUPERVISOR),
    ("gateway", "recorder", "recorder"),
    ("monitor", "recorder"),
    ("recorder", "gateway", SUPERVISOR),
    ("restorer", "egress", "gateway"),
    (SUPERVISOR, "recorder"),
)
"""Who is killed in one go; after these, some at random."""
PAUSES = (0.0, 0.0, 0.01, 0.05, 0.2, 0.6)
LINES = 3
MANIFEST = """
[project]
name = "t"
[function.f]
handler = "app:f"
"""
SOURCE = """
import os, time

def deep(n):
    if n:
        return deep(n - 1)
    raise ValueError("x" * 3000)

def f(event, context):
    what = event["what"]
    if what == "raise":
        deep(20)
    if what == "lines":
        for n in range(3):
            print(f"line {n} " + "y" * 900)
    if what == "sleep":
        time.sleep(0.03)
    if what == "exit":
        os._exit(3)
    return event["n"]
"""
MIX = ("answer", "raise", "answer", "lines", "sleep", "answer", "exit", "lines")
FAIL = {"raise", "exit"}


class Callers:
    """Call all the time, and keep what was answered by its id, with what it did."""

    def __init__(self, node: TestNode) -> None:
        self.answered: dict[str, str] = {}
        self.errors: list[str] = []
        self.others: Counter[int] = Counter()
        self._node = node
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(CALLERS)
        ]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * CALL_SECONDS)

    def _run(self, caller: int) -> None:
        number = caller
        while not self._stop.is_set():
            number += 1
            what = MIX[number % len(MIX)]
            status, identity, error = self.call(f"{caller}-{number}", what)
            if status == 200 and what not in FAIL:
                self.answered[identity] = what
            elif status in (500, 502) and what in FAIL:
                self.answered[identity] = what
                self.errors.append(error)
            else:
                self.others[status] += 1
                time.sleep(0.02)

    def call(self, name: str, what: str = "answer") -> tuple[int, str, str]:
        headers = {
            "authorization": f"Bearer {self._node.key}",
            "content-type": "application/json",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self._node.port, timeout=CALL_SECONDS)
        try:
            body = json.dumps({"n": name, "what": what})
            connection.request("POST", "/invoke/t/f", body, headers)
            answer = connection.getresponse()
            told = json.loads(answer.read())
            error = told.get("error_id", "") if isinstance(told, dict) else ""
            return answer.status, answer.headers.get("x-request-id", ""), error
        except (OSError, ValueError, http.client.HTTPException):
            return 0, "", ""
        finally:
            connection.close()


def victim(alive: Sequence[int], kind: str) -> int | None:
    """Return the process of a kind, if there is one just now."""
    if kind == SUPERVISOR:
        return alive[0]
    for pid in alive[1:]:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if f"casemate.{kind}.process" in words:
            return pid
    return None


def is_recording(node: TestNode) -> bool:
    """Tell whether records can be asked for."""
    try:
        return node.client.get(f"{node.url}/api/v1/usage").status_code == 200
    except httpx2.HTTPError:
        return False


class Striker:
    """Kills processes of a node, and starts it again once its supervisor is gone."""

    def __init__(self, node: TestNode, seed: int) -> None:
        self.killed: Counter[str] = Counter()
        self._node = node
        self._chosen = random.Random(seed)

    def strike(self, kinds: Sequence[str]) -> None:
        alive = self._node.processes()
        left: list[Process] = [process(each) for each in alive]
        if kinds == (ALL,):
            self._chosen.shuffle(alive)
            # Counted as one: most of them are instances.
            for each in alive:
                self._kill(each, "")
            self.killed[ALL] += 1
            self._start_again(left)
            return
        for kind in kinds:
            pid = victim(self._node.processes(), kind)
            if pid is not None:
                self._kill(pid, kind)
            time.sleep(self._chosen.choice(PAUSES))
        if SUPERVISOR in kinds:
            self._start_again(left)

    def random(self) -> tuple[str, ...]:
        """Return some kinds; one may be there twice."""
        kinds = (*OTHERS, "gateway", "recorder", SUPERVISOR)
        return tuple(self._chosen.choice(kinds) for _ in range(self._chosen.randint(2, 6)))

    def pause(self) -> None:
        time.sleep(self._chosen.choice(PAUSES))

    def _kill(self, pid: int, kind: str) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        if kind:
            self.killed[kind] += 1

    def _start_again(self, left: Sequence[Process]) -> None:
        self._node.stop(signal.SIGKILL)
        self._node.wait_until(lambda: not any(each.lives for each in left), 10)
        started_late(self._node)


def storm(node: TestNode, kills: int, seed: int) -> None:
    node.deploy_project(MANIFEST, SOURCE)
    striker, began = Striker(node, seed), time.time()
    with Callers(node) as callers:
        strikes = 0
        while sum(striker.killed.values()) < kills:
            # Some calls are answered between two strikes, however slow this machine is.
            before = len(callers.answered)
            until = time.monotonic() + CALL_SECONDS
            while len(callers.answered) < before + BETWEEN and time.monotonic() < until:
                time.sleep(0.02)
            striker.pause()
            striker.strike(STRIKES[strikes] if strikes < len(STRIKES) else striker.random())
            strikes += 1
        node.wait_until(lambda: callers.call("last")[0] == 200, 8 * CALL_SECONDS)
    node.wait_until(lambda: is_recording(node), 4 * CALL_SECONDS)
    require_all_once(node, callers, began, striker.killed)


def require_all_once(node: TestNode, callers: Callers, began: float, killed: Counter[str]) -> None:
    counted, refused = on_record(node, began)
    billed = sum(row["requests"] for row in node.get("/usage", project="t")["rows"])
    lost = [each for each in callers.answered if not counted[each]]
    doubled = [each for each, times in counted.items() if times > 1]
    unexplained = [each for each in callers.errors if not is_there(node, f"errors/{each}")]
    wrong = [
        each
        for each, what in callers.answered.items()
        if what == "lines" and lines_of(node, each) != LINES
    ]
    print(
        f"{sum(killed.values())} kills {dict(killed)}, {len(callers.answered)} answered, others "
        f"{dict(callers.others)}, {billed} billed, {len(lost)} lost, {len(doubled)} twice, "
        f"{len(unexplained)} of {len(callers.errors)} errors lost, {len(wrong)} with wrong lines"
    )
    assert not lost, f"{len(lost)} of {len(callers.answered)} answered calls are not on record"
    assert not doubled and not unexplained and not wrong
    # What was not answered may have run, and is billed then; what found no instance did not.
    assert billed == sum(counted.values()) - refused


def is_there(node: TestNode, path: str) -> bool:
    return node.client.get(f"{node.url}/api/v1/{path}").status_code == 200


def lines_of(node: TestNode, identity: str) -> int:
    answer = node.client.get(f"{node.url}/api/v1/logs", params={"invocation": identity})
    answer.raise_for_status()
    return len(answer.text.splitlines())


def on_record(node: TestNode, began: float) -> tuple[Counter[str], int]:
    """Return how often each invocation is on record, and how many ran no code."""
    counted: Counter[str] = Counter()
    refused = 0
    since = int(began) - WINDOW_SECONDS
    while since < time.time():
        until = since + WINDOW_SECONDS
        found = node.get("/invocations", since=since, until=until, limit=MAX_LISTED)["invocations"]
        assert len(found) < MAX_LISTED
        counted.update(each["id"] for each in found)
        refused += sum(not each["run_ms"] for each in found)
        since = until
    return counted, refused


def test_a_short_storm_of_what_was_answered(node: TestNode) -> None:
    storm(node, KILLS, 5)


@pytest.mark.storm
@pytest.mark.timeout(7200)
def test_what_was_answered_is_on_record_and_billed_once(fresh_node: TestNode) -> None:
    # Of its own: the bill is compared with what was called since this test began.
    storm(fresh_node, STORM_KILLS, STORM_SEED)
