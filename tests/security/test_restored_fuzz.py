"""Whatever a call does, and whatever the kernel answers, the next one finds nothing of it.

By chance, from seeds: the process is discarded, or is in all that can be seen of it
(`support/pristine.py`) what it was at its snapshot. Rows by name: test_restored_residue and others.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import random
import signal
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.kernel import pagemap, process_files, remote_memory, tracing, userfault
from casemate.kernel.process_files import ProcessFiles
from casemate.restorer import restoring, snapshot, tracee
from casemate.restorer.reasons import DiscardError
from casemate.restorer.written import Written
from support.pristine import Pristine, settle
from support.restored import SECONDS, Restored

pytestmark = pytest.mark.timeout(300)
CALLS = (Path(__file__).parent.parent / "functions" / "attacks" / "random_calls.py").read_text()
SHORT = (1,)
LONG = tuple(range(100, 120))


def _end_all(child: Restored) -> None:
    """Take the end of all of its threads, of which its tracer may know no more."""
    twins = [] if child.held.snapshot is None else [child.held.snapshot.twin]
    left = {child.pid}
    with suppress(OSError):
        left |= {int(task) for task in os.listdir(f"/proc/{child.pid}/task")}
    for pid in (child.pid, *twins):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # One by one: others of this process are waited for by whoever started them.
    deadline = time.monotonic() + SECONDS
    while left and time.monotonic() < deadline:
        for task in sorted(left):
            try:
                os.waitpid(task, tracing.WALL | os.WNOHANG)
            except ChildProcessError:
                left.discard(task)
        time.sleep(0.001)
    assert not left, "a thread of it does not end"


class Tried:
    """One process after the other, each used until it is discarded; and what came of it."""

    def __init__(self, prepare: str) -> None:
        self._prepare = prepare
        self._pristine: Pristine | None = None
        self.at_snapshot: Callable[[], AbstractContextManager[object]] = nullcontext
        self.at_restore: Callable[[], AbstractContextManager[object]] = nullcontext
        self.came = Counter[str]()

    @property
    def pristine(self) -> Pristine:
        """Of one that stands at home, set back."""
        if self._pristine is None:
            child = Restored(prepare=self._prepare, tmp=True)
            try:
                self._pristine = Pristine(child, self.at_snapshot)
            except BaseException:
                child.close()
                raise
        return self._pristine

    @property
    def child(self) -> Restored:
        return self.pristine.child

    def end(self) -> None:
        """Look closely at the last one, and end it."""
        pristine, self._pristine = self._pristine, None
        if pristine is None:
            return
        try:
            assert pristine.wrong() == []
            assert pristine.wrong_within() == []
        finally:
            pristine.child.close()

    def discard(self, why: str) -> None:
        """End one that is not used again."""
        self.came[why] += 1
        pristine, self._pristine = self._pristine, None
        if pristine is not None:
            _end_all(pristine.child)
            pristine.child.close()

    def call(self, code: str, told: str) -> None:
        """Have one make a call, and require that it is discarded or what it was."""
        child = self.pristine.child
        child.held.let_go()
        try:
            child.call(code)
        except RuntimeError as error:  # an exception of the call
            assert "NameError" not in str(error), error
        except (EOFError, OSError, TimeoutError, DiscardError, ValueError) as error:
            self.discard(type(error).__name__)
            return
        self.settle(told)

    def settle(self, told: str) -> None:
        child = self.child
        try:
            with self.at_restore():
                settle(child)
        except DiscardError as error:
            self.discard(error.reason.name)
            return
        self.came["set back"] += 1
        wrong = self.pristine.wrong(writable=self.came["set back"] % 8 != 0)
        if wrong:
            self.discard("wrong")
            raise AssertionError(f"{told}: {wrong}")


@contextmanager
def tried(prepare: str = "") -> Iterator[Tried]:
    running = Tried(CALLS + "\nimport socket as _s, mmap\n" + prepare)
    try:
        yield running
        running.end()
    finally:
        running.discard("end")


def seeds(short: tuple[int, ...] = SHORT, long: tuple[int, ...] = LONG) -> list[object]:
    return [*short, *(pytest.param(seed, marks=pytest.mark.storm) for seed in long)]


@pytest.mark.parametrize("seed", seeds())
def test_calls_about_new_memory(seed: int) -> None:
    with tried() as running:
        for number in range(60):
            running.call(f"mild({seed * 1000 + number}, {10 + number})", f"{seed}.{number}")
        # Where all were discarded nothing would have been looked at.
        assert running.came["set back"] >= 40, running.came


@pytest.mark.parametrize("seed", seeds())
def test_calls_of_all_kinds(seed: int) -> None:
    chance = random.Random(seed)
    with tried() as running:
        for number in range(60):
            count = chance.choice((1, 1, 2, 3, 5, 40))
            running.call(f"wild({seed * 1000 + number}, {count})", f"{seed}.{number} {count}")
        assert running.came["set back"] >= 5 <= 60 - running.came["set back"], running.came


# -- registers ---------------------------------------------------------------------------------

_FREE_FLAGS = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 11 | 1 << 14
"""What a process may set of its flags and go on: that it is traced step by step is a signal."""
_IDENTIFIES = 1 << 21
"""The one of them that nobody can set back from outside (ID): it is not used again."""
_TILES = 0b11 << 17
"""Of AMX, for which one asks."""
_REGISTERS = (
    "rax",
    "rcx",
    "rdx",
    "rbx",
    "rsp",
    "rbp",
    "rsi",
    "rdi",
    *(f"r{n}" for n in range(8, 16)),
)


def _image(chance: random.Random, extended: bytes) -> bytes:
    """Return an extended state by chance, as XRSTOR takes it."""
    data = bytearray(chance.randbytes(len(extended)))
    [rounding] = struct.unpack_from("<I", extended, 28)
    struct.pack_into("<II", data, 24, chance.getrandbits(32) & rounding, rounding)
    data[512:576] = bytes(64)
    [known] = struct.unpack_from("<Q", extended, 464)
    struct.pack_into("<Q", data, 512, known & ~_TILES & chance.choice((-1, chance.getrandbits(64))))
    return bytes(data)


def _loads(chance: random.Random, home: tracing.General) -> bytes:
    """Return code that has all registers by chance but for those by which one is at home there."""
    flags = chance.getrandbits(64) & _FREE_FLAGS | (_IDENTIFIES if chance.random() < 0.1 else 0)
    code = b"\x48\xb8" + struct.pack("<Q", flags) + b"\x50\x9d"
    for load in ("8ed8", "8ec0", "8ee0", "8ee8"):  # ds, es, fs, gs
        if chance.random() < 0.3:
            code += b"\xb8" + struct.pack("<I", chance.choice((0, 3, 0x2B))) + bytes.fromhex(load)
    for base in ("f3480faed0", "f3480faed8"):
        code += b"\x48\xb8" + struct.pack("<Q", chance.getrandbits(46)) + bytes.fromhex(base)
    code += (
        b"\x48\xbf" + struct.pack("<Q", _IMAGE_AT) + b"\xb8" + b"\xff" * 4 + b"\xba" + b"\xff" * 4
    )
    code += bytes.fromhex("480fae2f")  # xrstor64 (%rdi): from here on keys may refuse all memory
    values = {name: chance.getrandbits(64) for name in _REGISTERS}
    values |= {"rax": home.orig_rax, "rcx": home.rip - 2, "rsp": home.rsp}
    values |= {"rdi": home.rdi, "r10": home.r10}
    if chance.random() < 0.1:
        values[chance.choice(("rsp", "rdi", "r10", "rax"))] ^= chance.choice((8, 1 << 40, 1))
    for number, name in enumerate(_REGISTERS):
        code += bytes((0x48 | number >> 3, 0xB8 | number & 7)) + struct.pack("<Q", values[name])
    return code + b"\xff\xe1"  # jmp *%rcx


_CODE_AT, _IMAGE_AT = 0x220000000000, 0x220000004000
_RUNS = f"""
assert raw("mmap", {_CODE_AT}, 32768, 7, 0x32, -1, 0) == {_CODE_AT}
def run(code, image):
    ctypes.memmove({_CODE_AT}, code, len(code))
    ctypes.memmove({_IMAGE_AT}, image, len(image))
    ctypes.CFUNCTYPE(None)({_CODE_AT})()
"""


@pytest.mark.parametrize("seed", seeds())
def test_registers_by_chance(seed: int) -> None:
    chance = random.Random(seed)
    with tried(_RUNS) as running:
        for number in range(60):
            child, snapshot = running.child, running.child.held.snapshot
            assert snapshot is not None
            image = _image(chance, snapshot.extended)
            code = _loads(chance, snapshot.general)
            child.held.let_go()
            child.send(f"run(bytes.fromhex('{code.hex()}'), bytes.fromhex('{image.hex()}'))")
            running.settle(f"{seed}.{number}")
        assert running.came["set back"] >= 30, running.came


# -- a process that races with who restores it ---------------------------------------------------

_RACES = """
def calls_without_end(seed, wild):
    calls = Calls(seed)
    calls.chance = random.Random(seed)
    while True:
        calls.about_memory(wild)
        calls.made.clear()

def spin():
    while True: pass

def writes():
    while True: ctypes.memset(OLD, 69, OLD_SIZE); state[len(state) % 99] = [7]

def grows():
    while True: state[len(state)] = bytearray(700)

def starts():
    while True: threading.Thread(target=len, args=("",), daemon=True).start()

def signals():
    while True: os.kill(os.getpid(), 28)

def opens():
    while True: os.close(os.open("/dev/null", 0))

def sets_names():
    while True: raw("prctl", 15, TEXT, 0, 0, 0)

def later(seconds, act, *given):
    time.sleep(seconds)
    act(*given)

def race(seed):
    chance = random.Random(seed)
    acts = [lambda: calls_without_end(seed, False)] * 3 + [spin, writes, writes, grows, opens]
    acts += [starts, sets_names, lambda: time.sleep(9)]
    if chance.random() < 0.4:
        acts = acts[::2] + [
            signals, os.fork, lambda: os._exit(3), lambda: raw("exit", 0), lambda: raw("setsid"),
            lambda: os.execv("/bin/true", ["true"]), lambda: calls_without_end(seed, True),
            lambda: raw("munmap", OLD, 4096), lambda: ctypes.string_at(8), lambda: os.dup(3),
            lambda: os.chdir("/tmp"), lambda: raw("unshare", 0x200), lambda: os.umask(0o77),
        ]
    sys.setswitchinterval(1e-5)
    for _ in range(chance.randrange(1, 6)):
        given = chance.random() ** 4 * 0.02, chance.choice(acts)
        threading.Thread(target=later, args=given, daemon=True).start()
    time.sleep(chance.random() ** 4 * 0.02)
"""
STAGES = {
    "when it is compared": (ProcessFiles, "status"),
    "when what it leads to is": (remote_memory, "same_file"),
    "when its limits are": (ProcessFiles, "limits"),
    "when its memory is written": (remote_memory.Copy, "write"),
    "when its state is looked at": (tracing, "extended"),
}


def _tasks(pid: int) -> list[str]:
    """Return in what state the threads of a process are."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found.append((task / "stat").read_text().rpartition(") ")[2][0])
    return found


@pytest.mark.parametrize("seed", seeds())
def test_threads_that_race_with_it(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each step of a restore nobody is there but one that stands."""
    others: list[tuple[str, list[str]]] = []
    settling: list[int] = []

    @contextmanager
    def noted() -> Iterator[None]:
        settling.append(1)
        try:
            yield
        finally:
            settling.clear()

    def looking(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def looked(*given: Any) -> Any:
            if settling and (tasks := _tasks(running.child.pid)) not in (["t"], ["Z"], []):
                others.append((name, tasks))
            return real(*given)

        return looked

    with tried("import sys\n" + _RACES) as running:
        running.at_restore = noted
        for name, (owner, method) in STAGES.items():
            monkeypatch.setattr(owner, method, looking(name, getattr(owner, method)))
        for number in range(60):
            running.call(f"race({seed * 1000 + number})", f"{seed}.{number}")
        assert others == []
        assert running.came["set back"] >= 15 <= 60 - running.came["set back"], running.came


LEFT_OUT = {
    "registers": (restoring.Held, "_set_registers", lambda *_: None),
    "memory": (Written, "_found", lambda self, snapshot, closely: self._kept[:-1]),
}
"""Steps of a restore without which something of a call stays."""


@pytest.mark.parametrize("step", LEFT_OUT)
def test_what_stays_is_found(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or all of the above finds nothing because it does not look."""
    owner, method, instead = LEFT_OUT[step]
    with tried() as running:
        running.call("mild(1, 5)", "whole")
        monkeypatch.setattr(owner, method, instead)
        with pytest.raises(AssertionError, match=step):
            for number in range(20):
                running.call(f"mild({number}, 20); ctypes.memset(OLD, 71, OLD_SIZE)", step)


# -- what the kernel answers -------------------------------------------------------------------


ERRORS = (
    errno.EIO,
    errno.ENOMEM,
    errno.ESRCH,
    errno.EPERM,
    errno.EFAULT,
    errno.EINVAL,
    errno.EBADF,
)
HOW = ("refused", "short", "empty", "one byte", "garbage")
"""Not among them: a scan that keeps pages to itself, other registers. Nobody could tell."""
_USES = "ctypes.memset(OLD, 70, OLD_SIZE); state['secret'] = 1; mild(3, 20); raw('getpid')"
"""With all that is set back: memory, mappings, the heap, /tmp, a thread and its handler."""
_USES += "; os.utime('/tmp', ns=(5, 7)); threading.Thread(target=len, args=('',)).start()"


class Answers:
    """Has one answer of the kernel's, by its number, be another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.chance = random.Random(0)
        self.at = -1
        """Which one."""
        self._on = False
        self.how = ""
        self.count = 0
        self.changed = ""
        for module in (process_files, snapshot, restoring, tracee):
            monkeypatch.setattr(module, "os", self._os())
        for module in (pagemap, userfault):
            calls = SimpleNamespace(ioctl=self._answered("ioctl", fcntl.ioctl))
            monkeypatch.setattr(module, "fcntl", calls)
        monkeypatch.setattr(tracing, "_ptrace", self._answered("ptrace", tracing._ptrace))
        moving, comparing = remote_memory._moving, remote_memory._comparing
        monkeypatch.setattr(
            remote_memory, "_moving", lambda name: self._numbered(name, moving(name))
        )
        monkeypatch.setattr(
            remote_memory, "_comparing", lambda: self._numbered("kcmp", comparing())
        )

    def _os(self) -> Any:
        names = ("read", "pread", "fstat", "fstatvfs", "readlink", "lseek", "waitpid", "waitid")
        changed = {name: self._answered(name, getattr(os, name)) for name in names}
        return SimpleNamespace(**{name: getattr(os, name) for name in dir(os)} | changed)

    def _is_due(self, name: str) -> bool:
        if not self._on:
            return False
        self.count += 1
        if self.count - 1 != self.at:
            return False
        self.changed = name
        return True

    def _answered(self, name: str, real: Any) -> Any:
        def answer(*given: Any, **named: Any) -> Any:
            if not self._is_due(name):
                return real(*given, **named)
            if name in ("waitpid", "waitid"):  # what else it may say is of the question
                raise ChildProcessError(errno.ECHILD, "no child")
            if self.how == "refused" or name in ("ioctl", "ptrace", "lseek", "fstat", "fstatvfs"):
                number = self.chance.choice(ERRORS)
                raise OSError(number, os.strerror(number))
            return self._other(real(*given, **named))

        return answer

    def _other(self, told: Any) -> Any:
        """Return something else than was told."""
        if isinstance(told, str):
            return told + "x" if self.how == "garbage" else told[: len(told) // 2]
        if not isinstance(told, bytes) or not told:
            return told
        if self.how == "short":
            return told[: self.chance.randrange(len(told))]
        if self.how == "empty":
            return b""
        data = bytearray(told)
        if self.how == "one byte":
            data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        else:
            at = self.chance.randrange(len(data))
            data[at:] = self.chance.randbytes(len(data) - at)
        return bytes(data)

    def _numbered(self, name: str, real: Any) -> Any:
        def answer(*given: Any) -> int:
            if not self._is_due(name):
                return int(real(*given))
            if name == "kcmp" and self.how != "refused":
                return self.chance.choice((1, 2, 3))
            if self.how == "short":
                return int(real(*given)) // 2
            ctypes.set_errno(self.chance.choice(ERRORS))
            return -1

        return answer

    @contextmanager
    def changed_one(self) -> Iterator[None]:
        """Have it be so for a while."""
        self.count, self.changed, self._on = 0, "", True
        try:
            yield
        finally:
            self._on = False


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    return Answers(monkeypatch)


def _chosen(count: int, seed: int | None) -> list[tuple[int, str]]:
    """Return which answers are to be others, and how: some, or all of them."""
    every = [(at, how) for at in range(count) for how in HOW]
    return every if seed is None else random.Random(seed).sample(every, 25)


SOME_AND_ALL = [1, pytest.param(None, marks=pytest.mark.storm)]


@pytest.mark.parametrize("seed", SOME_AND_ALL)
def test_one_other_answer_while_it_is_set_back(answers: Answers, seed: int | None) -> None:
    with tried() as running:
        running.at_restore = answers.changed_one
        answers.at = 1 << 30
        running.call(_USES, "none")
        assert running.came == {"set back": 1} and answers.count > 30
        for at, how in _chosen(answers.count, seed):
            answers.at, answers.how = at, how
            running.call(_USES, f"{at} {how}")
        running.at_restore = nullcontext


@pytest.mark.parametrize("seed", SOME_AND_ALL)
def test_one_other_answer_at_its_snapshot(answers: Answers, seed: int | None) -> None:
    answers.at = 1 << 30
    with tried() as running:
        running.at_snapshot = answers.changed_one
        running.call(_USES, "none")
        count = answers.count
        assert running.came == {"set back": 1} and count > 30
        for at, how in _chosen(count, seed):
            running.discard("used")
            answers.at, answers.how = at, how
            try:
                running.child
                for _ in range(3):
                    # One that is discarded after a call is made anew, and answered so again.
                    running.call(_USES, f"{at} {answers.changed} {how}")
            except DiscardError as error:
                running.came[error.reason.name] += 1
