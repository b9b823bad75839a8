"""Memory for a gateway, and the process of one that is killed with something in it."""

from __future__ import annotations

import os
import subprocess
import sys
from types import TracebackType

from casemate.recorder import outstanding

GATEWAY = """
import sys
from casemate.recorder.outstanding import Outstanding
from casemate.recorder.protocol import Told
memory = Outstanding(int(sys.argv[1]), bytes.fromhex(sys.argv[2]))
print("", flush=True)
for line in sys.stdin:
    kind, fact, number = line.split()
    memory.put(Told(kind, bytes.fromhex(fact)), int(number))
    print("", flush=True)
"""


def new_memory() -> int:
    made = os.memfd_create("outstanding")
    os.ftruncate(made, outstanding.SIZE)
    return made


class OtherGateway:
    """Holds memory as a gateway in a process of its own does."""

    def __init__(self, memory: int, session: bytes) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", GATEWAY, str(memory), session.hex()],
            pass_fds=(memory,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._done()

    def put(self, kind: str, fact: bytes, number: int = -1) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{kind} {fact.hex()} {number}\n")
        self._process.stdin.flush()
        self._done()

    def _done(self) -> None:
        assert self._process.stdout is not None and self._process.stdout.readline() == "\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> OtherGateway:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.kill()
