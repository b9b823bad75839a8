"""What a system call costs whose use is learned: known, let through, and refused.

    python -m bench.learned_calls

In turns, each in a process of its own under the filter of a zygote: unlink(2) of a name that is not
there. `gateway` is the processor time of who answers, of a call.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time

from casemate.kernel.system_calls import NOTABLE
from casemate.sandbox import system_calls
from casemate.sandbox.system_calls import SystemCallWatch

ROUNDS = 7
KINDS: dict[str, tuple[tuple[str, ...], int]] = {
    "nothing learned": ((), 100_000),
    "usual": (tuple(name for name in NOTABLE if name != "unlink"), 100_000),
    "let through": (NOTABLE, 4_500),
    "refused": (NOTABLE, 90),
}
CHILD = """
import os, socket, sys, time
from casemate.kernel import linux, seccomp
asked, calls = sys.argv[2].split(), int(sys.argv[3])
linux.set_no_new_privileges()
program = linux.PreparedFilter(seccomp.zygote_program(asked=asked))
listener = program.install_with_listener()
socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [b"x"], [listener])
os.close(listener)
started = time.perf_counter()
for _ in range(calls):
    try:
        os.unlink("/none")
    except OSError:
        pass
print((time.perf_counter() - started) / calls * 1e6)
"""


def measure(kind: str) -> tuple[float, float]:
    """Return microseconds of a call, and of the processor in who answers it."""
    asked, calls = KINDS[kind]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(theirs.fileno()), " ".join(asked), str(calls)],
            pass_fds=[theirs.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
        _, [listener], _, _ = socket.recv_fds(ours, 1, 1)
    started = time.process_time()
    asyncio.run(_answer(listener, child, NOTABLE if kind == "let through" else ()))
    used = (time.process_time() - started) / calls * 1e6
    with child:
        assert child.stdout is not None
        return float(child.stdout.read()), used


async def _answer(listener: int, child: subprocess.Popen[str], passing: tuple[str, ...]) -> None:
    loop = asyncio.get_running_loop()
    watch = SystemCallWatch(listener, loop, lambda _: None, passing=passing)
    ended = os.pidfd_open(child.pid)
    done = asyncio.Event()
    loop.add_reader(ended, done.set)
    await done.wait()
    loop.remove_reader(ended)
    os.close(ended)
    watch.close()


def main() -> None:
    """Print medians of rounds in turns."""
    rounds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind, found in rounds.items():
            found.append(measure(kind))
    result = {
        kind: {
            "call us": round(statistics.median(one for one, _ in found), 2),
            "gateway us": round(statistics.median(two for _, two in found), 2),
        }
        for kind, found in rounds.items()
    }
    most = system_calls.PER_SECOND / system_calls.PASSED_COST
    print(json.dumps(result | {"let through, most a second": most}, indent=2))


if __name__ == "__main__":
    main()
