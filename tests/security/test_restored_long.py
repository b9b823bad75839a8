"""After many calls a process is what it was at its snapshot; so it is after any disturbance."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from typing import Any

import pytest

from casemate.kernel import remote_memory, tracing
from casemate.kernel.process_files import ProcessFiles
from casemate.restorer.reasons import DiscardError
from casemate.restorer.snapshot import State
from support import residue
from support.restored import Restored

OF_INSTANCES = ("a log line", "an answer that cannot be sent", "the affinity")
"""What the child here has not, that is no instance: its log, its answers, and the filter that
refuses it some calls."""
CALLS = [
    *(residue.PYTHON | residue.C).values(),
    *(code for row, code in residue.UNSEEN_AGAIN.items() if row not in OF_INSTANCES),
]
SHORT, LONG = 500, 100_000


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(SHORT, marks=pytest.mark.timeout(120)),
        pytest.param(LONG, marks=[pytest.mark.storm, pytest.mark.timeout(3600)]),
    ],
)
def test_memory_and_kernel_state_are_those_of_the_snapshot(count: int) -> None:
    child = Restored(prepare=f"{residue.source()}\nevent = {{'x': 'secret'}}\n", tmp=True)
    order = random.Random(7)
    try:
        child.ready()
        snapshot = child.held.snapshot
        assert snapshot is not None
        for _ in range(count):
            try:
                child.call(order.choice(CALLS))
            except RuntimeError as error:  # what calls raise on purpose
                assert "NameError" not in str(error)
            child.ready()
        assert child.held.restored == count
        assert child.differences() == []
        now, was = State.of(child.files, child.tmp), snapshot.state
        # But for the call that it waits in, which is broken off here and is not at a snapshot.
        here, home = tracing.general(child.pid), snapshot.general
        assert here._replace(rax=home.rax, orig_rax=home.orig_rax) == home
        assert tracing.extended(child.pid) == snapshot.extended
        assert (now.maps, now.status, now.limits) == (was.maps, was.status, was.limits)
        assert (now.descriptors, now.kept, now.folder) == (was.descriptors, was.kept, was.folder)
        assert now.children == was.children == (snapshot.twin,)
        assert now.tmp is not None and was.tmp is not None and now.tmp.lasting == was.tmp.lasting
    finally:
        child.close()


# -- in the middle of a restore ----------------------------------------------------------------

PLANT = "state['secret'] = 1; ctypes.memset(AREA, 67, 9000); os.environ['SECRET'] = 'x'"
LOOK = "result = [sorted(state), bytes(area[:9]).hex(), 'SECRET' in os.environ]"
AREA = "area = ctypes.create_string_buffer(9000); AREA = ctypes.addressof(area)"
STEPS: dict[str, tuple[Any, str]] = {
    "when it is compared": (ProcessFiles, "status"),
    "when its descriptors are looked at": (remote_memory, "same_file"),
    "when its memory is written": (remote_memory.Copy, "write"),
    "when its state is set": (tracing, "set_extended"),
    "when its state is looked at": (tracing, "extended"),
    "when it goes on": (tracing, "resume"),
}
SIGNALS = (signal.SIGKILL, signal.SIGSTOP, signal.SIGUSR1, signal.SIGSEGV, signal.SIGALRM)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("step", STEPS)
def test_a_signal_in_the_middle_leaves_nothing(
    step: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Restored(prepare=AREA)
    try:
        child.ready()
        pristine = child.call(LOOK)
        child.ready()
        child.call(PLANT)
        sent = _on_first(monkeypatch, *STEPS[step], lambda: os.kill(child.pid, number))
        try:
            child.ready()
        except DiscardError:
            return
        finally:
            assert sent, "it was never sent"
        try:
            found = child.call(LOOK)
        except (EOFError, OSError):
            return
        assert found == pristine
        with pytest.raises(DiscardError):
            child.ready()
    finally:
        monkeypatch.undo()
        child.close()


def _on_first(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, act: Callable[[], None]
) -> list[int]:
    """Have something done at the first use of a function from now on."""
    before, done = getattr(owner, name), []

    def then(*arguments: Any) -> Any:
        if not done:
            done.append(1)
            act()
        return before(*arguments)

    monkeypatch.setattr(owner, name, then)
    return done


@pytest.mark.timeout(60)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_has_it_not_used(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel may refuse anything at any time: for want of memory, or since it has ended."""
    child = Restored(prepare=AREA)

    def fail() -> None:
        raise OSError(12, "no memory")

    try:
        child.ready()
        child.call(PLANT)
        assert not _on_first(monkeypatch, *STEPS[step], fail)
        with pytest.raises(DiscardError):
            child.ready()
    finally:
        monkeypatch.undo()
        child.close()
