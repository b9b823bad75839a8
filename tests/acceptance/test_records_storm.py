"""Processes are killed under load, one at a time: each answered call is on record and billed, once.

One at a time: the next is killed when the recorder is back (ADR 0119 says what is lost else).

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

import httpx2
import pytest

from support.node import TestNode
from support.processes import process

pytestmark = [pytest.mark.alone, pytest.mark.storm]

STORM_KILLS = int(os.environ.get("CASEMATE_STORM_KILLS", "200"))
CALLERS = 4
CALL_SECONDS = 30.0
BETWEEN = 12
"""Calls that are answered between two kills."""
KINDS = (
    "casemate.gateway.process",
    "casemate.recorder.process",
    "casemate.monitor.process",
    "casemate.vault.process",
    "casemate.egress.process",
    "casemate.restorer.process",
    "",
)
"""By their modules; the empty one is the supervisor, whose end is the node's."""
MANIFEST = """
[project]
name = "t"
[function.f]
handler = "app:f"
"""
SOURCE = """
def f(event, context):
    return event["n"]
"""


class Callers:
    """Call all the time, and keep what was answered by its id."""

    def __init__(self, node: TestNode) -> None:
        self.answered: list[str] = []
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
        number = 0
        while not self._stop.is_set():
            number += 1
            status, identity = self.call(f"{caller}-{number}")
            if status == 200:
                self.answered.append(identity)
            else:
                self.others[status] += 1
                time.sleep(0.02)

    def call(self, name: str) -> tuple[int, str]:
        headers = {
            "authorization": f"Bearer {self._node.key}",
            "content-type": "application/json",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self._node.port, timeout=CALL_SECONDS)
        try:
            connection.request("POST", "/invoke/t/f", json.dumps({"n": name}), headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers.get("x-request-id", "")
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()


def victim(node: TestNode, kind: str) -> int | None:
    """Return the process of a kind, if there is one just now."""
    alive = node.processes()
    if not kind:
        return alive[0]
    for pid in alive[1:]:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if kind in words:
            return pid
    return None


def is_recording(node: TestNode) -> bool:
    """Tell whether records can be asked for."""
    try:
        return node.client.get(f"{node.url}/api/v1/usage").status_code == 200
    except httpx2.HTTPError:
        return False


def is_on_record(node: TestNode, identity: str) -> bool:
    return node.client.get(f"{node.url}/api/v1/invocations/{identity}").status_code == 200


def storm(node: TestNode, kills: int, seed: int) -> None:
    node.deploy_project(MANIFEST, SOURCE)
    chosen = random.Random(seed)
    killed: Counter[str] = Counter()
    with Callers(node) as callers:
        for number in range(kills):
            # Some calls are answered between two kills, however slow this machine is.
            before = len(callers.answered)
            until = time.monotonic() + CALL_SECONDS
            while len(callers.answered) < before + BETWEEN and time.monotonic() < until:
                time.sleep(0.02)
            node.wait_until(lambda: is_recording(node), CALL_SECONDS)
            time.sleep(chosen.uniform(0.0, 0.3))
            kind = KINDS[number % len(KINDS)]
            pid = victim(node, kind)
            if pid is None:
                continue
            killed[kind.split(".")[1] if kind else "supervisor"] += 1
            alive = node.processes()
            os.kill(pid, signal.SIGKILL)
            assert node.process is not None
            if not kind:
                left = [process(each) for each in alive]
                node.stop(signal.SIGKILL)
                node.wait_until(lambda left=left: not any(each.lives for each in left), 10)
                node.start()
        node.wait_until(lambda: callers.call("last")[0] == 200, CALL_SECONDS)
    node.wait_until(lambda: node.client.get(f"{node.url}/api/v1/usage").status_code == 200, 20)
    lost = [each for each in callers.answered if not is_on_record(node, each)]
    billed = sum(row["requests"] for row in node.get("/usage", project="t")["rows"])
    made = len(callers.answered) + sum(callers.others.values()) + 1
    print(
        f"{killed}, {len(callers.answered)} answered, {callers.others}, {billed} billed, "
        f"{len(lost)} lost"
    )
    assert not lost, f"{len(lost)} of {len(callers.answered)} answered calls are not on record"
    # What was not answered may have run: it is billed once, or not at all.
    assert len(callers.answered) <= billed <= made


@pytest.mark.timeout(7200)
def test_what_was_answered_is_on_record_and_billed_once(node: TestNode) -> None:
    storm(node, STORM_KILLS, 11)
