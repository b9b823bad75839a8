"""The watch over denied calls, with real children under the real filter."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from casemate.kernel import system_calls as known_calls
from casemate.kernel.machines import current
from casemate.kernel.system_calls import PROBED
from casemate.sandbox import system_calls
from casemate.sandbox.system_calls import DeniedCall, SystemCallWatch, namespace_leader

FORBIDDEN = known_calls.numbered(known_calls.FORBIDDEN, current())
PRELUDE = """
import ctypes, errno, os, socket, sys, threading
sys.path.insert(0, "src")
from casemate.kernel import linux, seccomp
linux.set_no_new_privileges()
listener = linux.PreparedFilter(seccomp.zygote_program()).install_with_listener()
socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [b"x"], [listener])
os.close(listener)
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    ctypes.set_errno(0)
    return "ok" if libc.syscall(*args) >= 0 else errno.errorcode[ctypes.get_errno()]
def say(*words):
    print(*words, flush=True)
"""
Look = Callable[[SystemCallWatch, list[DeniedCall]], Awaitable[None]]


class Child:
    """A process under the filter and its listener."""

    def __init__(self, code: str) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PRELUDE + code, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[3],
                text=True,
            )
            _, [self.listener], _, _ = socket.recv_fds(ours, 1, 1)

    def output(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.read().split()

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, 30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def start() -> Iterator[Callable[[str], Child]]:
    children: list[Child] = []

    def run(code: str) -> Child:
        children.append(Child(code))
        return children[-1]

    yield run
    for child in children:
        child.close()


def watched(child: Child, look: Look | None = None, *, fails: bool = False) -> list[DeniedCall]:
    """Watch a child until it ends, or while `look` does; return what was told."""
    told: list[DeniedCall] = []
    failures: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        watch = SystemCallWatch(child.listener, loop, told.append, on_failed=failures.append)
        if look is None:
            await child.ended()
        else:
            await look(watch, told)
        watch.close()
        watch.close()
        assert watch.closed

    uvloop.run(main())
    assert bool(failures) is fails, failures
    return told


def test_a_denied_call_is_refused_and_told(start: Callable[[str], Child]) -> None:
    child = start("say(call(101, 0, 0, 0, 0))")
    before = time.time()
    [told] = watched(child)
    assert child.output() == ["EPERM"]
    assert (told.name, told.number, told.pid, told.count) == ("ptrace", 101, child.process.pid, 1)
    assert before <= told.at <= time.time()


EVERY = """
for number in map(int, sys.argv[2].split(",")) if len(sys.argv) > 2 else NUMBERS:
    say(call(number, 0, 0, 0, 0, 0, 0))
"""
TOLD = [number for name, number in FORBIDDEN.items() if name not in PROBED]


def test_every_call_without_honest_use_is_told_with_its_errno(
    start: Callable[[str], Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_calls, "BURST", 1000)
    child = start(f"NUMBERS = {TOLD}\n{EVERY}")
    told = watched(child)
    assert child.output() == ["EPERM"] * len(TOLD)
    assert [call.number for call in told] == TOLD
    assert {call.name for call in told} == set(FORBIDDEN) - PROBED


def test_what_libraries_try_out_is_refused_and_not_told(start: Callable[[str], Child]) -> None:
    numbers = [FORBIDDEN[name] for name in sorted(PROBED)]
    child = start(f"NUMBERS = {[*numbers, 435, 999]}\n{EVERY}")
    assert watched(child) == []
    assert child.output() == ["EPERM"] * len(numbers) + ["ENOSYS"] * 2


def test_ordinary_code_is_not_told(start: Callable[[str], Child]) -> None:
    child = start(
        "import asyncio, multiprocessing, shutil, sqlite3, ssl, tempfile, urllib.request, uuid\n"
        "asyncio.run(asyncio.sleep(0)); multiprocessing.Lock(); ssl.create_default_context()\n"
        "threading.Thread(target=print).start(); uuid.uuid4(); sqlite3.connect(':memory:')\n"
        "folder = tempfile.mkdtemp(); open(folder + '/a', 'w').close()\n"
        "shutil.copytree(folder, folder + '/b'); shutil.rmtree(folder)\n"
        "socket.socketpair(); os.waitpid(os.fork() or os._exit(0), 0)\n"
        "for attempt in (lambda: socket.create_connection(('127.0.0.1', 9), 1),\n"
        "                lambda: socket.socket(socket.AF_INET6).bind(('::1', 0)),\n"
        "                lambda: urllib.request.urlopen('http://name.invalid/')):\n"
        "    try: attempt()\n"
        "    except OSError: say('refused')\n"
    )
    assert watched(child) == []
    assert child.output() == ["refused"] * 3


@pytest.mark.parametrize(
    ("code", "answer", "name"),
    [
        ("socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)", "97", "socket(AF_UNIX)"),
        ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "97", "socket(AF_NETLINK)"),
        ("socket.socket(socket.AF_VSOCK)", "97", "socket(AF_VSOCK)"),
        ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "97", "socket(AF_PACKET)"),
        ("socket.socket(23, 1)", "97", "socket(another domain)"),
        ("os.execv('/usr/bin/true', ['true'])", "13", "execve"),
        ("socket.socket().bind(('127.0.0.1', 0))", "1", "bind"),
        ("socket.socketpair()[0].bind('\\0name')", "1", "bind"),
        ("socket.socket().listen()", "1", "listen"),
        ("os.mknod('/tmp/zebra7-node', 0o20600, 0x0101)", "1", "mknodat"),
        ("os.chroot('/tmp')", "1", "chroot"),
        ("linux.unshare(0x10000000)", "1", "unshare(CLONE_NEWUSER)"),
        ("linux.unshare(0x50000000)", "1", "unshare(CLONE_NEWUSER|CLONE_NEWNET)"),
        ("linux.unshare(0x400)", "1", "unshare(no namespace)"),
        ("linux.Cloner().clone(0x20000)", "1", "clone(CLONE_NEWNS)"),
        ("import fcntl; fcntl.ioctl(0, 0x5412, b'x')", "1", "ioctl(TIOCSTI)"),
        ("import time; time.clock_settime(0, 1.0)", "1", "clock_settime"),
    ],
)
def test_the_way_python_makes_the_call(
    start: Callable[[str], Child], code: str, answer: str, name: str
) -> None:
    code = code.replace("; ", "\n    ")
    child = start(f"try:\n    {code}\nexcept OSError as error:\n    say(error.errno)")
    assert {call.name for call in watched(child)} == {name}
    assert child.output() == [answer]


def test_children_and_threads_are_watched_too(start: Callable[[str], Child]) -> None:
    child = start(
        "linux.install_filter(seccomp.instance_program())\n"
        "thread = threading.Thread(target=lambda: say(threading.get_native_id(), call(101)))\n"
        "thread.start(); thread.join()\n"
        "pid = os.fork()\n"
        "if pid == 0: say(os.getpid(), call(165)); os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )
    told = watched(child)
    thread, first, forked, second = child.output()
    assert (first, second) == ("EPERM", "EPERM")
    assert [(call.name, call.pid) for call in told] == [
        ("ptrace", int(thread)),
        ("mount", int(forked)),
    ]


def test_an_instance_is_told_by_its_number_in_its_zygote_s_namespace(
    start: Callable[[str], Child],
) -> None:
    """Of a thread and of a grandchild that lost its parent as well."""
    child = start(
        "pid = linux.Cloner().clone(linux.INSTANCE_NAMESPACES)\n"
        "if pid == 0:\n"
        "    linux.install_filter(seccomp.instance_program())\n"
        "    call(101)\n"
        "    thread = threading.Thread(target=lambda: call(165)); thread.start(); thread.join()\n"
        "    if os.fork() == 0:\n"
        "        if os.fork() == 0:\n"
        "            import time; time.sleep(0.1)\n"
        "            call(250); os._exit(0)\n"
        "        os._exit(0)\n"
        "    while True:\n"
        "        try: os.wait()\n"
        "        except ChildProcessError: os._exit(0)\n"
        "say(pid); os.waitpid(pid, 0)\n"
    )
    told = watched(child)
    pid = int(child.output()[0])
    assert [call.name for call in told] == ["ptrace", "mount", "keyctl"]
    levels = len(namespace_leader(os.getpid()))
    for call in told:
        assert call.process[-2:] == (pid, 1)
        assert len(call.process) == levels + 1


def test_calls_alike_are_told_once_and_counted(start: Callable[[str], Child]) -> None:
    child = start("for _ in range(30): call(101)\nfor _ in range(5): call(165)\n")
    told = watched(child)
    assert [(call.name, call.count) for call in told] == [
        ("ptrace", 1),
        ("mount", 1),
        ("ptrace", 29),
        ("mount", 4),
    ]
    assert told[0].at <= told[2].at


def test_a_flood_is_slowed_down_and_counted(start: Callable[[str], Child]) -> None:
    child = start("while True: call(101)")

    async def look(watch: SystemCallWatch, told: list[DeniedCall]) -> None:
        begun = time.monotonic()
        loop_was_away = 0.0  # in seconds of the processor: others may want it as well
        while time.monotonic() < begun + 2.0:
            now = time.thread_time()
            await asyncio.sleep(0.005)
            loop_was_away = max(loop_was_away, time.thread_time() - now)
        assert loop_was_away < 0.5
        watch.close()
        answered = sum(call.count for call in told)
        seconds = time.monotonic() - begun + 0.5
        most = system_calls.BURST + seconds * system_calls.PER_SECOND
        assert system_calls.BURST <= answered <= most
        assert len(told) <= 6

    watched(child, look)


def test_a_caller_that_waits_can_be_killed(start: Callable[[str], Child]) -> None:
    child = start("say('ready')\nwhile True: call(101)")

    async def look(watch: SystemCallWatch, told: list[DeniedCall]) -> None:
        while sum(call.count for call in told) == 0:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)  # it waits for an answer by now
        child.process.kill()
        assert await child.ended() == -signal.SIGKILL
        while not watch.closed:  # nobody is under the filter any more
            await asyncio.sleep(0.01)

    assert watched(child, look)


def test_a_caller_killed_before_its_call_is_taken_stops_nothing(
    start: Callable[[str], Child],
) -> None:
    child = start(
        "pid = os.fork()\n"
        "if pid == 0: call(101)\n"
        "import time; time.sleep(0.3); os.kill(pid, 9); os.waitpid(pid, 0); say(call(165))\n"
    )
    poll = select.poll()
    poll.register(child.listener, select.POLLIN)
    assert poll.poll(5000)
    time.sleep(0.6)
    told = watched(child)
    assert [call.name for call in told] == ["mount"]
    assert child.output() == ["EPERM"]


def test_a_caller_interrupted_by_signals_is_refused_in_the_end(
    start: Callable[[str], Child],
) -> None:
    child = start(
        "import signal\n"
        "signal.signal(signal.SIGALRM, lambda *_: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)\n"
        "say(*{call(101) for _ in range(40)})\n"
    )
    assert {call.name for call in watched(child)} == {"ptrace"}
    assert set(child.output()) <= {"EPERM", "EINTR"}


def test_without_a_watch_nothing_gets_through(start: Callable[[str], Child]) -> None:
    child = start("say(call(101), call(165))")
    os.close(child.listener)
    assert child.output() == ["ENOSYS", "ENOSYS"]


def test_closing_refuses_those_that_wait(start: Callable[[str], Child]) -> None:
    child = start("say(*{call(101) for _ in range(1000)})")

    async def look(watch: SystemCallWatch, told: list[DeniedCall]) -> None:
        await asyncio.sleep(0.5)
        watch.close()
        assert await child.ended() == 0

    told = watched(child, look)
    assert sum(call.count for call in told) < 1000
    assert set(child.output()) == {"EPERM", "ENOSYS"}


def test_a_record_that_fails_refuses_all_the_same(start: Callable[[str], Child]) -> None:
    child = start("say(call(101), call(165))")

    async def main() -> int:
        def broken(_call: DeniedCall) -> None:
            raise RuntimeError("the store is full")

        failures: list[str] = []
        watch = SystemCallWatch(
            child.listener,
            asyncio.get_running_loop(),
            broken,
            on_failed=failures.append,
        )
        await child.ended()
        watch.close()
        assert not failures
        return watch.unreported

    assert asyncio.run(main()) == 2
    assert child.output() == ["EPERM", "EPERM"]


@pytest.mark.parametrize("errno", [0, -1, 1 << 20])
def test_no_answer_but_an_errno_is_ever_given(
    start: Callable[[str], Child], monkeypatch: pytest.MonkeyPatch, errno: int
) -> None:
    """0 would tell the caller that its call worked."""
    monkeypatch.setattr(system_calls, "refusal", lambda _number: errno)
    child = start("say(call(101))")
    failures: list[str] = []

    async def main() -> None:
        watch = SystemCallWatch(
            child.listener,
            asyncio.get_running_loop(),
            lambda _call: None,
            on_failed=failures.append,
        )
        await child.ended()
        assert watch.closed

    asyncio.run(main())
    assert child.output() == ["ENOSYS"]
    assert len(failures) == 1


def test_a_descriptor_that_is_no_listener_is_closed_and_told() -> None:
    reading, writing = os.pipe()
    failures: list[str] = []

    async def main() -> None:
        watch = SystemCallWatch(
            reading,
            asyncio.get_running_loop(),
            lambda _call: None,
            on_failed=failures.append,
        )
        os.write(writing, b"x")
        while not watch.closed:
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert failures and "OSError" in failures[0]
    os.close(writing)


UNDER_THE_GATEWAY_S_FILTER = """
import asyncio, sys
sys.path.insert(0, "src"); sys.path.insert(0, "tests/unit/sandbox")
from casemate.kernel import linux, seccomp
import test_sandbox_system_calls as ours
child = ours.Child("say(call(101), call(41, 16, 3, 0))")
linux.set_no_new_privileges()
linux.install_filter(seccomp.gateway_program())
print([call.name for call in ours.watched(child)], child.output())
"""


def test_the_gateway_may_watch_behind_its_own_filter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNDER_THE_GATEWAY_S_FILTER],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    expected = "['ptrace', 'socket(AF_NETLINK)'] ['EPERM', 'EAFNOSUPPORT']"
    assert done.stdout.strip() == expected, done.stderr


def test_a_process_that_is_gone_has_no_leader() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert namespace_leader(ended.pid) == ()
    assert namespace_leader(0) == namespace_leader(-1) == ()
