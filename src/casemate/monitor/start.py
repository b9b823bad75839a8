"""Starting the monitor process, for the supervisor, whenever the gateway asks for it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import msgspec

from casemate.child.protocol import ChildConfig
from casemate.child.start import PLAIN_ENVIRONMENT, ChildProgram
from casemate.child.starter import ChildStarter
from casemate.monitor.config import MonitorConfig
from casemate.monitor.settings import MonitorSettings
from casemate.set_clock import Believed

_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables by which the operator says whose certificates to trust."""
MAX_TOLD_BYTES = 2 << 20


class MonitorStarter(ChildStarter):
    """Starts monitors for one gateway, one at a time."""

    def __init__(
        self,
        uid: int | None,
        folder: str,
        vault: Callable[[], socket.socket],
        settings: MonitorSettings,
        *,
        node: str,
        own_addresses: tuple[str, ...] = (),
        ready: Callable[[], None],
        clock: Callable[[], Believed | None] = lambda: None,
    ) -> None:
        """Make the socket pair.

        `uid` is what to become if this is root, else None; `vault` returns a new connection to the
        vault, for a monitor alone; `ready` is told of each monitor that can be spoken to. `clock`
        tells what is believed of the clock, whenever one is started.
        """
        told = msgspec.json.encode(settings)

        def config(control: int, heart: int, given: tuple[int, ...]) -> ChildConfig:
            return MonitorConfig(
                control=control,
                heart=heart,
                uid=uid,
                folder=folder,
                vault=given[0],
                settings=given[1],
                node=node,
                own_addresses=own_addresses,
                clock=clock(),
            )

        trusted = {name: os.environ[name] for name in _AUTHORITIES if name in os.environ}
        super().__init__(
            ChildProgram(
                module="casemate.monitor.process", environment=PLAIN_ENVIRONMENT | trusted
            ),
            config,
            gives=lambda: (vault(), _holding(told)),
            ready=ready,
        )


def _holding(data: bytes) -> socket.socket:
    """Return a socket from which these bytes can be read, and then its end."""
    reading, writing = socket.socketpair()
    with writing:
        # Nobody reads yet: all of it waits in the kernel.
        writing.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_TOLD_BYTES)
        writing.setblocking(False)
        if writing.send(data) != len(data):
            reading.close()
            raise OSError("the settings of the monitor are too large")
    return reading
