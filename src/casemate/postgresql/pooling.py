"""A pooler that hands one session of the server to several connections in turn is refused.

What a connection sets, prepares, locks and listens to is the session's: another one, which is
handed the session next, would write into the schema of the first (PgBouncer's `pool_mode`
transaction and statement; pgbouncer.org/features.html). One that keeps them apart is no trouble.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from casemate.postgresql.errors import UnfitServerError, UnreachableError

ROUNDS: Final = 8
"""How often two connections are compared: another node may have the session in between."""
WAIT_SECONDS: Final = 5.0
"""How long the second connection may wait for a session of its own."""
_BEGIN: Final = b"BEGIN"
_END: Final = b"ROLLBACK"
_WHICH: Final = b"SELECT pg_backend_pid()"


class Asked(Protocol):
    """As much of the client library's connection as is needed here."""

    answer_seconds: float | None

    def execute(self, query: bytes, /) -> Any:
        """Do statements."""

    def close(self) -> None:
        """End it."""


def require_own_session(
    place: str, server: Asked, another: Callable[[], Asked], unanswered: type[Exception]
) -> None:
    """Compare a connection that is a pooler's with another one of the same place.

    Raises UnfitServerError if they are handed the same session, UnreachableError if the pooler has
    no second one. `unanswered` is what the client library raises.
    """
    try:
        second = another()
        second.answer_seconds = WAIT_SECONDS
        try:
            shared = _is_shared(server, second, unanswered)
        finally:
            with suppress(unanswered):
                second.close()
    except unanswered as error:
        raise UnreachableError(
            f"The pooler at {place} gives no second connection.",
            next_step="Let it have more connections to the server (default_pool_size).",
        ) from error
    if shared:
        raise UnfitServerError(
            f"The pooler at {place} shares connections between transactions: what one node sets "
            "would hold for another.",
            next_step="Set pool_mode = session there, or name the servers themselves in the URL.",
        )


def _is_shared(server: Asked, second: Asked, unanswered: type[Exception]) -> bool:
    mine = _which(server)
    for _ in range(ROUNDS):
        try:
            second.execute(_BEGIN)
        except unanswered as error:
            # By statements: what is in a transaction is refused there.
            if "statement pooling" in str(error):
                return True
            raise
        other = _which(second)
        second.execute(_END)
        if other == mine or _which(server) != mine:
            return True
    return False


def _which(connection: Asked) -> object:
    row = connection.execute(_WHICH).fetchone()
    return row and row[0]
