"""Starting a process of ours, for the supervisor: one way for all of them."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec

from casemate.child.failure import Failure
from casemate.child.heartbeat import Pulse
from casemate.child.proof import require_confined
from casemate.child.protocol import (
    CONNECT,
    MAX_REPORT,
    ChildConfig,
    NotReady,
    Ready,
    pass_connection,
)
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.kernel import linux

PLAIN_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
"""No more: libraries take orders from variables (PGHOST, HOSTALIASES, LOCALDOMAIN)."""
END_SECONDS = 5.0


class ChildProgram(msgspec.Struct, frozen=True, kw_only=True):
    """What is started, and what it finds around it."""

    module: str
    environment: Mapping[str, str] | None = msgspec.field(default_factory=lambda: PLAIN_ENVIRONMENT)
    """None: that of the supervisor."""
    folder: str | None = "/"
    """Its working directory; None: that of the supervisor."""
    keeps: int = 0
    """Capabilities, as a mask, that it is there to use; none for nearly all."""
    terminal: bool = False
    """True lets it ask at the terminal. Signals of that are otherwise for the supervisor alone."""


class NotReadyError(Exception):
    """A process says that it does not start."""

    def __init__(self, failure: Failure) -> None:
        """Keep what it says."""
        super().__init__(failure.message)
        self.failure = failure


class Child:
    """A process of ours. It ends when its supervisor does."""

    def __init__(
        self,
        program: ChildProgram,
        config: Callable[[int, int], ChildConfig],
        passed: Sequence[int] = (),
    ) -> None:
        """Start it. Raises OSError.

        `config` is given the descriptors of its control socket and its heart; `passed` are others
        that it inherits.
        """
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pulse = pulse = Pulse()
        try:
            with theirs:
                given = config(theirs.fileno(), pulse.theirs)
                self._process = subprocess.Popen(
                    # -I: neither the working directory nor PYTHONPATH may name other modules.
                    [
                        *(sys.executable, "-I", "-m", "casemate.child.program", program.module),
                        msgspec.json.encode(given).decode(),
                    ],
                    pass_fds=(theirs.fileno(), pulse.theirs, *passed),
                    stdin=None if program.terminal else subprocess.DEVNULL,
                    env=program.environment,
                    cwd=program.folder,
                    start_new_session=not program.terminal,
                )
        except BaseException:
            self.control.close()
            pulse.close()
            raise
        pulse.started()
        self._uid = given.uid
        self._keeps = program.keeps

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process.poll() is None

    def receive_ready(self) -> Ready:
        """Take what the process says first, and do not believe it.

        As `control` is set, waits or raises BlockingIOError or TimeoutError. Raises NotReadyError
        for a process that does not start, UnconfinedError for one that is not confined, EOFError
        for one that ends or says something else.
        """
        data = self.control.recv(MAX_REPORT)
        try:
            report = msgspec.json.decode(data, type=decodable(Ready | NotReady))
        except DECODING_ERRORS as error:
            raise EOFError from error
        if isinstance(report, NotReady):
            raise NotReadyError(report.failure)
        require_confined(
            report.held, self._uid, landlock=linux.landlock_abi() > 0, keeps=self._keeps
        )
        return report

    def pass_connection(self, descriptor: int, name: bytes = CONNECT) -> None:
        """Pass a connection to the process, which is ready. Raises OSError."""
        pass_connection(self.control, descriptor, name)

    def kill(self) -> None:
        """End a process that hangs."""
        self._process.kill()

    def close(self, seconds: float = END_SECONDS) -> None:
        """End the process and wait for its end; kill it if that takes longer than `seconds`."""
        self.control.close()
        self.pulse.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
