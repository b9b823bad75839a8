"""What ordinary code does and a process is used again after; and how that could be abused.

Each argument for letting a call pass (kernel/flagging.py, restorer/judging.py) has its abuse here:
whatever is left is either gone in the next call, or the process is not used again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from casemate.restorer import tracee
from casemate.restorer.reasons import DiscardError, Reason
from support.restored import SECONDS, Restored

pytestmark = pytest.mark.timeout(120)
PLACES = """
import asyncio, errno, fcntl, mmap, struct, tempfile
spare = ctypes.create_string_buffer(16384)
PAGE = ctypes.addressof(spare) + 4095 & ~4095
ctypes.memset(PAGE, 65, 4096)
SIZE = 1 << 16
WHOLE = raw("mmap", 0, SIZE + 8192, 0, 0x22, -1, 0) + 4096
raw("mprotect", WHOLE, SIZE, 3)
ctypes.memset(WHOLE, 66, SIZE)
FREE = 0x200000000000
HEAP = raw("brk", 0)
libc.mmap.restype = ctypes.c_void_p
CALLS |= {"mseal": 462}

def mapped(place):
    return raw("access", place & ~4095, 0) != -errno.EFAULT
VECTOR = ctypes.create_string_buffer(16)

def new(size=4 * SIZE, protection=3):
    return raw("mmap", 0, size, protection, 0x22, -1, 0)

def sent(control, descriptor):
    text = ctypes.create_string_buffer(b"hello", 5)
    vector = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(text), 5), 16)
    data = ctypes.create_string_buffer(control, max(1, len(control)))
    header = ctypes.create_string_buffer(struct.pack(
        "QQQQQQQ", 0, 0, ctypes.addressof(vector), 1, ctypes.addressof(data), len(control), 0), 56)
    return raw("sendmsg", descriptor, header, 0)
RIGHTS = struct.pack("QiiiI", 20, 1, 1, 3, 0)
"""
STATE = """
result = [mapped(FREE), raw('brk', 0) == HEAP, bytes((ctypes.c_char * 4).from_address(WHOLE)),
          ctypes.string_at(PAGE, 4)]
result = repr(result)
"""


@contextmanager
def restored(prepare: str = "", **options: object) -> Iterator[Restored]:
    child = Restored(prepare=PLACES + prepare, **options)  # type: ignore[arg-type]
    try:
        child.ready()
        yield child
    finally:
        child.close()


@pytest.fixture(scope="module")
def children() -> Iterator[list[Restored]]:
    """One that is used again for as long as it can be."""
    found: list[Restored] = []
    yield found
    for child in found:
        child.close()


@pytest.fixture
def shared(children: list[Restored]) -> Iterator[Restored]:
    if not children:
        child = Restored(prepare=PLACES, tmp=True)
        children.append(child)
        child.ready()
    yield children[0]


REPAIRED = {
    "memory mapped": "ctypes.memset(new(), 67, 4 * SIZE)",
    "memory mapped at a place that is free": "raw('mmap', FREE, SIZE, 3, 0x22, -1, 0)",
    "memory mapped at exactly that place": "raw('mmap', FREE, SIZE, 3, 0x32, -1, 0)",
    "memory that nobody may read": "new(protection=0)",
    "memory that can be run": "new(protection=7)",
    "memory mapped and unmapped": "raw('munmap', new(), 4 * SIZE)",
    "memory in pieces": "a = new(4 * SIZE); [raw('munmap', a + n * 8192, 4096) for n in range(32)]",
    "memory of other rights": "a = new(); raw('mprotect', a, 4096, 1); raw('mprotect', a, 4096, 5)",
    "memory moved": "a = raw('mremap', new(SIZE), SIZE, 4 * SIZE, 1); ctypes.memset(a, 1, SIZE)",
    "memory moved to a place": "raw('mremap', new(SIZE), SIZE, SIZE, 3, FREE)",
    "memory advised on": "a = new(); [raw('madvise', a, SIZE, n) for n in (14, 15, 16, 4, 8)]",
    "a file mapped": "f = os.open('/bin/env', 0); raw('mmap', 0, 4096, 1, 2, f, 0); os.close(f)",
    "code of a file mapped": (
        "f = os.open('/usr/bin/env', 0); raw('mmap', 0, 4096, 5, 2, f, 0); os.close(f)"
    ),
    "a file of /tmp mapped and removed": (
        "f = os.open('/tmp/x', 0o102); os.write(f, b'x' * 4096); raw('mmap', 0, 4096, 1, 2, f, 0);"
        "os.close(f); os.unlink('/tmp/x')"
    ),
    "the heap grown": "raw('brk', HEAP + 5 * SIZE); ctypes.memset(HEAP + 4096, 67, SIZE)",
    "a hole in the heap that grew": (
        "raw('brk', HEAP + 5 * SIZE); raw('munmap', (HEAP + SIZE) & ~4095, SIZE)"
    ),
    "the heap grown by a byte": "raw('brk', HEAP + 1)",
    "the stack grown": (
        "ctypes.memset(ctypes.c_void_p.in_dll(libc, '__libc_stack_end').value - (3 << 20), 67, 1)"
    ),
    "an array kept": "state['a'] = bytearray(50_000_000)",
    "many objects kept": "state['a'] = [bytes(400) for _ in range(40_000)]",
    "an extension loaded": "import cmath, _lsprof",
    "a message without control": "a, b = socket.socketpair(); assert sent(b'', a.fileno()) == 5;"
    "a.close(); b.close()",
    "messages by Python": "a, b = socket.socketpair(); a.sendmsg([b'x']); a.close(); b.close()",
    "a loop": "asyncio.run(asyncio.sleep(0))",
    "many loops": "[asyncio.run(asyncio.sleep(0)) for _ in range(5)]",
    "an epoll that is closed": "import select; select.epoll().close()",
    "descriptors doubled and closed": (
        "a = os.open('/dev/null', 0); b = os.dup(a); os.dup2(a, 40); "
        "[os.close(n) for n in (a, b, 40)]"
    ),
    "a temporary file": "tempfile.TemporaryFile().close()",
    "a named file": "with tempfile.NamedTemporaryFile() as f: f.write(b'x' * 9000)",
    "a folder": "with tempfile.TemporaryDirectory() as f: open(f + '/x', 'w').write('x')",
    "links": "os.symlink('y', '/tmp/x'); os.replace('/tmp/x', '/tmp/z'); os.remove('/tmp/z')",
    "a locked file": (
        "f = open('/tmp/x', 'w'); fcntl.lockf(f, 2); fcntl.flock(f, 2); f.close(); "
        "os.remove('/tmp/x')"
    ),
    "the times of /tmp": "os.utime('/tmp', ns=(5, 7))",
    "the mode of /tmp, and back": (
        "m = os.stat('/tmp').st_mode; os.chmod('/tmp', 7); os.chmod('/tmp', m)"
    ),
}
LOOK_AT_TMP = """
s = os.stat('/tmp')
result = repr([os.listdir('/tmp'), s.st_mode, s.st_size, s.st_nlink, os.statvfs('/tmp'),
               [t == 5 or t == 7 for t in (s.st_atime_ns, s.st_mtime_ns)]])
"""


@pytest.mark.parametrize("row", REPAIRED)
def test_it_is_used_again_and_nothing_is_left(
    shared: Restored, children: list[Restored], row: str
) -> None:
    children.clear()
    pristine = shared.call(STATE), shared.call(LOOK_AT_TMP)
    shared.ready()
    maps = shared.files.maps()
    for _ in range(3):
        shared.call(REPAIRED[row])
        shared.ready()
        assert shared.files.maps() == maps
        assert (shared.call(STATE), shared.call(LOOK_AT_TMP)) == pristine
        shared.ready()
    children.append(shared)


def test_repairs_hold_without_the_filter_too() -> None:
    with restored("# NO_FILTER", filters=0) as child:
        pristine = child.call(STATE)
        child.ready()
        for row in ("memory mapped", "memory in pieces", "the heap grown", "an array kept"):
            child.call(REPAIRED[row])
            child.ready()
            assert child.call(STATE) == pristine
            child.ready()


@pytest.mark.parametrize("use", ["open('/tmp/x', 'w'); os.remove('/tmp/x')", "os.utime('/tmp')"])
def test_tmp_was_changed_now_and_not_then(use: str) -> None:
    """When a call has used it, or what it has set, is not found."""
    with restored(tmp=True) as child:
        look = "s = os.stat('/tmp'); result = [s.st_atime_ns, s.st_mtime_ns, s.st_ctime_ns]"
        child.call(look)
        child.ready()
        child.call(use)
        then = child.call(look)
        time.sleep(0.05)
        child.ready()
        now = child.call(look)
        assert max(then) < min(now)
        child.ready()
        assert child.call(look) == now


ABUSED = {
    "the content of clean pages dropped": ("raw('madvise', PAGE, 4096, 4)", Reason.CALL),
    "the content of a whole mapping dropped": ("raw('madvise', WHOLE, SIZE, 4)", Reason.CALL),
    "old pages dropped with new ones": (
        "a = raw('mmap', WHOLE - 4096 - SIZE, SIZE, 3, 0x22, -1, 0);"
        "raw('madvise', WHOLE - 4096 - 4096, 8192 + 4096, 4)",
        Reason.CALL,
    ),
    "a length that wraps": ("raw('madvise', WHOLE, -4096, 4)", Reason.CALL),
    "advice that is not known": ("raw('madvise', new(), SIZE, 10)", Reason.CALL),
    "memory mapped over": ("raw('mmap', WHOLE, SIZE, 3, 0x32, -1, 0)", Reason.CALL),
    "memory mapped over with zero pages": (
        "raw('mmap', WHOLE, SIZE, 0, 0x4032, -1, 0)",
        Reason.CALL,
    ),
    "memory unmapped and mapped alike": (
        "raw('munmap', WHOLE, SIZE); raw('mmap', WHOLE, SIZE, 3, 0x22, -1, 0)",
        Reason.CALL,
    ),
    "new memory moved over old": ("raw('mremap', new(SIZE), SIZE, SIZE, 3, WHOLE)", Reason.CALL),
    "old memory moved": ("raw('mremap', WHOLE, SIZE, SIZE, 3, FREE)", Reason.CALL),
    "old memory grown": ("raw('mremap', WHOLE, 4096, 8192, 1)", Reason.CALL),
    "a mapping doubled": ("raw('mremap', new(SIZE), 0, SIZE, 1)", Reason.CALL),
    "memory moved but kept": ("raw('mremap', new(SIZE), SIZE, SIZE, 5)", Reason.CALL),
    "old memory made read-only": ("raw('mprotect', WHOLE, SIZE, 1)", Reason.CALL),
    "the right to grow down": ("raw('mprotect', new(), SIZE, 0x01000003)", Reason.CALL),
    "memory that grows down": ("raw('mmap', 0, SIZE, 3, 0x122, -1, 0)", Reason.CALL),
    "memory that is locked": ("raw('mmap', 0, 4096, 3, 0x2022, -1, 0)", Reason.CALL),
    "memory with huge pages": ("raw('mmap', 0, SIZE, 3, 0x40022, -1, 0)", Reason.CALL),
    "shared memory": ("raw('mmap', 0, SIZE, 3, 0x21, -1, 0)", Reason.CALL),
    "a file mapped to be shared": (
        "f = os.open('/tmp/x', 0o102); os.write(f, b'x'); raw('mmap', 0, 4096, 3, 1, f, 0)",
        Reason.CALL,
    ),
    "sealed memory": ("raw('mseal', new(), SIZE, 0)", Reason.CALL),
    "the heap cut": ("raw('brk', HEAP - 4096)", Reason.CALL),
    "the heap cut by a byte": ("raw('brk', HEAP - 1)", Reason.CALL),
    "more pieces than are unmapped": (
        "a = new(400 * 4096); [raw('munmap', a + n * 8192, 4096) for n in range(200)]",
        Reason.MEMORY_LAYOUT,
    ),
    "a kept descriptor doubled": ("os.close(os.dup(3))", Reason.CALL),
    "a kept descriptor doubled higher": ("os.close(fcntl.fcntl(3, 0, 9))", Reason.CALL),
    "an option of a kept descriptor": ("raw('setsockopt', 3, 1, 7, VECTOR, 4)", Reason.CALL),
    "a kept descriptor sent to oneself": (
        "a, b = socket.socketpair(); assert sent(RIGHTS, a.fileno()) == 5; a.close(); b.close()",
        Reason.CALL,
    ),
    "a header that cannot be read": ("raw('sendmsg', 9, 8, 0)", Reason.CALL),
    "a header at the end of memory": (
        "a = new(4096); raw('munmap', a + 4096, 4096); raw('sendmsg', 9, a + 4090, 0)",
        Reason.CALL,
    ),
    "an epoll left open": ("import select; state['e'] = select.epoll()", Reason.DESCRIPTORS),
    "a loop left open": ("state['l'] = asyncio.new_event_loop()", Reason.DESCRIPTORS),
    "a file left": ("open('/tmp/x', 'w').close()", Reason.TMP),
    "an empty folder left": ("os.mkdir('/tmp/x')", Reason.TMP),
    "a link left": ("os.symlink('x', '/tmp/x')", Reason.TMP),
    "a file without a name left": (
        "f = os.open('/tmp', os.O_TMPFILE | os.O_RDWR); os.write(f, b'x'); os.dup2(f, 60)",
        Reason.TMP,
    ),
    "the mode of /tmp": ("os.chmod('/tmp', 0o700)", Reason.TMP),
    "a file exchanged for one that is kept open": (
        "f = os.open('/tmp/x', 0o102); os.remove('/tmp/x'); os.close(0); os.dup2(f, 0);os.close(f)",
        Reason.CALL,
    ),
    "flags of /tmp": (
        "f = os.open('/tmp', 0); raw('ioctl', f, 0x40086602, VECTOR); os.close(f)",
        Reason.CALL,
    ),
    "an attribute of /tmp": ("raw('setxattr', PAGE, PAGE, PAGE, 1, 0)", Reason.CALL),
    "a signal of a file": (
        "f = os.open('/tmp', 0); fcntl.fcntl(f, fcntl.F_NOTIFY, 2); os.close(f)",
        Reason.CALL,
    ),
    "a lease": ("f = os.open('/tmp', 0); fcntl.fcntl(f, fcntl.F_SETLEASE, 0)", Reason.CALL),
    "a watch on new memory": ("raw('userfaultfd', 1)", Reason.CALL),
}


@pytest.mark.parametrize("row", ABUSED)
def test_it_is_not_used_again(row: str) -> None:
    code, reason = ABUSED[row]
    with restored(tmp=True) as child:
        child.call("state['x'] = 1")
        child.ready()
        try:
            child.call(code)
        except RuntimeError as error:
            assert "Error" in str(error)  # some are refused by the kernel as well
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason is reason


def test_flagged_calls_without_end_have_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracee, "_FREE_CALLS", 20)
    with restored() as child:
        assert child.call("[raw('munmap', FREE, 4096) for n in range(15)]; result = 1") == 1
        assert child.late == 0
        child.ready()
        assert child.call("[raw('munmap', FREE, 4096) for n in range(50)]; result = 2") == 2
        assert child.late == 30
        # The next call begins anew.
        child.ready()
        assert child.call("[raw('munmap', FREE, 4096) for n in range(15)]; result = 3") == 3
        assert child.late == 30


def test_one_that_waits_at_a_flagged_call_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracee, "_FREE_CALLS", 0)
    with restored() as child:
        child.send("raw('munmap', FREE, 4096); sock.sendall(b'x\\n')")
        while not child.held.tracee.late:
            child.held.tracee.sweep()
        with suppress(DiscardError):  # if it does not come back in time
            child.ready()
        assert not child.held.tracee.late


@pytest.mark.parametrize("step", ["await_home", "make", "go_on"])
def test_one_that_is_killed_while_it_is_repaired_is_told(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Before it, at a call that it is made to make, and before it stands at home again."""
    with restored() as child:
        child.call("new()")
        # It is home: to ask one for a stop that stands there already is to wait in vain.
        child.held.tracee.await_home(SECONDS)
        real = getattr(child.held.tracee, step)

        def killed(*arguments: object) -> object:
            os.kill(child.pid, signal.SIGKILL)
            return real(*arguments)

        monkeypatch.setattr(child.held.tracee, step, killed)
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason is Reason.GONE


def test_arrays_of_a_hundred_megabytes_come_and_go() -> None:
    with restored() as child:
        maps = child.files.maps()
        for _ in range(5):
            code = (
                "a = bytearray(100_000_000); a[50_000_000] = 1; state['a'] = a; result = sum(a[:9])"
            )
            assert child.call(code) == 0
            child.ready()
            assert child.files.maps() == maps
            assert child.call("result = len(state)") == 0
            child.ready()
