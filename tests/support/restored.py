"""A process under the filters of an instance, and in the test's own what restores it."""

from __future__ import annotations

import array
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from casemate.kernel import linux
from casemate.kernel.process_files import ProcessFiles, open_process
from casemate.restorer.restoring import Held

SECONDS = 20.0
CHILD = Path(__file__).with_name("restored_child.py")


class Restored:
    """A child that runs the code it is sent, call by call, and is restored in between."""

    def __init__(self, *, prepare: str = "", filters: int = 2, tmp: bool = False) -> None:
        """Start it, and have it traced; `prepare` is run before its snapshot is taken."""
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(SECONDS)
        self.tmp = linux.new_tmpfs(1 << 20, 64) if tmp else None
        with theirs:
            # As 3: where an instance has its socket.
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(CHILD), str(theirs.fileno()), prepare]
                + ([str(self.tmp)] if self.tmp is not None else []),
                pass_fds=(theirs.fileno(), *([self.tmp] if self.tmp is not None else [])),
                stdin=subprocess.DEVNULL,
                # Not the test's own, whose position changes.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self.pid = self.process.pid
        data, ancillary, _, _ = self.sock.recvmsg(16, socket.CMSG_SPACE(4))
        if data != b"u":
            raise RuntimeError("the child did not start")
        received = array.array("i", ancillary[0][2][:4])
        self.uffd = received[0]
        self.files = ProcessFiles(open_process(self.pid))
        self.held = Held(self.pid, files=self.files, uffd=self.uffd, tmp=self.tmp, filters=filters)
        self.sock.sendall(b"g")
        self._until(b"r")

    def _until(self, wanted: bytes | None = None) -> bytes:
        """Pump: calls that are flagged wait for the tracer."""
        deadline = time.monotonic() + SECONDS
        data = b""
        while time.monotonic() < deadline:
            self.held.tracee.sweep()
            ready, _, _ = select.select([self.sock], [], [], 0.001)
            if ready:
                part = self.sock.recv(65536)
                if not part:
                    raise EOFError("the child has ended")
                data += part
                if data == wanted or (wanted is None and data.endswith(b"\n")):
                    return data
        raise TimeoutError("the child did not answer")

    def call(self, code: str) -> Any:
        """Run code there; return what it puts into `result`."""
        self.sock.sendall(json.dumps(code).encode() + b"\n")
        answer = json.loads(self._until())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def send(self, code: str) -> None:
        """Have code run there whose answer nobody waits for."""
        self.sock.sendall(json.dumps(code).encode() + b"\n")

    def ready(self) -> None:
        """Take the snapshot, or restore."""
        self.held.make_ready()

    def close(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.held.tracee.kill()
        self.held.tracee.sweep()
        with suppress(Exception):
            self.process.wait(SECONDS)
        self.sock.close()
        self.files.close()
        os.close(self.uffd)
        if self.tmp is not None:
            os.close(self.tmp)
