"""Ctrl-C on a node in a terminal: calls that run are finished, and a second one ends at once."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from support.node import TestNode
from support.processes import process

SLOW = """
import time
def handler(event, context):
    time.sleep(event)
    return "done"
"""
CTRL_C = b"\x03"


class TerminalNode(TestNode):
    """A node that is the foreground job of a terminal of its own."""

    __test__ = False

    def start(self) -> TerminalNode:
        terminal, child = pty.openpty()
        self.terminal = terminal
        with self.errors.open("a") as stderr:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-c", LEADER, "serve", "--json", "--data", str(self.data)),
                    *("--port", "0", "--master-key", f"file:{self.master_key}"),
                ],
                stdin=child,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        os.close(child)
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        self.url, self.key = ready["url"], ready["key"]
        self.client.headers["authorization"] = f"Bearer {self.key}"
        return self

    def press(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        super().close()
        os.close(self.terminal)


LEADER = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from casemate.cli.main import main
main()
"""


@pytest.fixture
def terminal_node(tmp_path: Path) -> Iterator[TerminalNode]:
    node = TerminalNode(tmp_path / "data").start()
    yield node
    node.close()


class Calls:
    """Calls under way, each in a thread of its own."""

    def __init__(self, node: TestNode, seconds: list[float]) -> None:
        self.statuses: list[int] = []
        self._threads = [threading.Thread(target=self._call, args=(node, s)) for s in seconds]
        for thread in self._threads:
            thread.start()

    def _call(self, node: TestNode, seconds: float) -> None:
        headers = {"authorization": f"Bearer {node.key}"}
        try:
            answer = httpx2.post(
                f"{node.url}/invoke/t/f", json=seconds, headers=headers, timeout=30
            )
        except httpx2.HTTPError:
            self.statuses.append(0)
        else:
            self.statuses.append(answer.status_code)

    def wait(self) -> list[int]:
        for thread in self._threads:
            thread.join(40)
        return self.statuses


def none_below_is_in_its_group(node: TestNode) -> bool:
    """Tell whether Ctrl-C reaches the supervisor alone, which has the others end in their order."""
    assert node.process is not None
    group = os.getpgid(node.process.pid)
    below = [pid for pid in node.processes() if pid != node.process.pid]
    groups = []
    for pid in below:
        with contextlib.suppress(ProcessLookupError):  # one that served a call may just end
            groups.append(os.getpgid(pid))
    assert len(groups) > 4
    return group not in groups


def test_ctrl_c_finishes_running_calls_and_leaves_nothing(terminal_node) -> None:
    terminal_node.deploy(SLOW)
    assert terminal_node.invoke(0).status_code == 200
    assert none_below_is_in_its_group(terminal_node)
    alive = [process(p) for p in terminal_node.processes()]
    calls = Calls(terminal_node, [1.0, 1.5, 2.0, 2.0])
    time.sleep(0.7)
    terminal_node.press(CTRL_C)
    assert calls.wait() == [200] * 4
    assert terminal_node.process is not None
    assert terminal_node.process.wait(20) == 0
    terminal_node.wait_until(lambda: not any(p.lives for p in alive), 30)
    assert "running calls are finished first" in terminal_node.errors.read_text()


def test_a_second_ctrl_c_ends_at_once(terminal_node) -> None:
    terminal_node.deploy(SLOW, limits="timeout = '30s'")
    assert terminal_node.invoke(0).status_code == 200
    alive = [process(p) for p in terminal_node.processes()]
    calls = Calls(terminal_node, [20.0])
    terminal_node.wait_until(lambda: terminal_node.get("/node")["instances"] > 0)
    terminal_node.press(CTRL_C)
    terminal_node.wait_until(lambda: "finished first" in terminal_node.errors.read_text())
    started = time.monotonic()
    terminal_node.press(CTRL_C)
    assert terminal_node.process is not None
    assert terminal_node.process.wait(60) == 0
    assert time.monotonic() - started < 18, "it waited for the call"
    assert calls.wait() == [0]
    terminal_node.wait_until(lambda: not any(p.lives for p in alive), 30)
