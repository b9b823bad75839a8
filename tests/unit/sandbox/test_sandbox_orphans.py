"""What a killed node leaves of a base zygote that was just starting is ended by the next node."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from casemate.sandbox.base_process import BOOT
from casemate.sandbox.orphans import end_orphans

pytestmark = pytest.mark.sandbox
Starting = tuple[subprocess.Popen[bytes], int, int]
"""bubblewrap, a handle of its child, and what both wait for until it is closed."""


def start(program: str) -> Starting:
    info_read, info_write = os.pipe()
    block_read, block_write = os.pipe()
    bwrap = [str(shutil.which("bwrap")), "--unshare-user", "--unshare-pid", "--die-with-parent"]
    waits = ["--info-fd", str(info_write), "--userns-block-fd", str(block_read)]
    process = subprocess.Popen(
        [*bwrap, *waits, "--ro-bind", "/", "/", sys.executable, "-c", program, "3"],
        pass_fds=(info_write, block_read),
    )
    os.close(info_write)
    with open(info_read, "rb") as file:
        child = int(json.loads(file.read())["child-pid"])
    os.close(block_read)
    return process, os.pidfd_open(child), block_write


def has_ended(handle: int, seconds: float = 0.0) -> bool:
    return bool(select.select([handle], [], [], seconds)[0])


@pytest.fixture
def started() -> Iterator[list[Starting]]:
    made: list[Starting] = []
    yield made
    for process, handle, blocked in made:
        process.kill()
        process.wait()
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)
        os.close(blocked)


def test_what_waits_for_a_killed_node_is_ended(started: list[Starting]) -> None:
    started.append(start(BOOT))
    process, child, _ = started[0]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not has_ended(child, 0.5), "bubblewrap ends it by itself"
    assert end_orphans() >= 1
    assert has_ended(child, 5)


def test_others_are_left_alone(started: list[Starting]) -> None:
    """One whose bubblewrap is there, and one of somebody else's."""
    whole, of_others = start(BOOT), start("pass")
    started += [whole, of_others]
    of_others[0].send_signal(signal.SIGKILL)
    of_others[0].wait()
    os.kill(whole[0].pid, signal.SIGSTOP)
    end_orphans()
    assert not has_ended(whole[1], 0.3) and not has_ended(of_others[1], 0.3)
