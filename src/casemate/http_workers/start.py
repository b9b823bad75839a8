"""Starting workers, for the supervisor."""

from __future__ import annotations

import socket
import struct

from casemate.child.start import ChildProgram
from casemate.child.starter import ChildStarter
from casemate.http_workers.config import HttpWorkerConfig
from casemate.model.errors import UnavailableError

PROGRAM = ChildProgram(module="casemate.http_workers.process")
_CORES_EACH = 4
_NEVER_LONGER = struct.pack("@ll", 0, 20_000)
"""A struct timeval: how long accept(2) waits on a listener that was set to block."""
_MOST_BY_ITSELF = 4


class HttpWorkerStarter(ChildStarter):
    """Starts one worker for a gateway, and another when that ends."""

    def __init__(
        self,
        uid: int | None,
        listener: socket.socket,
        left: tuple[socket.socket, socket.socket],
    ) -> None:
        """Make the socket pair. `uid` is what to become if this is root, else None.

        `left` is the pair by which all workers of the node, also those of its next gateway, leave
        each other connections.
        """
        # Copies are one listener, and a copy of a blocking one makes it so for all who hold it:
        # they would hang where another one was faster. And a worker can do that on purpose.
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _NEVER_LONGER)
        super().__init__(
            PROGRAM,
            lambda control, heart, given: HttpWorkerConfig(
                control=control,
                heart=heart,
                uid=uid,
                listener=given[0],
                into=given[1],
                out=given[2],
            ),
            gives=lambda: (_copy_of(listener), *map(_copy_of, left)),
        )


def _copy_of(listener: socket.socket) -> socket.socket:
    """Return a copy. Raises UnavailableError: a node that ends has closed its listener."""
    try:
        return listener.dup()
    except OSError as error:
        raise UnavailableError(f"There is no listener: {error.strerror}.") from error


def gateways_for(cores: int, *, tls: bool) -> int:
    """Return how many gateway processes a host gets by itself: one below four cores.

    With more there is one that decides and, for each four cores, one that takes connections. Only
    where these speak TLS: of a plain call on a connection that is kept they spare the gateway next
    to nothing (`bench.gateways`).
    """
    if not tls:
        return 1
    return min(_MOST_BY_ITSELF, 1 + cores // _CORES_EACH)
