"""What code could prepare that runs in a process before its snapshot, to keep something after it.

A hostile import can run there (`trust = "low"` has it run nowhere else). What it can prepare that a
call can change, and that is neither set back nor compared, is a place that the next call reads.
"""

from __future__ import annotations

import pytest

from casemate.restorer import tracee
from casemate.restorer.reasons import DiscardError, Reason
from support.restored import Restored

pytestmark = pytest.mark.timeout(120)

DESCRIPTORS = {
    "memory as standard input": "f = os.memfd_create('x'); os.dup2(f, 0); os.close(f)",
    "a counter as standard input": "f = raw('eventfd2', 0, 0o4000); os.dup2(f, 0); os.close(f)",
    "a pipe of its own": (
        "r, w = os.pipe(); os.dup2(r, 0); os.dup2(w, 1); [os.close(n) for n in (r, w)]"
    ),
    "the two ends of a pipe as its outputs": (
        "r, w = os.pipe(); os.dup2(r, 1); os.dup2(w, 2); [os.close(n) for n in (r, w)]"
    ),
    "a pair of sockets": (
        "a, b = socket.socketpair(); os.dup2(a.fileno(), 0); os.dup2(b.fileno(), 1);"
        "a.close(); b.close()"
    ),
    "a folder as standard input": "f = os.open('/usr', 0); os.dup2(f, 0); os.close(f)",
    "a file of /tmp without a name": (
        "f = os.open('/tmp', os.O_TMPFILE | os.O_RDWR); os.dup2(f, 0); os.close(f)"
    ),
    "a timer as an output": "f = raw('timerfd_create', 1, 0); os.dup2(f, 2); os.close(f)",
}


@pytest.mark.parametrize("row", DESCRIPTORS)
def test_what_its_own_descriptors_lead_to_is_looked_at(row: str) -> None:
    child = Restored(prepare=DESCRIPTORS[row], tmp=True)
    try:
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason in (Reason.FILES, Reason.TMP)
    finally:
        child.close()


SET = {
    # How far a peek looks goes back with all that is read: it would count what calls are sent.
    "where its socket is peeked at": "raw('setsockopt', 3, 1, 42, VALUE, 4)",
    "the buffer of its socket": "raw('setsockopt', 3, 1, 8, VALUE, 4)",
    "who hears of its socket": "raw('fcntl', 3, 8, os.getpid())",
    "its socket without blocking, and back": "raw('fcntl', 3, 4, 0o4000), raw('fcntl', 3, 4, 2)",
    "a duplicate of its socket": "os.close(os.dup(3))",
    "a duplicate of its output": "os.dup2(1, 9); os.close(9)",
    "a descriptor sent by its socket": "socket.send_fds(sock, [b''], [0])",
    "a direction closed": "raw('shutdown', 3, 9)",
    "a peek": "raw('recvfrom', 3, VALUE, 1, 0x42, 0, 0)",
}


@pytest.mark.parametrize("row", SET)
def test_what_is_done_to_its_own_descriptors_before_costs_it_its_use(row: str) -> None:
    value = "VALUE = ctypes.create_string_buffer((100_000).to_bytes(4, 'little'))"
    child = Restored(prepare=f"{value}\n{SET[row]}")
    try:
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason in (Reason.CALL, Reason.FILES)
    finally:
        child.close()


def test_calls_without_end_before_the_snapshot_have_to_wait_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracee, "_FREE_BEFORE", 200)
    child = Restored(prepare="[raw('munmap', 0x200000000000, 4096) for _ in range(300)]")
    try:
        assert child.late >= 50
        with pytest.raises(DiscardError):
            child.ready()
    finally:
        child.close()


IN_TMP = {
    "a file": "open('/tmp/x', 'w').write('clean')",
    "an empty file": "open('/tmp/x', 'w').close()",
    "a folder": "os.mkdir('/tmp/x')",
    "a link": "os.symlink('clean', '/tmp/x')",
    "a removed file that is mapped": (
        "f = os.open('/tmp/x', 0o102); os.write(f, b'x' * 4096); raw('mmap', 0, 4096, 1, 2, f, 0);"
        "os.close(f); os.unlink('/tmp/x')"
    ),
}


@pytest.mark.parametrize("row", IN_TMP)
def test_tmp_has_to_be_empty_at_the_snapshot(row: str) -> None:
    """Of what is in it nothing is compared but how much it is."""
    child = Restored(prepare=IN_TMP[row], tmp=True)
    try:
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason is Reason.TMP
    finally:
        child.close()
