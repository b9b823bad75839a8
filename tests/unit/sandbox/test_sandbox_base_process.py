"""What a base zygote's socket tells of it, also once it was let go of."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.sandbox.base_process import BaseProcess, BaseZygoteLostError


def test_whoever_closed_its_socket_it_has_hung_up() -> None:
    base = BaseProcess.__new__(BaseProcess)
    base.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    assert not base.hung_up()
    theirs.close()
    assert base.hung_up()
    # Dropped before the end of a zygote of it was read: the node ended by this once.
    base.sock.close()
    assert base.hung_up()


class Refusing:
    """Stands in the place of `Identities`: the host lets nothing be mapped."""

    child = 0

    def map_into(self, child: int, _: object) -> None:
        self.child = child
        raise OSError("nothing is mapped")


@pytest.mark.sandbox
def test_one_that_cannot_be_mapped_leaves_no_process() -> None:
    base, refusing = BaseProcess.__new__(BaseProcess), Refusing()
    staging: Any = SimpleNamespace(uid=None, gid=None)
    command = [str(shutil.which("bwrap")), "--unshare-user", "--ro-bind", "/", "/", "/bin/true"]
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="nothing is mapped"):
            base._start(command, descriptor, staging, refusing)  # type: ignore[arg-type]
    finally:
        os.close(descriptor)
    deadline = time.monotonic() + 5
    while (alive := _is_alive(refusing.child)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert refusing.child and not alive


class Stopping(Refusing):
    """Maps nothing, and has bubblewrap not wake its child: a busy machine is as slow."""

    def map_into(self, child: int, _: object) -> None:
        self.child = child
        status = Path(f"/proc/{child}/status").read_text("utf-8")
        parent = int(status.partition("PPid:")[2].split()[0])
        os.kill(parent, signal.SIGSTOP)


@pytest.mark.sandbox
def test_one_that_is_closed_as_soon_as_it_was_mapped_leaves_no_process() -> None:
    base, stopping = BaseProcess.__new__(BaseProcess), Stopping()
    base.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    staging: Any = SimpleNamespace(uid=None, gid=None)
    command = [str(shutil.which("bwrap")), "--unshare-user", "--unshare-pid", "--die-with-parent"]
    command += ["--ro-bind", "/", "/", "/bin/true"]
    with theirs:
        base.process = base._start(command, theirs.fileno(), staging, stopping)  # type: ignore[arg-type]
    base.close()
    deadline = time.monotonic() + 5
    while (alive := _is_alive(stopping.child)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stopping.child and not alive


def _is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text("utf-8")
    except FileNotFoundError:
        return False


def test_one_that_is_too_slow_is_said_to_be_and_what_may_be_the_cause() -> None:
    base = BaseProcess.__new__(BaseProcess)
    base.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    base.sock.settimeout(0.01)
    killed: list[bool] = []
    base.process = SimpleNamespace(kill=lambda: killed.append(True))  # type: ignore[assignment]
    base._asked = False

    with theirs, base.sock, pytest.raises(BaseZygoteLostError, match=r"within 0\.01 s") as raised:
        base._ask({"op": "blank"}, [], "blank", 0)

    assert killed and "processor time" in (raised.value.next_step or "")
