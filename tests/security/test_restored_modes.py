"""A process that goes on in code of 32 bits ends nobody but itself: it has other registers then."""

from __future__ import annotations

import time

import pytest

from casemate.restorer.probe import restoring_problem
from casemate.restorer.reasons import DiscardError, Reason
from support.node import TestNode
from support.restored import MACHINE_CODE, SECONDS, restored

pytestmark = pytest.mark.timeout(120)
PLACES = tuple(range(0x10000000, 0x70000000, 0x8000000))
"""Where code of 32 bits can be; the heap of an interpreter may be at some of these."""
LOW = f"""
low = next(p for p in {PLACES} if raw('mmap', p, 4096, 7, 0x100022, -1, 0) == p)
ctypes.memmove(low, bytes.fromhex(CODE), len(CODE) // 2)
# push $0x23 (their code segment); push $low; lretq
far = machine(b'\\x6a\\x23\\x68' + low.to_bytes(4, 'little') + b'\\x48\\xcb')
"""
FAULTS = {"an unknown instruction": "0f0b", "memory that is not there": "a100000000", "hlt": "f4"}
ENDLESS = "ebfe"
STAYS = f"""
CODE = ''
{LOW}
flag = low + 2048
# By the stack's segment: that of data is none there.
there = b'\\x36\\xc6\\x05' + flag.to_bytes(4, 'little') + b'\\x01' + bytes.fromhex('{ENDLESS}')
ctypes.memmove(low, there, len(there))
threading.Thread(target=far, daemon=True).start()
while not ctypes.c_byte.from_address(flag).value:
    time.sleep(0.001)
"""
"""It writes where it is, then goes round: one that has not come there yet can be ended."""


@pytest.mark.parametrize("row", FAULTS)
def test_a_fault_there_ends_it(row: str) -> None:
    with restored(MACHINE_CODE) as child:
        child.send(f"CODE = '{FAULTS[row]}'\n{LOW}\nfar()")
        with pytest.raises((EOFError, ConnectionError)):
            child.answer()
        deadline = time.monotonic() + SECONDS
        while child.held.tracee.alive and time.monotonic() < deadline:
            child.held.tracee.sweep()
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason in (Reason.REGISTERS, Reason.SIGNAL, Reason.GONE)


def test_a_thread_that_stays_there_costs_the_process_its_use() -> None:
    with restored(MACHINE_CODE) as child:
        child.call(STAYS)
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason in (Reason.REGISTERS, Reason.GONE)


FUNCTION = f"""
import ctypes, mmap, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]

def handler(event, context):
    if event:
        low = next(p for p in {PLACES} if libc.mmap(p, 4096, 7, 0x100022, -1, 0) == p)
        code = bytes.fromhex(event["code"])
        ctypes.memmove(low, code, len(code))
        far = b"\\x6a\\x23\\x68" + low.to_bytes(4, "little") + b"\\x48\\xcb"
        ctypes.memmove(low + 64, far, len(far))
        run = ctypes.CFUNCTYPE(ctypes.c_long)(low + 64)
        if event["thread"]:
            threading.Thread(target=run, daemon=True).start()
        else:
            run()
    return 1
"""


@pytest.mark.skipif(bool(restoring_problem()), reason=restoring_problem())
def test_no_function_ends_the_restorer_of_the_others(node: TestNode) -> None:
    node.deploy(FUNCTION, name="modes", unguarded=True)
    for _ in range(5):
        node.invoke({}, function="t/modes")
    restorer = node.part("restorer")
    for thread in (False, True):
        for code in (*FAULTS.values(), ENDLESS) if thread else FAULTS.values():
            answer = node.invoke({"code": code, "thread": thread}, function="t/modes")
            assert answer.status_code in (200, 500, 502)
            for _ in range(3):
                assert node.invoke({}, function="t/modes").json() == 1
    assert node.part("restorer") == restorer is not None
