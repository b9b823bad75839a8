"""What a process holds: what is its own counts whole, what it shares in part."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from casemate.sandbox.proportional_memory import proportional_memory, zygote_memory

MIB = 1 << 20


@contextmanager
def forked(own: int = 0) -> Iterator[int]:
    """Yield the pid of a fork that has written so many bytes of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        # Not of the heap, of which the parent may have pages that nobody uses any more.
        held = mmap.mmap(-1, max(own, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        piece = os.urandom(MIB)
        for _ in range(own // MIB):
            held.write(piece)
        os.write(writing, b"1")
        signal.pause()
        os._exit(len(held) and 0)
    try:
        os.read(reading, 1)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)


def test_own_pages_count_whole() -> None:
    with forked() as plain, forked(own=30 * MIB) as large:
        # Much more where the process that runs the tests is large: what the two of them have
        # written since differs.
        assert 29 * MIB < proportional_memory(large) - proportional_memory(plain) < 80 * MIB


def test_shared_pages_count_in_part() -> None:
    shared = bytearray(os.urandom(MIB) * 40)
    with forked() as one:
        alone = proportional_memory(one)
        with forked(), forked(), forked():
            assert proportional_memory(one) < alone - 5 * MIB
    assert len(shared) == 40 * MIB


def test_a_zygote_counts_with_its_init() -> None:
    with forked() as pid:
        apart = proportional_memory(pid) + proportional_memory(os.getpid())
        assert zygote_memory(pid) == pytest.approx(apart, rel=0.05)


IN_CHILD = """
import os, sys, time
from casemate.kernel import linux
linux.die_with_parent()
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        linux.die_with_parent()
        held = bytearray(b"x") * (30 << 20)
        os.write(1, b"1")
        time.sleep(60)
        os._exit(0)
os.write(1, b"0")
time.sleep(60)
"""


@pytest.mark.parametrize(("children", "counted"), [(0, 0), (1, 30), (2, 0)])
def test_what_a_zygote_at_rest_has_forked_ahead_counts(children: int, counted: int) -> None:
    """It has one such process; more are instances, which are metered by themselves."""
    command = [sys.executable, "-c", IN_CHILD, str(children)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.read(1 + children)
            own = proportional_memory(process.pid) + proportional_memory(os.getpid())
            more = zygote_memory(process.pid) - own
            assert (counted - 5) * MIB < more < (counted + 15) * MIB
        finally:
            process.kill()


def test_a_process_that_has_ended_holds_nothing_that_could_be_told() -> None:
    with forked() as pid:
        pass
    with pytest.raises(OSError):
        proportional_memory(pid)


def test_a_table_without_the_figure_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (b"", b"Pss:\n", b"Pss: x kB\n", b"Pss_Anon: 4 kB\n"):
        monkeypatch.setattr(os, "read", lambda _fd, _n, text=text: text)
        with pytest.raises(OSError, match="does not tell"):
            proportional_memory(os.getpid())
