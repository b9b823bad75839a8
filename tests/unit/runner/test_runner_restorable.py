"""What an instance does to be restored: its offer, its room, its new seeds."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest

from casemate.kernel import userfault
from casemate.runner import restorable

IN_CHILD = """
import os, resource, sys
from casemate.runner import restorable
kept = restorable.make_room()
def size():
    return int(open("/proc/self/statm").read().split()[0])
before = []
def work(depth):
    return [depth, work(depth - 1)] if depth else [str(n) * 9 for n in range(5000)]
def run():
    before.append(size())
    result = work(150)
    blob = bytes(2_000_000)
    before.append(size())
restorable.with_room_for_frames(run)
print(before[1] - before[0])
"""


def test_ordinary_work_maps_no_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_CHILD], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) == 0


@pytest.mark.parametrize(("answer", "held"), [(b"y", True), (b"n", False), (b"", False)])
def test_an_offer_is_taken_or_not(answer: bytes, held: bool) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(10)
    told: list[bool] = []
    thread = threading.Thread(target=lambda: told.append(restorable.offer(theirs.detach())))
    thread.start()
    data, descriptors, _, _ = socket.recv_fds(ours, 10, 4)
    assert data == restorable.WATCH and len(descriptors) == 1
    if answer:
        ours.send(answer)
    ours.close()
    thread.join(10)
    assert told == [held]


def test_without_the_kernel_s_help_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def create() -> int:
        raise OSError(22, "invalid")

    monkeypatch.setattr(userfault, "create", create)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        assert not restorable.offer(theirs.detach())
        assert ours.recv(10) == b""
