"""What a call could leave in a process that is restored: planted, and looked for in the next call.

Rows are those of docs/explanation/isolation.md: restored (R), flagged by the filter (F), compared
from outside (C). What is compared is tried without the filter too, so that each layer holds alone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.kernel import remote_memory
from casemate.restorer.reasons import DiscardError, Reason
from support.restored import MACHINE_CODE, PLACES, Restored, restored

pytestmark = pytest.mark.timeout(120)
NO_FILTER = "# NO_FILTER"

RESTORED = {
    "a global": ("state['x'] = 1", "result = 'x' in state"),
    "a class": ("Thing.secret = 7", "result = hasattr(Thing, 'secret')"),
    "a builtin": ("__builtins__.secret = 7", "result = hasattr(__builtins__, 'secret')"),
    "a module": (
        "import sys; sys.modules['secret'] = 7",
        "import sys; result = 'secret' in sys.modules",
    ),
    "the environment": (
        "os.environ['SECRET'] = 'x'",
        "result = ['SECRET' in os.environ, libc.getenv(b'SECRET') != 0]",
    ),
    "memory of C": ("ctypes.memset(buffer, 65, 8192)", "result = buffer.raw[5000]"),
    "data of a library": (
        "libc.srand(5)",
        "libc.srand(9) if False else None; result = libc.rand()",
    ),
    "thread-local data": ("local.x = 1", "result = hasattr(local, 'x')"),
    "errno": ("ctypes.set_errno(77)", "result = ctypes.get_errno()"),
    "the rounding mode (x87, MXCSR)": ("libm.fesetround(0x800)", "result = libm.fegetround()"),
    "a segment's base": ("machine(SET_GS)()", "result = machine(GET_GS)()"),
    "machine code in memory that is writable": (
        "area[100:104] = b'code'",
        "result = bytes(area[100:104]).hex()",
    ),
    "the stack": (
        "def deep(n): return [n, deep(n - 1)] if n else 0\ndeep(200)",
        "result = len(repr(state))",
    ),
    "the state of random": ("random.seed(3)", "result = 0 if random.random() else 1"),
    "a descriptor of the process": (  # as each event loop of asyncio makes on Python 3.14
        "os.close(os.pidfd_open(os.getpid()))",
        "f = os.pidfd_open(os.getpid()); os.close(f); result = f",
    ),
    "a generator of the module": (
        "random.seed(3); state['r'] = random.random()",
        "result = len(state)",
    ),
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Restored]:
    with restored(MACHINE_CODE) as child:
        yield child


@pytest.mark.parametrize("row", RESTORED)
def test_it_is_restored(shared: Restored, row: str) -> None:
    plant, look = RESTORED[row]
    pristine = shared.call(look)
    shared.ready()
    shared.call(plant)
    shared.ready()
    assert shared.call(look) == pristine
    shared.ready()


REGISTERS = {
    # vpcmpeqd ymm15; vextracti128 $1 of it, and its lower half
    "the upper half of a vector register": ("c4410576ffc3", "c4637d39f801c4e1f97ec0c3", "avx2"),
    # %ds and %es, of which 0 is as good as any
    "segment selectors": ("66b82b008ed88ec0c3", "31c08cd8c1e0108cc16609c8c3", ""),
    # ldmxcsr of all rounding and flushing bits, stmxcsr
    "flush to zero": ("48c7c0807f0000500fae142458c3", "500fae1c248b042459c3", ""),
    # fldpi; the tag word of fnstenv, put back
    "a value of the x87": ("d9ebc3", "4883ec20d93424668b4424080fb7c0d924244883c420c3", ""),
    # wrpkru that refuses writes by key 1, rdpkru
    "rights of memory's keys": ("b80800000031c931d20f01efc3", "31c90f01eec3", "ospke"),
}
"""What sets them and what tells of them, as machine code, and the flag of a processor that can."""


@pytest.mark.parametrize("row", REGISTERS)
def test_a_register_is_set_back(shared: Restored, row: str) -> None:
    plant, look, flag = REGISTERS[row]
    if flag not in Path("/proc/cpuinfo").read_text():
        pytest.skip(f"this processor has no {flag}")
    looked = f"result = machine(bytes.fromhex('{look}'))()"
    pristine = shared.call(looked)
    shared.ready()
    # In one: what copies the code of the second may set the upper halves to zero on its way.
    both = plant.removesuffix("c3") + look
    assert shared.call(f"result = machine(bytes.fromhex('{both}'))()") != pristine
    shared.ready()
    assert shared.call(looked) == pristine
    shared.ready()


FLAGGED = {
    "memory mapped to be shared": "raw('mmap', 0, 4096, 3, 0x21, -1, 0)",
    "memory mapped over": "raw('mmap', PAGE, 4096, 3, 0x32, -1, 0)",
    "memory mapped and locked": "raw('mmap', 0, 4096, 3, 0x2022, -1, 0)",
    "memory unmapped": "raw('munmap', PAGE, 4096)",
    "memory unmapped with what is new": "raw('munmap', WHOLE - 4096 - SIZE, SIZE + 1)",
    "memory changed": "raw('mprotect', PAGE, 4096, 1)",
    "memory changed and changed back": (
        "raw('mprotect', PAGE, 4096, 1), raw('mprotect', PAGE, 4096, 3)"
    ),
    "memory moved": "raw('mremap', PAGE, 4096, 8192, 1)",
    "the content of clean pages dropped (MADV_DONTNEED)": "raw('madvise', PAGE, 4096, 4)",
    "huge pages": "raw('madvise', PAGE, 4096, 14)",
    "memory locked": "raw('mlock', PAGE, 4096)",
    "all memory locked": "raw('mlockall', 2)",
    "the heap cut": "raw('brk', raw('brk', 0) - 1)",
    "the heap cut and grown": "raw('brk', raw('brk', 0) - 4096), raw('brk', raw('brk', 0) + 4096)",
    "a signal handled that was ignored": "signal.signal(signal.SIGINT, lambda *_: None)",
    "a signal that was ignored as by default": "raw('rt_sigaction', 13, LIMIT, 0, 8)",
    "a stack for signals": "raw('sigaltstack', STACK, 0)",
    "a pending signal": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]),"
        "os.kill(os.getpid(), signal.SIGUSR1)"
    ),
    "an alarm": "signal.alarm(100)",
    "a timer of the process": "signal.setitimer(signal.ITIMER_VIRTUAL, 100)",
    "a timer": "raw('timer_create', 1, EVENT, PAGE)",
    "a child": "os.fork() or os._exit(0)",
    "a child, waited for": "os.waitpid(os.fork() or os._exit(0), 0)",
    "a thread with descriptors of its own": "clone(THREAD & ~0x400)",
    "a thread with a folder of its own": "clone(THREAD & ~0x200)",
    "a thread without a list of semaphores": "clone(THREAD & ~0x40000)",
    "a thread that nobody traces": "clone(THREAD | 0x800000)",
    "a thread that shares what is read and written": "clone(THREAD | 0x80000000)",
    "a thread with a higher half of flags": "raw('clone', THREAD | 1 << 32, 0, 0, 0, 0)",
    "a process in the same memory": "clone(0x100)",
    "a process with the same handlers": "clone(0x900)",
    "too many threads": (
        "[threading.Thread(target=time.sleep, args=(9,), daemon=True).start() for _ in range(70)]"
    ),
    "the name": "raw('prctl', 15, ctypes.c_char_p(b'secret'), 0, 0, 0)",
    "the parent's death signal": "raw('prctl', 1, 10, 0, 0, 0)",
    "the slack of timers": "raw('prctl', 29, 5000, 0, 0, 0)",
    "a subreaper": "raw('prctl', 36, 1, 0, 0, 0)",
    "the mode of new files": "os.umask(0o77)",
    "the working directory": "os.chdir('/')",
    "a limit": "raw('prlimit64', 0, 7, LIMIT, 0)",
    "the priority": "os.nice(1)",
    "the affinity": "os.sched_setaffinity(0, {0})",
    "the scheduler": "raw('sched_setscheduler', 0, 3, ctypes.c_char_p(bytes(4)))",
    "a session": "raw('setsid')",
    "a process group": "raw('setpgid', 0, 0)",
    "a duplicate of the socket": "os.close(os.dup(3))",
    "a duplicate by another way": "os.close(__import__('fcntl').fcntl(3, 1030, 10))",
    "a duplicate to the socket's number": "os.dup2(1, 3 + 5)",
    "the socket's flags": "raw('fcntl', 3, 4, 0o4000), raw('fcntl', 3, 4, 2)",
    "the socket's owner": "raw('fcntl', 3, 8, os.getpid())",
    "options of the socket": "raw('setsockopt', 3, 1, 7, LIMIT, 4)",
    "one direction of the socket closed": "raw('shutdown', 3, 9)",
    "a message read and left in the socket": "raw('recvfrom', 3, PAGE, 1, 0x42, 0, 0)",
    "a byte out of band": "raw('sendto', 3, ctypes.c_char_p(b'x'), 0, 1, 0, 0)",
    "a descriptor sent to oneself": (
        "[socket.send_fds(a, [b'x'], [3]) for a, b in [socket.socketpair()]]"
    ),
    "another thread id address": "raw('set_tid_address', PAGE)",
    "a list of robust locks": "raw('set_robust_list', PAGE, 24)",
    "a restartable sequence": "raw('rseq', PAGE, 32, 0, 0x53053053)",
    "the base of thread-local storage": "raw('arch_prctl', 0x1001, 5)",
    "permission for AMX": "raw('arch_prctl', 0x1023, 18)",
    "a filter": "raw('prctl', 22, 2, PROGRAM, 0, 0)",
    "a Landlock domain": "raw('landlock_create_ruleset', LIMIT, 8, 0)",
    "barriers": "raw('membarrier', 16, 0, 0)",
    "keys of memory": "raw('pkey_alloc', 0, 0)",
    "a broken-off call made again": "raw('restart_syscall')",
    "priority of input and output": "raw('ioprio_set', 1, 0, 16384)",
    "signals for a file": "os.close(os.open('/dev/null', 0o20000))",
    "times of a kept descriptor": "raw('utimensat', 0, 0, 0, 0)",
    "the mode of a kept descriptor": "raw('fchmod', 1, 0o600)",
    "a device": "raw('mknod', ctypes.c_char_p(b'/proc/self/casemate-residue'), 0o10600, 0)",
    "an attribute of a file": "raw('setxattr', PAGE, PAGE, PAGE, 1, 0)",
    "a lock with priority": "raw('futex', LIMIT, 6, 0, 0, 0, 0)",
    "a range of descriptors closed with kept ones": "raw('close_range', 3, 2, 0)",
    "a range of descriptors marked": "raw('close_range', 100, 200, 4)",
    "a range of descriptors unshared": "raw('close_range', 100, 200, 2)",
    "notifications for a folder": "raw('inotify_init1', 0)",
    "a key": "raw('add_key', PAGE, PAGE, PAGE, 1, -2)",
    "a watch on memory": "raw('userfaultfd', 1)",
    "shared memory": "raw('shmget', 0, 4096, 0o1600)",
    "memory of another": "raw('process_vm_readv', os.getpid(), PAGE, 0, PAGE, 0, 0)",
}


@pytest.mark.parametrize("row", FLAGGED)
def test_it_is_flagged(row: str) -> None:
    with restored(PLACES) as child:
        child.call(f"({FLAGGED[row]})")
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason in (Reason.CALL, Reason.PROCESSES, Reason.SIGNAL)
        # What is discarded stays so.
        with pytest.raises(DiscardError):
            child.ready()


LEFT = {
    "a file": ("state['f'] = open('/dev/null')", Reason.DESCRIPTORS),
    "memory with a descriptor": ("state['f'] = os.memfd_create('x')", Reason.DESCRIPTORS),
    "an eventfd": ("state['f'] = raw('eventfd2', 0, 0)", Reason.DESCRIPTORS),
    "an epoll": ("import select; state['f'] = select.epoll()", Reason.DESCRIPTORS),
    "a timer": ("state['f'] = raw('timerfd_create', 1, 0)", Reason.DESCRIPTORS),
    "a descriptor of the process": ("state['f'] = os.pidfd_open(os.getpid())", Reason.DESCRIPTORS),
    "a pair of sockets": ("state['f'] = socket.socketpair()", Reason.DESCRIPTORS),
    "a pipe": ("state['f'] = os.pipe()", Reason.DESCRIPTORS),
    "a table of descriptors that has grown, by which select(2) tells": (
        "f = os.open('/dev/null', 0); os.close(os.dup2(f, 900)); os.close(f)",
        Reason.STATUS,
    ),
    "too many pages": ("ctypes.memset(LARGE, 1, 12 << 20)", Reason.TOO_MANY_PAGES),
}


@pytest.mark.parametrize("row", LEFT)
def test_what_is_left_open_is_seen(row: str) -> None:
    plant, reason = LEFT[row]
    large = "large = ctypes.create_string_buffer(12 << 20); LARGE = ctypes.addressof(large)"
    with restored(large) as child:
        child.call(plant)
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason is reason


COMPARED = {
    "memory changed": ("raw('mprotect', PAGE, 4096, 1)", Reason.MEMORY_LAYOUT),
    "memory mapped over": (
        "ctypes.memmove(raw('mmap', PAGE, 4096, 3, 0x32, -1, 0), b'secret', 6)",
        Reason.MEMORY_LAYOUT,
    ),
    "memory moved and put back": (
        "raw('mremap', raw('mremap', PAGE, 4096, 4096, 3, FREE), 4096, 4096, 3, PAGE)",
        Reason.MEMORY_LAYOUT,
    ),
    "a whole mapping replaced by one of the same form": (
        "raw('munmap', WHOLE, SIZE),"
        "ctypes.memmove(raw('mmap', WHOLE, SIZE, 3, 0x22, -1, 0), b'secret', 6)",
        Reason.UNWATCHED,
    ),
    "the heap cut and grown": (
        "raw('brk', raw('brk', 0) - 40960), raw('brk', raw('brk', 0) + 40960)",
        Reason.MEMORY_LAYOUT,
    ),
    "memory locked": ("raw('mlock', PAGE, 4096)", Reason.MEMORY_LAYOUT),
    "a signal handler": ("signal.signal(signal.SIGUSR1, signal.SIG_IGN)", Reason.STATUS),
    "a signal mask": ("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])", Reason.STATUS),
    "a thread": (
        "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        Reason.PROCESSES,
    ),
    "a child": ("os.fork() or time.sleep(9)", Reason.PROCESSES),
    "a child that has ended": ("os.fork() or os._exit(0)", Reason.PROCESSES),
    "the name": ("raw('prctl', 15, ctypes.c_char_p(b'secret'), 0, 0, 0)", Reason.STATUS),
    "the mode of new files": ("os.umask(0o77)", Reason.STATUS),
    "the working directory": ("os.chdir('/usr')", Reason.FOLDER),
    "a limit": ("raw('prlimit64', 0, 7, LIMIT, 0)", Reason.STATUS),
    "the affinity": ("os.sched_setaffinity(0, {0})", Reason.STATUS),
    "a session": ("raw('setsid')", Reason.STATUS),
    "the socket's flags": ("raw('fcntl', 1, 4, 0o4001 | 0o2000)", Reason.FILES),
    "another file at the same number": (
        "os.dup2(os.open('/dev/zero', 0), 0), os.close(4)",
        Reason.FILES,
    ),
    "a kept descriptor closed": ("os.close(0)", Reason.DESCRIPTORS),
    "a duplicate": ("os.dup(3)", Reason.DESCRIPTORS),
    "a filter": ("raw('prctl', 38, 1, 0, 0, 0), raw('prctl', 22, 2, PROGRAM, 0, 0)", Reason.STATUS),
}


@pytest.mark.parametrize("row", COMPARED)
def test_it_is_seen_without_the_filter(row: str) -> None:
    plant, reason = COMPARED[row]
    with restored(PLACES + NO_FILTER, filters=0) as child:
        child.call("state['x'] = 1")
        child.ready()
        assert child.call("result = len(state)") == 0
        child.ready()
        child.call(f"({plant})")
        with pytest.raises(DiscardError) as caught:
            child.ready()
        expected = {reason, Reason.PROCESSES} if "thread" in row or "child" in row else {reason}
        assert caught.value.reason in expected


REPLACED = COMPARED["a whole mapping replaced by one of the same form"][0]
"""By which nothing is changed that is compared after each call."""


def test_a_call_about_memory_has_it_looked_at_closely() -> None:
    """However many calls there were before: its flag is enough, and it is there in each."""
    with restored(PLACES) as child:
        for _ in range(40):
            child.call("state['x'] = 1")
            child.ready()
        child.call(f"({REPLACED})")
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason is Reason.CALL


def test_without_the_filter_memory_is_looked_at_closely_by_chance() -> None:
    with restored(PLACES + NO_FILTER, filters=0) as child:
        for _ in range(40):
            child.call("state['x'] = 1")
            child.ready()
        child.call(f"({REPLACED})")
        with pytest.raises(DiscardError) as caught:
            for _ in range(300):  # of which one in sixteen is, and nobody knows which
                child.ready()
                child.call("result = 1")
        assert caught.value.reason is Reason.UNWATCHED


def test_without_the_filter_another_size_has_memory_looked_at_closely() -> None:
    with restored(PLACES + NO_FILTER, filters=0) as child:
        for _ in range(40):
            child.call("state['x'] = 1")
            child.ready()
        child.call("(raw('mprotect', PAGE, 4096, 1))")
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason is Reason.MEMORY_LAYOUT


TMP = {
    "a file": "open('/tmp/x', 'w').close()",
    "a folder": "os.mkdir('/tmp/x')",
    "its mode": "os.chmod('/tmp', 0o700)",
    "a file without a name": "state['f'] = os.open('/tmp', os.O_TMPFILE | os.O_RDWR)",
}


@pytest.mark.parametrize("row", TMP)
def test_what_is_left_in_tmp_is_seen(row: str) -> None:
    with restored(NO_FILTER, filters=0, tmp=True) as child:
        child.ready()
        child.call(TMP[row])
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason in (Reason.TMP, Reason.DESCRIPTORS)


def test_memory_is_that_of_the_twin_after_mixed_calls() -> None:
    calls = (
        "state['x'] = [str(i) * 20 for i in range(3000)]",
        "result = sum(hash(str(i)) for i in range(1000)) * 0",
        "json.dumps({'a': [1.5] * 500}); random.seed(1)",
        "import decimal; result = str(decimal.Decimal(1) / 3)",
        "raise ValueError('no')",
        "(lambda f: f(f, 300))(lambda f, n: n and f(f, n - 1))",
    )
    with restored("import decimal") as child:
        for turn in range(60):
            try:
                child.call(calls[turn % len(calls)])
            except RuntimeError as error:
                assert "no" in str(error)
            child.ready()
        held, snapshot = child.held, child.held.snapshot
        assert snapshot is not None and held.restored == 60
        held.tracee.stop(1)
        for start, end in snapshot.ranges:
            now = remote_memory.read(child.pid, [(start, end)])
            then = remote_memory.read(snapshot.twin, [(start, end)])
            differ = (
                [start + at for at in range(end - start) if now[at] != then[at]]
                if now != then
                else []
            )
            # The kernel's own: on which processor it runs (rseq), beside its thread-local storage.
            assert len({at // 32 for at in differ}) <= 1
            assert all(abs(at - snapshot.general.fs_base) < 4096 for at in differ)


@pytest.mark.parametrize("code", ["os.wait()", "os.waitpid(-1, os.WNOHANG)", "os.waitpid(2, 0)"])
def test_the_twin_is_no_child_that_is_waited_for(code: str) -> None:
    with restored() as child, pytest.raises(RuntimeError, match="ChildProcessError"):
        child.call(code)


def test_a_killed_twin_ends_the_use() -> None:
    with restored() as child:
        assert child.held.snapshot is not None
        os.kill(child.held.snapshot.twin, signal.SIGKILL)
        with pytest.raises(DiscardError):
            for _ in range(1000):  # it may take a moment to die
                child.ready()


def test_what_does_not_come_back_is_not_used() -> None:
    with restored() as child:
        child.send("sock.sendall(b'x\\n'); time.sleep(5)")
        assert child._until() == b"x\n"
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason is Reason.NOT_WAITING
        # Waiting elsewhere in the program is not waiting either.
    with restored() as child:
        child.send("sock.sendall(b'x\\n'); sock.recv(5)")
        assert child._until() == b"x\n"
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason is Reason.NOT_WAITING


@pytest.mark.parametrize("end", ["os._exit(3)", "os.abort()", "ctypes.string_at(8)"])
def test_who_has_ended_is_told(end: str) -> None:
    with restored() as child:
        child.send(end)
        with pytest.raises(EOFError):
            child._until()
        with pytest.raises(DiscardError):
            child.ready()


def test_a_signal_from_outside_ends_the_use() -> None:
    with restored() as child:
        child.call("state['x'] = 1")
        os.kill(child.pid, signal.SIGWINCH)
        with pytest.raises(DiscardError) as caught:
            child.ready()
        # On its way to it or still waiting, as it happens to be stopped.
        assert caught.value.reason in (Reason.SIGNAL, Reason.STATUS)


@pytest.mark.parametrize(
    ("prepare", "filters", "reason"),
    [
        (NO_FILTER, 2, Reason.FILTERS),
        ("# ONE_FILTER", 2, Reason.FILTERS),
        ("import mmap; m = mmap.mmap(-1, 4096)", 2, Reason.SHARED_MEMORY),
        ("f = open('/dev/null')", 2, Reason.DESCRIPTORS),
        (
            "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
            2,
            Reason.PROCESSES,
        ),
        ("os.fork() or time.sleep(99)", 2, Reason.PROCESSES),
    ],
)
def test_what_cannot_be_restored_is_found_before_its_first_call(
    prepare: str, filters: int, reason: Reason
) -> None:
    child = Restored(prepare=prepare, filters=filters)
    try:
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason is reason
    finally:
        child.close()
