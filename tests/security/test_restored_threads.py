"""Threads and handlers of signals that a call leaves are gone before the next one.

By a process that is restored by the test's own; with a node: test_planted_residue.
"""

from __future__ import annotations

import os

import pytest

from casemate.restorer.reasons import DiscardError, Reason
from support.restored import MACHINE_CODE, PLACES, Restored, restored

pytestmark = pytest.mark.timeout(120)
LOOPS = "threading.Thread(target={}, daemon=True).start()"
THREADS = {
    "one that has ended": "t = threading.Thread(target=len, args=('',)); t.start(); t.join()",
    "one that sleeps": "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
    "many": (
        "[threading.Thread(target=time.sleep, args=(99,), daemon=True).start() for _ in range(40)]"
    ),
    "one that computes": "def f():\n while True: pass\n" + LOOPS.format("f"),
    "one that writes": (
        "def f():\n while True: ctypes.memset(spare, 67, 16384); state[len(state) % 50] = [7]\n"
        + LOOPS.format("f")
    ),
    "one that maps memory": (
        "def f():\n"
        " while True: raw('munmap', raw('mmap', 0, 1 << 20, 3, 0x22, -1, 0), 1 << 20)\n"
        + LOOPS.format("f")
    ),
    "one that grows": "def f():\n while True: state[len(state)] = bytearray(500)\n"
    + LOOPS.format("f")
    + "; time.sleep(0.001)",
    "one that starts others": (
        "def f():\n"
        " while True:\n"
        "  t = threading.Thread(target=len, args=('',), daemon=True); t.start(); t.join()\n"
        + LOOPS.format("f")
    ),
    "ones that start others": (
        "def f(n):\n n and threading.Thread(target=f, args=(n - 1,), daemon=True).start()\n"
        " time.sleep(9)\n"
        "threading.Thread(target=f, args=(9,), daemon=True).start()"
    ),
    "one that waits for a lock": (
        "lock = threading.Lock(); lock.acquire(); " + LOOPS.format("lock.acquire")
    ),
    "one with a name": (
        "threading.Thread(target=lambda: (raw('prctl', 15, ctypes.c_char_p(b'secret'), 0, 0, 0),"
        " time.sleep(9)), daemon=True).start(); time.sleep(0.01)"
    ),
    "one with a mask": (
        "threading.Thread(target=lambda: (signal.pthread_sigmask(0, range(1, 65)),"
        " time.sleep(9)), daemon=True).start(); time.sleep(0.01)"
    ),
    "one with locks that are left": (
        "threading.Thread(target=lambda: (raw('set_robust_list', PAGE, 24),"
        " time.sleep(9)), daemon=True).start(); time.sleep(0.01)"
    ),
    "one that ends in the middle": (
        "threading.Thread(target=lambda: raw('exit', 0), daemon=True).start(); time.sleep(0.01)"
    ),
    "one by itself": "clone(THREAD)",
    "one with a segment of its own": (
        "threading.Thread(target=lambda: (machine(SET_GS)(), time.sleep(9)), daemon=True).start()"
    ),
    "a pool": (
        "import concurrent.futures\n"
        "state['p'] = concurrent.futures.ThreadPoolExecutor(8)\n"
        "assert list(state['p'].map(len, ['ab'] * 50)) == [2] * 50"
    ),
    "a loop's": (
        "import asyncio\n"
        "async def f(): await asyncio.gather(*(asyncio.to_thread(len, 'a') for _ in 'abc'))\n"
        "asyncio.run(f())"
    ),
}


@pytest.mark.parametrize("row", THREADS)
def test_threads_end_with_their_call(row: str) -> None:
    with restored(MACHINE_CODE + PLACES + "import asyncio, concurrent.futures") as child:
        for _ in range(3):
            assert child.call("result = [len(state), threading.active_count()]") == [0, 1]
            child.ready()
            # The first thread has its turn soon: who comes home late is broken off.
            child.call(f"sys.setswitchinterval(1e-5)\n{THREADS[row]}\nstate['x'] = 1")
            child.ready()
            assert len(os.listdir(f"/proc/{child.pid}/task")) == 1
        assert child.differences() == []


@pytest.mark.parametrize(
    "row", ["threading.Thread(target=raw, args=('exit_group', 0)).start(); time.sleep(9)",
            "raw('exit', 0)"]
)  # fmt: skip
def test_the_end_of_the_first_thread_is_the_end(row: str) -> None:
    with restored(PLACES) as child:
        child.send(row)
        with pytest.raises(DiscardError):
            child.held.make_ready()


def test_who_waits_elsewhere_is_not_at_home() -> None:
    """Code of the function's that waits as the runner does is not taken for the end of a call."""
    waits = "raw('recvfrom', 3, PAGE, 4096, 0x40000000, 0, 0)"
    for before in ("", "t = threading.Thread(target=len, args=('',)); t.start(); t.join(); "):
        with restored(PLACES) as child:
            child.send("sock.sendall(b'!'); " + before + waits)
            # On a busy machine it would still be at home.
            assert child.sock.recv(1) == b"!"
            with pytest.raises(DiscardError) as caught:
                child.held.make_ready()
            assert caught.value.reason is Reason.CALL


def test_a_message_is_not_judged_while_another_thread_could_change_it() -> None:
    sends = "a, b = socket.socketpair(); a.sendmsg([b'x']); a.close(); b.close()"
    with restored(PLACES) as child:
        child.call(sends)
        child.ready()
        ends = "t = threading.Thread(target=len, args=('',)); t.start(); t.join(); time.sleep(0.05)"
        child.call(f"{ends}; {sends}")
        child.ready()
        child.call(f"threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); {sends}")
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason is Reason.CALL


HANDLERS = {
    "one that is ignored": "signal.signal(signal.SIGUSR1, signal.SIG_IGN)",
    "one that is handled": "signal.signal(signal.SIGUSR1, lambda *_: state.clear())",
    "some": "[signal.signal(n, signal.SIG_IGN) for n in (1, 10, 12, 14, 15, 17, 64)]",
    "those of a step": "signal.signal(signal.SIGTRAP, signal.SIG_IGN)",
}


def signals(child: Restored) -> list[bytes]:
    return [line for line in child.files.status() if line.startswith((b"Sig", b"Shd"))]


@pytest.mark.parametrize("row", HANDLERS)
def test_handlers_are_taken_away(row: str) -> None:
    look = "result = [str(signal.getsignal(n)) for n in range(1, 65) if n not in (32, 33)]"
    with restored() as child:
        pristine = child.call(look)
        before = signals(child)
        child.ready()
        child.call(f"{HANDLERS[row]}; assert {look[9:]} != {pristine}")
        child.ready()
        assert signals(child) == before
        assert child.call(look) == pristine
        child.ready()
        assert child.differences() == []


def test_a_mask_is_seen() -> None:
    with restored() as child:
        child.call(
            "m = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]);"
            "signal.pthread_sigmask(signal.SIG_SETMASK, m)"
        )
        child.ready()
        child.call("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])")
        with pytest.raises(DiscardError) as caught:
            child.ready()
        assert caught.value.reason is Reason.STATUS
