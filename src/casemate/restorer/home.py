"""Where an instance stands when it is set back: before the call that waits for its next one.

It stops there by its filter (`kernel/flagging.py`), before anything is begun in the kernel.
"""

from __future__ import annotations

from casemate.kernel import machines, tracing
from casemate.kernel.flagging import WAITING
from casemate.kernel.process_files import KEPT


def is_home(state: bytes, home: bytes | None) -> bool:
    """Tell whether registers are those of one at home: anywhere, as long as `home` is not known."""
    if tracing.call_of(state) != (machines.X86_64.calls["recvfrom"], KEPT[-1], WAITING):
        return False
    if home is None:
        return True
    # All others are set back.
    return tracing.place_of(state) == tracing.place_of(home)


def skipping(state: bytes) -> tracing.General:
    """Return the registers by which one at home makes no call there."""
    return tracing.General.of(state)._replace(orig_rax=tracing.NO_CALL)


def before(home: tracing.General) -> tracing.General:
    """Return the registers by which one comes home with its next instruction."""
    place = home.rip - len(tracing.SYSCALL_INSTRUCTION)
    return home._replace(rip=place, rax=home.orig_rax, orig_rax=tracing.NO_CALL)
