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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from casemate.kernel import linux, remote_memory
from casemate.kernel.process_files import ProcessFiles, open_process
from casemate.restorer.reasons import DiscardError
from casemate.restorer.restoring import Held

SECONDS = 20.0
CHILD = Path(__file__).with_name("restored_child.py")
MACHINE_CODE = """
import mmap
area = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
                 prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
place = ctypes.addressof(ctypes.c_char.from_buffer(area))
def machine(code):
    area[:len(code)] = code
    return ctypes.CFUNCTYPE(ctypes.c_ulong)(place)
SET_GS = bytes.fromhex("48c7c034120000f3480faed8c3")
GET_GS = bytes.fromhex("f3480faec8c3")
machine(GET_GS)
libm = ctypes.CDLL("libm.so.6")
buffer = ctypes.create_string_buffer(8192)
local = threading.local()
class Thing: pass
libc.rand(); libm.fegetround()
"""
"""To be prepared: code of the machine, and what there is to be changed."""
PLACES = """
PAGE = ctypes.addressof(ctypes.create_string_buffer(16384)) + 4095 & ~4095
spare = ctypes.create_string_buffer(16384)
PAGE = ctypes.addressof(spare) + 4095 & ~4095
STACK = ctypes.create_string_buffer(64)
SIZE = 1 << 16
WHOLE = raw("mmap", 0, SIZE + 8192, 0, 0x22, -1, 0) + 4096
raw("mprotect", WHOLE, SIZE, 3)
FREE = raw("mmap", 0, SIZE, 3, 0x22, -1, 0)
raw("munmap", FREE, SIZE)
EVENT = ctypes.create_string_buffer(64)
LIMIT = ctypes.create_string_buffer(64)
LIMIT.raw = (100).to_bytes(8, "little") * 2 + bytes(48)
code = ctypes.create_string_buffer(bytes.fromhex("060000000000ff7f"), 8)
PROGRAM = ctypes.create_string_buffer(
    (1).to_bytes(8, "little") + ctypes.addressof(code).to_bytes(8, "little"), 16)
CALLS |= {"pkey_alloc": 330}
import mmap
THREAD = 0x3d0f00
def clone(flags):
    # What ends at once, and touches no stack.
    code = bytes.fromhex("b838000000bf") + flags.to_bytes(4, "little") + bytes.fromhex(
        "31f631d24531d24531c00f0585c07401c3b83c00000031ff0f05")
    area = mmap.mmap(-1, 4096, flags=0x22, prot=7)
    area[:len(code)] = code
    state["area"] = area
    return ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(area)))()
"""
"""To be prepared: memory, and what calls take."""


class RestoredChild:
    """A child that runs the code it is sent, call by call, for whoever restores it."""

    def __init__(self, *, prepare: str = "", tmp: bool = False) -> None:
        """Start it; `prepare` is run before it is ready."""
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(SECONDS)
        self.tmp = linux.new_tmpfs(1 << 20, 64) if tmp else None
        # Files of its own: what a test sets their times and modes to would be those of the host's
        # devices, and positions of the test's own change.
        with theirs, TemporaryFile() as given, TemporaryFile() as written:
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(CHILD), str(theirs.fileno()), prepare]
                + ([str(self.tmp)] if self.tmp is not None else []),
                pass_fds=(theirs.fileno(), *([self.tmp] if self.tmp is not None else [])),
                stdin=given,
                stdout=written,
                stderr=subprocess.DEVNULL,
            )
        self.pid = self.process.pid
        data, ancillary, _, _ = self.sock.recvmsg(16, socket.CMSG_SPACE(4))
        if data != b"u":
            raise RuntimeError("the child did not start")
        self.uffd = array.array("i", ancillary[0][2][:4])[0]

    def go(self) -> None:
        """Let it prepare itself, which waits at flagged calls without a tracer."""
        self.sock.sendall(b"g")
        self._until(b"r")

    def _pump(self) -> None:
        """Do what it may wait for."""

    def _until(self, wanted: bytes | None = None) -> bytes:
        deadline = time.monotonic() + SECONDS
        data = b""
        while time.monotonic() < deadline:
            self._pump()
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
        self.send(code)
        return self.answer()

    def send(self, code: str) -> None:
        """Have code run there."""
        self.sock.sendall(json.dumps(code).encode() + b"\n")

    def answer(self) -> Any:
        """Return what the code put into `result`."""
        answer = json.loads(self._until())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def children(self) -> list[int]:
        """Return the ids of its children."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(one) for one in text.split()]

    def close(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(Exception):
            self.process.wait(SECONDS)
        self.sock.close()
        os.close(self.uffd)
        if self.tmp is not None:
            os.close(self.tmp)


class Restored(RestoredChild):
    """One that is restored by the test's own process."""

    def __init__(self, *, prepare: str = "", filters: int = 2, tmp: bool = False) -> None:
        """Start it, and have it traced; `prepare` is run before its snapshot is taken."""
        super().__init__(prepare=prepare, tmp=tmp)
        self._called = False
        """Whether it was sent code since it was ready."""
        self.late = 0
        """How often it had to wait at a flagged call, having made too many of them."""
        self.files = ProcessFiles(open_process(self.pid))
        # Without those of an instance it has one by which it stops where it waits.
        filters += "NO_FILTER" in prepare
        self.held = Held(self.pid, files=self.files, uffd=self.uffd, tmp=self.tmp, filters=filters)
        self.go()

    def _pump(self) -> None:
        self.held.tracee.sweep()
        self.late += len(self.held.tracee.late)
        self.held.tracee.resume_late()

    def ready(self) -> None:
        """Take the snapshot, or restore."""
        self._called = False
        self.held.make_ready()

    def send(self, code: str) -> None:
        """Have code run there, after that of a call before it as it is."""
        if self._called:
            with suppress(DiscardError):
                self.held.tracee.await_home(1)
                self.held.tracee.go_on()
        self._called = True
        super().send(code)

    def differences(self) -> list[int]:
        """Return at which addresses it is not what its twin is, the kernel's own left out.

        That is on which processor it runs (rseq), beside its thread-local storage.
        """
        snapshot = self.held.snapshot
        if snapshot is None:
            raise RuntimeError("there is no snapshot")
        self.held.tracee.stop(SECONDS)
        differ: list[int] = []
        for start, end in snapshot.ranges:
            now = remote_memory.read(self.pid, [(start, end)])
            then = remote_memory.read(snapshot.twin, [(start, end)])
            if now != then:
                differ += [start + at for at in range(end - start) if now[at] != then[at]]
        ours = {at // 32 for at in differ if abs(at - snapshot.general.fs_base) < 4096}
        return [at for at in differ if len(ours) != 1 or at // 32 not in ours]

    def close(self) -> None:
        """End it with its twin."""
        tracee = self.held.tracee
        tracee.kill()
        # A process ends once its tracer has taken note of the end of its threads.
        deadline = time.monotonic() + SECONDS
        while tracee.alive and time.monotonic() < deadline:
            tracee.sweep()
            time.sleep(0.001)
        super().close()
        self.files.close()


@contextmanager
def restored(prepare: str = "", **options: object) -> Iterator[Restored]:
    child = Restored(prepare=prepare, **options)  # type: ignore[arg-type]
    try:
        child.ready()
        yield child
    finally:
        child.close()
