"""What invocations leave behind is with the recorder: nothing lost, nothing twice, out of reach."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.model.processes import RECORDER_UID
from support.cli import casemate
from support.node import TestNode
from support.processes import memory

SPEAKER = """
def handler(event, context):
    print(f"line of {event}")
    return event
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("node") / "data").start()
    node.deploy(SPEAKER)
    yield node
    node.close()


def texts(node: TestNode, **query: object) -> list[str]:
    """Return the texts of log lines, oldest first."""
    asked = {"limit": "10000", **{name: str(value) for name, value in query.items()}}
    answer = node.client.get(f"{node.url}/api/v1/logs", params=asked)
    assert answer.status_code == 200, answer.text
    return [json.loads(line)["text"] for line in answer.text.splitlines() if line]


def test_kills_of_the_recorder_lose_and_double_no_record(node: TestNode) -> None:
    """Also of calls that are answered while there is none."""
    answered: list[str] = []
    stop = threading.Event()

    def call(name: str) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            event = f"{name}-{number}"
            if node.invoke(event).status_code == 200:
                answered.append(event)
            time.sleep(0.01)  # as many as one question answers

    callers = [threading.Thread(target=call, args=(name,)) for name in ("a", "b")]
    for caller in callers:
        caller.start()
    killed = 0
    try:
        for round_ in range(14):
            time.sleep(0.05 + 0.07 * round_)
            recorder = node.part("recorder")
            if recorder is None:
                continue  # another one has not been started yet
            with contextlib.suppress(ProcessLookupError):
                os.kill(recorder, signal.SIGKILL)
                killed += 1
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert killed >= 8
    assert len(answered) > 50
    node.wait_until(lambda: node.get("/health")["status"] == "ok", 30)
    found = Counter(texts(node))
    assert [event for event in answered if found[f"line of {event}"] != 1] == []
    assert node.get("/node")["lost_records"] == 0


def test_a_killed_gateway_loses_no_record_that_was_shown(node: TestNode) -> None:
    assert node.invoke("shown").status_code == 200
    assert "line of shown" in texts(node)
    node.stop(signal.SIGKILL)
    node.start()
    assert texts(node, search="of shown") == ["line of shown"]


@pytest.mark.skipif(os.geteuid() != 0, reason="the users differ only where root starts the node")
def test_the_file_belongs_to_the_recorder_s_user_and_the_key_to_nobody_else(
    node: TestNode,
) -> None:
    file = node.data / "journal" / "records" / "records.db"
    assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (RECORDER_UID, 0o600)
    assert (node.data / "journal").stat().st_mode & 0o777 == 0o700
    assert node.data.stat().st_mode & 0o777 == 0o700
    assert memory(node.part("recorder"), "VmRSS") < 60 << 20


@pytest.mark.storm
def test_a_backup_holds_the_records(node: TestNode, tmp_path: Path) -> None:
    assert node.invoke("kept in a backup").status_code == 200
    archive = tmp_path / "node.tar"
    assert casemate(node, "backup", str(archive)).returncode == 0
    key = ("--master-key", f"file:{node.master_key}")
    done = casemate(node, "restore", str(archive), "--data", str(tmp_path / "again"), *key)
    assert done.returncode == 0, done.stderr
    again = TestNode(tmp_path / "again", "--master-key", f"file:{node.master_key}")
    again.key = node.key
    try:
        again.start()
        assert texts(again, search="in a backup") == ["line of kept in a backup"]
        assert again.invoke("later").status_code == 200
        assert "line of later" in texts(again)
    finally:
        again.close()


def test_rotated_keys_reach_the_records(node: TestNode) -> None:
    file = node.data / "journal" / "records" / "records.db"
    before = file.read_bytes()[:4096]
    answer = node.client.post(f"{node.url}/api/v1/vault/rotate", json={"key": "data"}, timeout=60)
    assert answer.status_code == 200, answer.text
    assert file.read_bytes()[:4096] != before
    assert "line of shown" in texts(node)
    node.stop()
    node.start()
    assert "line of shown" in texts(node)
