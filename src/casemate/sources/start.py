"""Starting the sources process, for the supervisor, whenever the gateway asks for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import msgspec

from casemate.sources.config import SourceLimits, SourcesConfig

START = b"start"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
"""No more: libraries take orders from variables (PGHOST, HOSTALIASES)."""
_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""But for those by which the operator says whose certificates to trust."""


class SourcesStarter:
    """Starts sources processes for one gateway, one at a time.

    The gateway sends `START` with one end of a socket pair; the process speaks over that.
    """

    def __init__(
        self,
        uid: int | None,
        *,
        own_addresses: tuple[str, ...] = (),
        limits: SourceLimits | None = None,
    ) -> None:
        """Make the socket pair. `uid` is what to become if this is root, else None."""
        self.gateway_end, self._end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._end.setblocking(False)
        self._uid = uid
        self._own_addresses = own_addresses
        self._limits = limits or SourceLimits()
        self._process: subprocess.Popen[bytes] | None = None

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
        config = SourcesConfig(
            control=descriptor,
            uid=self._uid,
            own_addresses=self._own_addresses,
            limits=self._limits,
        )
        trusted = {name: os.environ[name] for name in _AUTHORITIES if name in os.environ}
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-m", "casemate.sources.process"),
                msgspec.json.encode(config).decode(),
            ],
            pass_fds=(descriptor,),
            stdin=subprocess.DEVNULL,
            env=_ENVIRONMENT | trusted,
            cwd="/",
            # Signals of the terminal are for the supervisor, which ends the gateway.
            start_new_session=True,
        )

    def _end_process(self, seconds: float) -> None:
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
