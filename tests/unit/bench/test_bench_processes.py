"""Process trees: found, weighed and ended, orphans included."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench.client import Endpoint
from bench.errors import StartError
from bench.processes import ProcessId, alive, descendants, kill, pss, tree
from bench.servers import Server, clean_environment, first_answer, free_port

TREE = """
import signal, subprocess, sys, time
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"], start_new_session=True)
print("ready", flush=True)
time.sleep(60)
"""


def server(tmp_path: Path, mode: str = "obedient") -> Server:
    command = [sys.executable, "-c", TREE, mode]
    found = Server(command, env=clean_environment(), folder=tmp_path, log=tmp_path / "log")
    end = time.monotonic() + 10
    while "ready" not in found.tail() and time.monotonic() < end:
        time.sleep(0.01)
    return found


def test_tree_holds_the_children(tmp_path: Path) -> None:
    running = server(tmp_path)
    try:
        found = running.processes()
        assert len(found) == 2
        assert set(found) <= set(descendants(os.getpid()))
        assert pss(found) > pss(found[1:]) > 0
        assert not running.ended()
    finally:
        running.stop()


def test_stop_ends_the_whole_tree(tmp_path: Path) -> None:
    running = server(tmp_path)
    found = running.processes()
    running.stop()
    running.stop()
    assert running.ended()
    assert not any(alive(identity) for identity in found)


def test_stop_ends_one_that_ignores_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.servers.GRACE", 0.2)
    running = server(tmp_path, "stubborn")
    found = running.processes()
    running.stop()
    assert not any(alive(identity) for identity in found)


def test_another_process_with_the_same_number_is_not_killed() -> None:
    process = subprocess.Popen(["sleep", "60"])
    try:
        identity = tree(process.pid)[0]
        kill([ProcessId(identity.pid, identity.started - 1)])
        assert process.poll() is None
        kill([identity])
        assert process.wait(5) == -9
    finally:
        process.kill()
        process.wait()


def test_a_process_that_has_ended_weighs_nothing() -> None:
    process = subprocess.Popen(["true"])
    identity = ProcessId(process.pid, 0)
    process.wait()
    assert pss([identity]) == 0
    assert tree(process.pid) == []


def test_a_server_that_ends_is_reported_with_its_output(tmp_path: Path) -> None:
    code = "import sys; sys.exit('no such function')"
    failing = Server(
        [sys.executable, "-c", code],
        env=clean_environment(),
        folder=tmp_path,
        log=tmp_path / "log",
    )
    try:
        with pytest.raises(StartError, match="no such function"):
            first_answer(failing, Endpoint(port=free_port()), timeout=10)
    finally:
        failing.stop()
