"""What a zygote at rest has forked ahead becomes an instance like any other, of one event."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.kernel import machines
from support.node import TestNode
from support.processes import children, zygotes_of

HANDLER = """
import os, random, time

seen = []


def handler(event, context):
    seen.append(event["n"])
    time.sleep(event["hold"])
    held = []
    for number in range(256):
        try:
            os.fstat(number)
        except OSError:
            continue
        held.append(number)
    return {"seen": seen, "held": held, "tmp": os.listdir("/tmp"), "drawn": random.random(),
            "pid": os.getpid(), "group": os.getpgid(0), "session": os.getsid(0)}
"""
SAME = (
    *("Umask", "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"),
    *("NoNewPrivs", "Seccomp", "Seccomp_filters", "SigBlk", "SigIgn", "SigCgt", "Threads"),
)
"""Rows of proc_pid_status(5) that tell how a process is confined."""
CLOCK_NANOSLEEP = machines.current().calls["clock_nanosleep"]
SHARES_NODE = True
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at instances")


def _status(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def _zygote(node: TestNode) -> int:
    """Return the zygote of the node's only function once it has forked; 0 before."""
    assert node.process is not None
    return next((pid for pid in zygotes_of(node.process.pid) if children(pid)), 0)


def _told_of(pid: int) -> dict[str, object]:
    """Return how a process is confined, as the host sees it."""
    status = _status(pid)
    told: dict[str, object] = {name: status[name] for name in SAME}
    # Of its process, group and session how many namespaces deep they are, and their own numbers.
    for name in ("NStgid", "NSpgid", "NSsid"):
        numbers = status[name].split()
        told[name] = (len(numbers), numbers[-1])
    told["limits"] = Path(f"/proc/{pid}/limits").read_text()
    told["mounts"] = sorted(
        line.split()[4] for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    )
    return told


def _called(
    node: TestNode, zygote: int, number: int
) -> tuple[dict[str, object], int, dict[str, object]]:
    """Call once; return how it was confined meanwhile, its process, and its answer."""
    answers: list[dict[str, object]] = []

    def call() -> None:
        answers.append(node.invoke({"n": number, "hold": 0.7}, function="t/f").json())

    caller = threading.Thread(target=call)
    caller.start()
    pid = _wait_until(lambda: next(filter(_sleeps, children(zygote)), 0))
    told = _told_of(pid)
    caller.join(20)
    return told, pid, answers[0]


def _sleeps(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/syscall").read_text().startswith(f"{CLOCK_NANOSLEEP} ")
    return False


def _wait_until(found: Callable[[], int]) -> int:
    end = time.monotonic() + 30
    while not (pid := found()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return pid


def test_what_was_forked_ahead_is_confined_as_what_is_forked(node: TestNode) -> None:
    _wait_until(lambda: not _zygote(node))  # of an earlier function: it may just be ending
    node.deploy(HANDLER, name="f", settings='fresh = "process"')
    zygote = _wait_until(lambda: _zygote(node))
    (ahead,) = children(zygote)
    by_ahead, pid, first = _called(node, zygote, 1)
    assert pid == ahead
    forked, pid, second = _called(node, zygote, 2)
    assert pid != ahead
    assert by_ahead == forked
    assert (first.pop("seen"), second.pop("seen")) == ([1], [2])
    assert first.pop("drawn") != second.pop("drawn")
    assert first == second
