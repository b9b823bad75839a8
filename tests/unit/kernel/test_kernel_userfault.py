"""Pages that were written are found, in this process and in another; what is not watched fails."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from casemate.kernel import userfault
from casemate.kernel.pagemap import PAGE, Scanner, SpanScan, TooManyPagesError, UnwatchedError

PAGES = 600


@dataclass
class Watched:
    area: mmap.mmap
    start: int
    uffd: int
    scanner: Scanner

    @property
    def end(self) -> int:
        return self.start + PAGES * PAGE

    def written(self, most: int = PAGES) -> list[tuple[int, int]]:
        found = self.scanner.written(self.start, self.end, most)
        return [((a - self.start) // PAGE, (b - self.start) // PAGE) for a, b in found]


@pytest.fixture
def watched() -> Iterator[Watched]:
    area = mmap.mmap(-1, PAGES * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    uffd = userfault.create()
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    userfault.watch(uffd, start, start + PAGES * PAGE)
    yield Watched(area, start, uffd, Scanner(pagemap))
    os.close(uffd)
    os.close(pagemap)


def test_written_pages_are_found_touched_before_or_not(watched: Watched) -> None:
    watched.area[5 * PAGE] = 1
    userfault.protect(watched.uffd, watched.start, watched.end)
    assert watched.written() == []
    watched.area[5 * PAGE] = 2
    watched.area[7 * PAGE + 3] = 2
    watched.area[8 * PAGE] = 2
    assert watched.area[20 * PAGE] == 0  # read, not written
    assert watched.written() == [(5, 6), (7, 9)]
    assert watched.written() == [(5, 6), (7, 9)]
    userfault.protect(watched.uffd, watched.start, watched.end)
    assert watched.written() == []


def test_many_single_pages_are_found(watched: Watched) -> None:
    userfault.protect(watched.uffd, watched.start, watched.end)
    for page in range(0, PAGES, 2):
        watched.area[page * PAGE] = 1
    assert watched.written() == [(page, page + 1) for page in range(0, PAGES, 2)]


def test_more_than_is_taken_is_an_error(watched: Watched) -> None:
    userfault.protect(watched.uffd, watched.start, watched.end)
    for page in range(10):
        watched.area[page * PAGE] = 1
    assert watched.written(10) == [(0, 10)]
    with pytest.raises(TooManyPagesError):
        watched.written(9)


def test_what_the_kernel_writes_is_found(watched: Watched) -> None:
    userfault.protect(watched.uffd, watched.start, watched.end)
    with open("/dev/zero", "rb", buffering=0) as file:
        file.readinto(memoryview(watched.area)[3 * PAGE : 4 * PAGE])
    assert watched.written() == [(3, 4)]


def test_memory_that_is_not_watched_fails(watched: Watched) -> None:
    other = mmap.mmap(-1, PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(other))
    with pytest.raises(UnwatchedError):
        watched.scanner.written(start, start + PAGE, 1)


def test_memory_mapped_anew_in_its_place_fails(watched: Watched) -> None:
    userfault.protect(watched.uffd, watched.start, watched.end)
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    libc.mmap(watched.start + 9 * PAGE, PAGE, 3, 0x32, -1, 0)
    with pytest.raises(UnwatchedError):
        watched.written()


def test_all_ranges_are_scanned_at_once(watched: Watched) -> None:
    start = watched.start
    userfault.protect(watched.uffd, start, watched.end)
    # What lies between them and is watched is found as well; what is not watched is not.
    span = SpanScan(watched.scanner, [(start, start + PAGE), (watched.end - PAGE, watched.end)], 9)
    nothing = span.written()
    assert nothing == [] and span.written() is nothing
    watched.area[0] = watched.area[1 * PAGE] = watched.area[7 * PAGE] = 1
    found = span.written()
    assert found == [(start, start + 2 * PAGE), (start + 7 * PAGE, start + 8 * PAGE)]
    assert span.written() is found
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    libc.mmap(start + 7 * PAGE, PAGE, 3, 0x32, -1, 0)
    watched.area[7 * PAGE] = 1
    assert span.written() == [(start, start + 2 * PAGE)]
    with pytest.raises(UnwatchedError):
        watched.written()


@pytest.mark.parametrize("step", [1, 2])
def test_a_span_has_more_than_is_taken(watched: Watched, step: int) -> None:
    userfault.protect(watched.uffd, watched.start, watched.end)
    span = SpanScan(watched.scanner, [(watched.start, watched.end)], 10)
    for page in range(0, 10 * step, step):
        watched.area[page * PAGE] = 1
    assert sum(last - first for first, last in span.written()) == 10 * PAGE
    for page in (11 * step, PAGES - 1):
        watched.area[page * PAGE] = 1
        with pytest.raises(TooManyPagesError):
            span.written()


@pytest.mark.parametrize("runs", [511, 512, 513, 1024, 1500])
def test_pages_in_more_pieces_than_the_kernel_tells_at_once(runs: int) -> None:
    """Before: from 513 on it was taken for too many, whatever the bound."""
    area = mmap.mmap(-1, (2 * runs + 2) * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    uffd = userfault.create()
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    try:
        userfault.watch(uffd, start, start + len(area))
        userfault.protect(uffd, start, start + len(area))
        span = SpanScan(Scanner(pagemap), [(start, start + len(area))], runs)
        for page in range(runs):
            area[2 * page * PAGE] = 1
        expected = [(start + 2 * n * PAGE, start + (2 * n + 1) * PAGE) for n in range(runs)]
        found = span.written()
        assert found == expected and span.written() is found
        area[-1] = 1
        with pytest.raises(TooManyPagesError):
            span.written()
    finally:
        os.close(pagemap)
        os.close(uffd)


def test_one_descriptor_alone_can_watch(watched: Watched) -> None:
    second = userfault.create()
    try:
        with pytest.raises(OSError) as caught:
            userfault.watch(second, watched.start, watched.end)
        assert caught.value.errno == errno.EBUSY
    finally:
        os.close(second)


def test_another_process_is_watched_by_its_own_descriptor() -> None:
    code = """
import ctypes, mmap, os, socket, sys
from casemate.kernel import userfault
area = mmap.mmap(-1, 4096 * 4, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
start = ctypes.addressof(ctypes.c_char.from_buffer(area))
sock = socket.socket(fileno=int(sys.argv[1]))
descriptor = userfault.create()
socket.send_fds(sock, [start.to_bytes(8, "little")], [descriptor])
os.close(descriptor)
sock.recv(1)
area[2 * 4096] = 1
sock.send(b"x")
sock.recv(1)
"""
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
        data, [uffd], _, _ = socket.recv_fds(ours, 8, 1)
        start = int.from_bytes(data, "little")
        pagemap = os.open(f"/proc/{process.pid}/pagemap", os.O_RDONLY)
        userfault.watch(uffd, start, start + 4 * PAGE)
        userfault.protect(uffd, start, start + 4 * PAGE)
        scanner = Scanner(pagemap)
        assert scanner.written(start, start + 4 * PAGE, 4) == []
        ours.send(b"g")
        assert ours.recv(1) == b"x"
        place = start + 2 * PAGE
        assert scanner.written(start, start + 4 * PAGE, 4) == [(place, place + PAGE)]
        ours.send(b"e")
        assert process.wait(20) == 0
        # A process that has ended has no memory to be watched, and nothing in it was written: some
        # kernels say that there is none, others that there is nothing.
        with contextlib.suppress(OSError):
            assert scanner.written(start, start + 4 * PAGE, 4) == []
        with pytest.raises(OSError):
            userfault.watch(uffd, start, start + 4 * PAGE)
        os.close(uffd)
        os.close(pagemap)
