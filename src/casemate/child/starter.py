"""Starting a process of ours whenever the gateway asks for one, for the supervisor."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import select
import socket
from collections.abc import Callable

from casemate.child.heartbeat import Pulse
from casemate.child.proof import UnconfinedError
from casemate.child.protocol import ChildConfig
from casemate.child.start import Child, ChildProgram, NotReadyError
from casemate.model.errors import CasemateError
from casemate.runner.control import receive_packet

START = b"start"
_END_SECONDS = 2.0

_log = logging.getLogger(__name__)


class ChildStarter:
    """Starts processes of one program for one gateway, one at a time.

    The gateway sends `START` with one end of a connection, which the process is passed once it has
    proved that it is confined.
    """

    def __init__(
        self,
        program: ChildProgram,
        config: Callable[[int, int, tuple[int, ...]], ChildConfig],
        *,
        gives: Callable[[], tuple[socket.socket | io.FileIO, ...]] = tuple,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        """Make the socket pair.

        `config` is given the descriptors of control socket and heart, and those of what `gives`
        returns for each process: connections and files that it inherits. `ready` is told of each
        one that was passed its connection.
        """
        self.gateway_end, self._end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._end.setblocking(False)
        self._program = program
        self._config = config
        self._gives = gives
        self._ready = ready
        self.is_ready = False
        """Whether the process that was started last was passed its connection."""
        self._child: Child | None = None
        self._connection = -1
        """What the child is passed when it is ready; -1 when it was."""
        self._poll = select.epoll()
        self._poll.register(self._end, select.EPOLLIN)

    def fileno(self) -> int:
        """Return what to wait for: readable means that `serve` has something to do."""
        return self._poll.fileno()

    @property
    def pid(self) -> int | None:
        """Return the id of the process that was started last."""
        return None if self._child is None else self._child.pid

    @property
    def pulse(self) -> Pulse | None:
        """Return that of the process that was started last."""
        return None if self._child is None else self._child.pulse

    def serve(self) -> bool:
        """Do what the gateway asks for; return False once it is gone. Raises OSError."""
        if self._connection >= 0:
            self._see_whether_ready()
        try:
            data, descriptors, _ = receive_packet(self._end, len(START), most=1)
        except BlockingIOError:
            return True
        except OSError:
            return False
        try:
            if data == START and len(descriptors) == 1:
                self._start(descriptors.pop())
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return bool(data)

    def _start(self, connection: int) -> None:
        self._end_process(0.0)
        # From here on whatever ends the child closes it, which tells the gateway.
        self._connection = connection
        try:
            given = self._gives()
            with contextlib.ExitStack() as passed:
                for each in given:
                    passed.enter_context(each)
                numbers = tuple(each.fileno() for each in given)
                self._child = child = Child(
                    self._program,
                    lambda control, heart: self._config(control, heart, numbers),
                    numbers,
                )
        except CasemateError as error:
            # What it needs is gone; the gateway asks again.
            _log.error("%s cannot be started: %s", self._program.module, error)
            self._settle()
            return
        except BaseException:
            self._settle()
            raise
        child.control.setblocking(False)
        self._poll.register(child.control, select.EPOLLIN)

    def _see_whether_ready(self) -> None:
        """Pass the child its connection if it says, and proves, that it is confined."""
        child = self._child
        if child is None:
            return
        try:
            child.receive_ready()
        except BlockingIOError:
            return
        except UnconfinedError as error:
            _log.error("%s is not used: %s", self._program.module, error.strerror)
            child.kill()
        except (OSError, EOFError, NotReadyError):
            pass  # it has ended, and written why
        else:
            with contextlib.suppress(OSError):  # it has just ended, or will find no connection
                child.pass_connection(self._connection)
                self.is_ready = True
        self._settle()
        if self.is_ready:
            self._ready()

    def introduce(self, connection: socket.socket, name: bytes) -> bool:
        """Pass a further connection to the process; False where none is ready for it."""
        if self._child is None or not self.is_ready:
            return False
        try:
            self._child.pass_connection(connection.fileno(), name)
        except OSError:
            return False  # it has just ended, or takes no more for now
        return True

    def _settle(self) -> None:
        """Wait no more for the child to be ready."""
        if self._connection < 0:
            return
        os.close(self._connection)
        self._connection = -1
        if self._child is not None:
            self._poll.unregister(self._child.control)

    def kill(self) -> None:
        """End a process that hangs; the gateway asks for another one."""
        if self._child is not None:
            self._child.kill()

    def _end_process(self, seconds: float) -> None:
        self._settle()
        self.is_ready = False
        if self._child is not None:
            self._child.close(seconds)
            self._child = None

    def close(self, seconds: float = _END_SECONDS) -> None:
        """Wait for the process's end after the gateway's; kill it if it does not come."""
        self.gateway_end.close()
        self._end_process(seconds)
        self._end.close()
        self._poll.close()
