"""Starting a process of ours whenever the gateway asks for one, for the supervisor."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping

import msgspec

from casemate.child.heartbeat import Pulse

START = b"start"
PLAIN_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
"""No more: libraries take orders from variables (PGHOST, HOSTALIASES, LOCALDOMAIN)."""


class ChildStarter:
    """Starts processes of one module for one gateway, one at a time.

    The gateway sends `START` with one end of a socket pair; the process speaks over that.
    """

    def __init__(
        self,
        module: str,
        config: Callable[[int, int], msgspec.Struct],
        environment: Mapping[str, str],
    ) -> None:
        """Make the socket pair. `config` is given the descriptors of socket and heart."""
        self.gateway_end, self._end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._end.setblocking(False)
        self._module = module
        self._config = config
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.pulse: Pulse | None = None
        """Of the process that was started last."""

    def fileno(self) -> int:
        """Return what to wait for: readable means that `serve` has something to do."""
        return self._end.fileno()

    @property
    def pid(self) -> int | None:
        """Return the id of the process that was started last."""
        return None if self._process is None else self._process.pid

    def serve(self) -> bool:
        """Do what the gateway asks for; return False once it is gone. Raises OSError."""
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._end, len(START), 1, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return True
        except OSError:
            return False
        try:
            if data == START and len(descriptors) == 1:
                self._start(descriptors[0])
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return bool(data)

    def _start(self, descriptor: int) -> None:
        self._end_process(0.0)
        self.pulse = pulse = Pulse()
        config = msgspec.json.encode(self._config(descriptor, pulse.theirs)).decode()
        self._process = subprocess.Popen(
            # -I: neither the working directory nor PYTHONPATH may name other modules.
            [sys.executable, "-I", "-m", self._module, config],
            pass_fds=(descriptor, pulse.theirs),
            stdin=subprocess.DEVNULL,
            env=self._environment,
            cwd="/",
            # Signals of the terminal are for the supervisor, which ends the gateway.
            start_new_session=True,
        )
        pulse.started()

    def kill(self) -> None:
        """End a process that hangs; the gateway asks for another one."""
        if self._process is not None:
            self._process.kill()

    def _end_process(self, seconds: float) -> None:
        if self.pulse is not None:
            self.pulse.close()
            self.pulse = None
        if self._process is None:
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self, seconds: float = 2.0) -> None:
        """Wait for the process's end after the gateway's; kill it if it does not come."""
        self.gateway_end.close()
        self._end.close()
        self._end_process(seconds)
