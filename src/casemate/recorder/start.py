"""Starting the recorder process, for the supervisor, whenever the gateway asks for it."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable

from casemate.child.protocol import ChildConfig
from casemate.child.start import ChildProgram
from casemate.child.starter import ChildStarter
from casemate.recorder.config import RecorderConfig
from casemate.set_clock import Believed


class RecorderStarter(ChildStarter):
    """Starts recorders for one gateway, one at a time."""

    def __init__(
        self,
        uid: int | None,
        folder: str,
        vault: Callable[[], socket.socket],
        memories: Callable[[], tuple[io.FileIO, ...]],
        *,
        accept_loss: bool,
        accept_records_loss: bool = False,
        lends_records: bool = False,
        ready: Callable[[], None] = lambda: None,
        clock: Callable[[], Believed | None] = lambda: None,
    ) -> None:
        """Make the socket pair.

        `uid` is what to become if this is root, else None; `vault` returns a new connection to the
        vault, for a recorder alone, and `memories` what gateways keep for it; `ready` is told of
        each recorder that can be spoken to. It `lends_records` to who reads along only where that
        is so. `clock` tells what is believed of the clock, whenever one is started.
        """

        def config(control: int, heart: int, given: tuple[int, ...]) -> ChildConfig:
            return RecorderConfig(
                control=control,
                heart=heart,
                uid=uid,
                folder=folder,
                vault=given[0],
                memories=given[1:],
                accept_loss=accept_loss,
                accept_records_loss=accept_records_loss,
                lends_records=lends_records,
                clock=clock(),
            )

        super().__init__(
            ChildProgram(module="casemate.recorder.process"),
            config,
            gives=lambda: (vault(), *memories()),
            ready=ready,
        )
