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


HAD = """
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = (ctypes.c_void_p,)
pieces = [libc.malloc(ctypes.c_size_t(100_000)) for _ in range({0})]
for piece in pieces:
    libc.free(piece)
"""
"""Leaves the heap so much room beforehand, some of which is not where it ends."""
TAKES = """
before = size()
pieces = [libc.malloc(ctypes.c_size_t(100_000)) for _ in range(25)]
print(size() - before)
"""


def in_child(code: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return int(done.stdout.split()[-1])


def test_ordinary_work_maps_no_memory() -> None:
    assert in_child(IN_CHILD) == 0


@pytest.mark.parametrize("had", range(0, 40, 3))
def test_the_heap_has_its_room_whatever_it_had(had: int) -> None:
    """Before: one that had a quarter of a megabyte left was taken to have all of it."""
    assert in_child(HAD.format(had) + IN_CHILD + TAKES) == 0


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
