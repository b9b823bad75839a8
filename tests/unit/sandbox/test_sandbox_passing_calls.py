"""Calls that are learned are let through and told; nothing else is, whatever asks for it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator

import pytest
import test_sandbox_system_calls as denied
from test_sandbox_system_calls import Child

from casemate.kernel.system_calls import NOTABLE
from casemate.sandbox import system_calls
from casemate.sandbox.system_calls import DeniedCall, SystemCallWatch

ASKING = denied.PRELUDE.replace("zygote_program()", f"zygote_program(asked={NOTABLE})")
Start = Callable[[str], Child]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Return what starts a child whose filter asks about all notable calls."""
    monkeypatch.setattr(denied, "PRELUDE", ASKING)
    children: list[Child] = []

    def run(code: str) -> Child:
        children.append(Child(code))
        return children[-1]

    yield run
    for child in children:
        child.close()


class Told:
    """What a watch told, and could not tell."""

    def __init__(self) -> None:
        self.met: list[str] = []
        self.denied: list[DeniedCall] = []
        self.unreported = 0

    def watch(
        self, child: Child, passing: tuple[str, ...] = NOTABLE, *, seconds: float = 0.0
    ) -> Told:
        """Answer until the child ends, or for so long."""

        async def main() -> None:
            watch = SystemCallWatch(
                child.listener,
                asyncio.get_running_loop(),
                self.denied.append,
                on_failed=lambda reason: pytest.fail(reason),
                passing=passing,
                on_met=self.meet,
            )
            if seconds:
                await asyncio.sleep(seconds)
            else:
                await child.ended()
            self.unreported = watch.unreported
            watch.close()

        asyncio.run(main())
        return self

    def meet(self, name: str) -> None:
        """Take one."""
        self.met.append(name)


MAKING = """
import tempfile
folder = tempfile.mkdtemp(); os.rmdir(folder)
open(folder, "w").close(); os.unlink(folder)
say(os.path.exists(folder), call(101), call(165))
"""


def test_what_is_let_through_is_done_and_told_and_the_rest_refused(start: Start) -> None:
    child = start(MAKING)
    told = Told().watch(child)
    assert child.output() == ["False", "EPERM", "EPERM"]
    assert set(told.met) == {"mkdir", "rmdir", "unlink"}
    assert [call.name for call in told.denied] == ["ptrace", "mount"]


def test_what_is_not_to_pass_is_refused_though_it_could(start: Start) -> None:
    child = start("for path in '/tmp/zebra7-none', '/zebra7':\n    say(call(83, path.encode(), 0))")
    told = Told().watch(child, ("unlink",))
    assert child.output() == ["EPERM", "EPERM"]
    assert told.met == [] and {call.name for call in told.denied} == {"mkdir"}


def test_nothing_forbidden_passes_though_somebody_asks_for_it(start: Start) -> None:
    """A fault of ours, such as a name too many, ends the watch, and with it the zygote."""
    child = start("say(call(101))")
    failures: list[str] = []

    async def main() -> None:
        watch = SystemCallWatch(
            child.listener,
            asyncio.get_running_loop(),
            lambda _: None,
            on_failed=failures.append,
            passing=("ptrace",),
        )
        await child.ended()
        assert watch.closed

    asyncio.run(main())
    assert child.output() == ["ENOSYS"]
    assert len(failures) == 1 and "not to be let through" in failures[0]


def test_one_call_is_told_once_in_a_while(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import time\nfor _ in range(20): call(87, 0); time.sleep(0.02)"
    assert Told().watch(start(code)).met == ["unlink"]
    monkeypatch.setattr(system_calls, "MET_SECONDS", 0.1)
    assert 2 <= len(Told().watch(start(code)).met) <= 6


def test_a_record_that_fails_keeps_nobody_waiting(start: Start) -> None:
    told = Told()
    told.meet = lambda name: 1 / 0  # type: ignore[assignment,return-value]
    child = start("say(call(87, 0))")
    told.watch(child)
    assert child.output() == ["EFAULT"] and told.unreported == 1


def test_a_flood_of_what_passes_is_slowed_down(start: Start) -> None:
    child = start(
        "import time\n"
        "until = time.monotonic() + 1.5\n"
        "made = 0\n"
        "while time.monotonic() < until: call(87, 0); made += 1\n"
        "say(made)\n"
    )
    began = time.process_time()
    told = Told().watch(child)
    used = time.process_time() - began
    most = (system_calls.BURST + 3.0 * system_calls.PER_SECOND) / system_calls.PASSED_COST
    assert system_calls.BURST / system_calls.PASSED_COST <= int(child.output()[0]) <= most
    assert told.met == ["unlink"] and used < 1.0


def test_a_caller_that_waits_can_be_killed(start: Start) -> None:
    child = start("while True: call(87, 0)")
    Told().watch(child, seconds=1.2)
    child.process.kill()
    assert child.process.wait(10) == -9


def test_threads_and_children_are_let_through_too(start: Start) -> None:
    child = start(
        "linux.install_filter(seccomp.instance_program())\n"
        "thread = threading.Thread(target=lambda: say(call(83, b'/zebra7/none', 0)))\n"
        "thread.start(); thread.join()\n"
        "pid = os.fork()\n"
        "if pid == 0: say(call(87, b'/zebra7')); os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )
    told = Told().watch(child)
    assert child.output() == ["ENOENT", "ENOENT"]
    assert sorted(told.met) == ["mkdir", "unlink"]


def test_a_caller_interrupted_by_signals_makes_its_call_in_the_end(start: Start) -> None:
    child = start(
        "import signal\n"
        "signal.signal(signal.SIGALRM, lambda *_: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)\n"
        "say(*{call(87, 0) for _ in range(40)})\n"
    )
    Told().watch(child)
    assert set(child.output()) <= {"EFAULT", "EINTR"}


def test_without_a_watch_nothing_gets_through(start: Start) -> None:
    child = start("say(call(87, 0))")
    os.close(child.listener)
    assert child.output() == ["ENOSYS"]
