"""Starting the egress process, for the supervisor."""

from __future__ import annotations

import socket
import subprocess
import sys

import msgspec

from casemate.child.starter import PLAIN_ENVIRONMENT, ChildStarter
from casemate.egress.config import EgressConfig, EgressLimits


class EgressStarter(ChildStarter):
    """Starts egress processes for one gateway, one at a time."""

    def __init__(self, uid: int | None, *, learn: bool = False) -> None:
        """Make the socket pair. `uid` is what to become if this is root, else None."""
        super().__init__(
            "casemate.egress.process",
            lambda control, heart: EgressConfig(control=control, heart=heart, uid=uid, learn=learn),
            PLAIN_ENVIRONMENT,
        )


class EgressProcess:
    """One egress process for one client, started when that first has something to say.

    The supervisor makes it before the gateway, gives the gateway `gateway_end`, and calls
    `start` once `fileno` is readable, or at once.
    """

    def __init__(
        self,
        uid: int | None,
        *,
        own_addresses: tuple[str, ...] = (),
        limits: EgressLimits | None = None,
        learn: bool = False,
    ) -> None:
        """Make the socket pair. `uid` is what to become if this is root, else None."""
        self.gateway_end, self._end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._uid = uid
        self._own_addresses = own_addresses
        self._limits = limits or EgressLimits()
        self._learn = learn
        self._process: subprocess.Popen[bytes] | None = None

    def fileno(self) -> int:
        """Return what to wait for: readable means that there is work. Only before `start`."""
        return self._end.fileno()

    @property
    def started(self) -> bool:
        """Tell whether `start` was called."""
        return self._process is not None

    def start(self) -> bool:
        """Start the process. Raises OSError. It is not started a second time, so returns False."""
        if self._process is not None:
            return False
        config = EgressConfig(
            control=self._end.fileno(),
            uid=self._uid,
            own_addresses=self._own_addresses,
            limits=self._limits,
            learn=self._learn,
        )
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-m", "casemate.egress.process"),
                msgspec.json.encode(config).decode(),
            ],
            pass_fds=(self._end.fileno(),),
            stdin=subprocess.DEVNULL,
            env=PLAIN_ENVIRONMENT,
            cwd="/",
            # Signals of the terminal are for the supervisor, which ends the gateway.
            start_new_session=True,
        )
        # With a copy left open here the gateway would never see the process end.
        self._end.close()
        self.gateway_end.close()
        return False

    def poll(self) -> int | None:
        """Return the exit code, None while it runs or was not started."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int | None:
        """Return the process's id once it is started."""
        return None if self._process is None else self._process.pid

    def close(self, seconds: float = 2.0) -> None:
        """Wait for the process's end after the gateway's; kill it if it does not come."""
        self.gateway_end.close()
        if self._process is None:
            self._end.close()
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
