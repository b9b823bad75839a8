"""Whatever dies, no function gets to answer for its own system calls, and none is let through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.drills import ATTACKER
from support.attacks import SYSTEM_CALL, attempt, denials
from support.node import TestNode
from support.processes import children, gateway_of, zygotes_of

HERE = Path(__file__).parent
SOURCE = HERE.parent / "functions" / "attacks" / "listener.py"
WON = ("io_uring", "userfaultfd", "seccomp notify")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="looks into the processes of functions")


def below(pid: int) -> list[int]:
    found, todo = [], [pid]
    while todo:
        for child in children(todo.pop()):
            found.append(child)
            todo.append(child)
    return found


def got(node: TestNode) -> list[str]:
    """Return what processes of functions hold that their filter is to refuse."""
    assert node.process is not None
    found = []
    for zygote in zygotes_of(node.process.pid):
        for pid in below(zygote):
            try:
                # An instance that is restored has one of its own until it is locked down.
                own = ("userfaultfd",) if node.restores else ()
                names = [os.readlink(p) for p in Path(f"/proc/{pid}/fd").iterdir()]
            except OSError:
                continue
            won = set(WON) - set(own)
            found += [name for name in names if any(each in name for each in won)]
    return found


def waiting(node: TestNode) -> int:
    """Return how many processes of functions there are."""
    assert node.process is not None
    return sum(len(below(zygote)) for zygote in zygotes_of(node.process.pid))


def call(node: TestNode, seconds: float) -> threading.Thread:
    def invoke() -> None:
        try:
            node.client.post(f"{node.url}/invoke/t/listener", json={"seconds": seconds})
        except Exception:
            return

    thread = threading.Thread(target=invoke)
    thread.start()
    return thread


def deploy(node: TestNode) -> None:
    limits = 'timeout = "30s"\nprocesses = 64'
    node.deploy(SOURCE.read_text(), name="listener", limits=limits)


def test_a_gateway_that_dies_leaves_no_listener_to_take(fresh_node: TestNode) -> None:
    """With a supervisor that is stopped meanwhile, so that the function has all the time."""
    node = fresh_node
    deploy(node)
    assert node.process is not None
    gateway = gateway_of(node.process.pid)
    assert gateway is not None
    thread = call(node, 20)
    node.wait_until(lambda: waiting(node) >= 5)
    assert got(node) == []
    os.kill(node.process.pid, signal.SIGSTOP)
    try:
        os.kill(gateway, signal.SIGKILL)
        node.wait_until(lambda: waiting(node) >= 13)
        time.sleep(0.5)
        assert got(node) == []
    finally:
        os.kill(node.process.pid, signal.SIGCONT)
    thread.join()


def storm(node: TestNode, delay: Callable[[int], float], rounds: int) -> None:
    """Kill the gateway again and again, at another moment of a call each time."""
    assert node.process is not None
    deploy(node)
    for number in range(rounds):
        node.wait_until(lambda: gateway_of(node.process.pid) is not None, 40)
        thread = call(node, 5)
        end = time.monotonic() + delay(number)
        while time.monotonic() < end:
            assert got(node) == []
        gateway = gateway_of(node.process.pid)
        if gateway is not None:
            os.kill(gateway, signal.SIGKILL)
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            assert got(node) == []
        thread.join()


def test_a_gateway_is_killed_at_some_moments(fresh_node: TestNode) -> None:
    storm(fresh_node, lambda number: 0.04 + number * 0.05, 3)


@pytest.mark.storm
@pytest.mark.timeout(900)
def test_a_gateway_is_killed_at_every_moment(fresh_node: TestNode) -> None:
    storm(fresh_node, lambda number: number * 0.012, 25)


LAUNCHER = """
import os, sys
sys.path.insert(0, "src")
from casemate.kernel import linux, seccomp
linux.set_no_new_privileges()
outside = linux.PreparedFilter(seccomp._encode([seccomp._allow()])).install_with_listener()
os.set_inheritable(outside, True)
os.execv(sys.executable, [sys.executable, "-m", "casemate.cli.main", *sys.argv[1:]])
"""


class WatchedNode(TestNode):
    """A node below something that has the listener of all filters, as in some containers."""

    launcher = (sys.executable, "-c", LAUNCHER)


@pytest.mark.storm
def test_where_somebody_else_has_the_listener_calls_are_refused_all_the_same(
    tmp_path: Path,
) -> None:
    node = WatchedNode(tmp_path / "data").start()
    try:
        node.deploy(ATTACKER.read_text(), name="attack", unguarded=True)
        for name in ("ptrace-traceme", "bpf", "io-uring-setup", "userfaultfd"):
            tried = attempt(node, "t/attack", {"attack": "call", "name": name})
            assert tried.errno == 1
        assert denials(node, kind=SYSTEM_CALL, seconds=0.5) == []
        assert "refused but not recorded" in node.errors.read_text()
    finally:
        node.close()
    done = subprocess.run(
        [*WatchedNode.launcher, "doctor"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=HERE.parents[1],
    )
    assert done.returncode == 1
    assert "are refused, but not recorded" in done.stdout
