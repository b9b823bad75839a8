"""Where an instance stands to be set back, by its registers alone."""

from __future__ import annotations

import pytest

from casemate.kernel import tracing
from casemate.kernel.flagging import WAITING
from casemate.kernel.machines import X86_64
from casemate.restorer.home import before, is_home, skipping

HOME = tracing.General(*([7] * 27))._replace(
    orig_rax=X86_64.calls["recvfrom"], rdi=3, r10=WAITING, rip=0x1002, rax=(1 << 64) - 38
)


def test_the_call_that_waits_is_home() -> None:
    assert is_home(HOME.packed(), None) and is_home(HOME.packed(), HOME.packed())
    # What is set back may be another.
    assert is_home(HOME._replace(rbx=1, rsi=2, eflags=3, fs_base=4).packed(), HOME.packed())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("orig_rax", X86_64.calls["recvmsg"]),
        ("rdi", 4),
        ("rdi", 3 | 1 << 32),
        ("r10", 0),
        ("r10", WAITING | 2),
        ("r10", WAITING | 1 << 32),
    ],
)
def test_another_call_is_not(name: str, value: int) -> None:
    elsewhere = HOME._replace(**{name: value}).packed()
    assert not is_home(elsewhere, None) and not is_home(elsewhere, HOME.packed())


@pytest.mark.parametrize("name", ["rip", "rsp", "cs", "ss", "rax"])
def test_the_same_call_from_another_place_is_not(name: str) -> None:
    elsewhere = HOME._replace(**{name: 0x2002}).packed()
    assert is_home(elsewhere, None) and not is_home(elsewhere, HOME.packed())


def test_it_is_left_and_come_back_to() -> None:
    left = skipping(HOME.packed())
    assert left.orig_rax == tracing.NO_CALL and left.rip == HOME.rip
    back = before(HOME)
    assert (back.rip, back.rax, back.orig_rax) == (0x1000, HOME.orig_rax, tracing.NO_CALL)
