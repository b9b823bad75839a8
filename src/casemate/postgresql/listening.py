"""A connection that is told by others, between its own statements (LISTEN, NOTIFY).

Whoever may connect to the database may tell anything: what was told is to be looked at as what a
stranger said.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from psycopg import Notify

from casemate.postgresql import driver
from casemate.postgresql.connection import Connection
from casemate.postgresql.session import Session, require_name

MOST_HEARD: Final = 256
"""What was told and not yet asked for; of more the oldest is forgotten."""
MAX_TOLD: Final = 7900
"""Bytes that can be told at once; the server takes 7999."""
# A commit that only tells has nothing to keep: neither the disk nor a standby is waited for.
_TELL: Final = "SELECT set_config('synchronous_commit', 'off', TRUE), pg_notify(?, ?)"


class ListeningConnection(Connection):
    """Does as its base, and hears what other connections tell."""

    def __init__(self, found: Session, lock: int) -> None:
        """Use `found`, which is set up."""
        super().__init__(found, lock)
        self._heard: deque[str] = deque(maxlen=MOST_HEARD)
        found.server.add_notify_handler(self._hear)

    def listen(self, channel: str) -> None:
        """Hear from now on what is told on a channel."""
        require_name(channel)
        self.define(f"LISTEN {channel}")

    def tell(self, channel: str, text: str) -> None:
        """Tell all others who listen, outside of any transaction."""
        self.execute(_TELL, (channel, text))

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is something to hear, or the end."""
        return int(self._server.pgconn.socket)

    def heard(self) -> list[str]:
        """Return what others have told. Does not block. Raises the engine's errors."""
        try:
            self._server.pgconn.consume_input()
            while (notify := self._server.pgconn.notifies()) is not None:
                self._keep(notify.be_pid, notify.extra)
        except driver.Error as error:
            raise self._told(error) from error
        told = list(self._heard)
        self._heard.clear()
        return told

    def _hear(self, notify: Notify) -> None:
        self._keep(notify.pid, notify.payload.encode())

    def _keep(self, pid: int, text: bytes) -> None:
        if pid != self._server.pgconn.backend_pid:
            self._heard.append(text.decode("utf-8", "replace"))
