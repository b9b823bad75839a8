"""How many bytes of messages and results may wait: per caller, per inbox or queue, and per project.

The bytes are counted by triggers of the database (`casemate.data.schema`), so that no way in or out
can miss one. A count of messages alone is no bound: a million of 256 KiB are 256 GiB.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from casemate.data import messages
from casemate.data.errors import DataFullError, LimitError
from casemate.data.registry import Resource
from casemate.data.terms import terms_of
from casemate.kernel.volume import beside_reserve
from casemate.sqlite.engine import Connection

MAX_QUEUE_BYTES = 4 << 30
"""Bytes of messages and dead letters in one queue, topic or inbox."""
MAX_PROJECT_BYTES = 16 << 30
"""The same in all of a project's together."""
MAX_CALLER_BYTES = 1 << 30
"""Bytes of events that wait in one inbox and were kept for one caller (a token, user, function)."""
MAX_CALLER_EVENTS = 250_000
MAX_ANONYMOUS_BYTES = 256 << 20
"""The same for all callers without a token together: nobody vouches for them."""
MAX_ANONYMOUS_EVENTS = 50_000
MAX_RESULT_TOTAL_BYTES = 1 << 30
"""Bytes of results that a project keeps for who asks for them; beyond it an end is kept without."""

_LOOK_SECONDS = 0.5
"""How long an answer of the file system holds: less than a fast disk fills the reserve in."""


def require_room(
    connection: Connection,
    queue: Resource,
    held: int,
    callers: Collection[tuple[str, bool]],
    shares: Mapping[str, tuple[int, int]],
) -> None:
    """Raise LimitError if more bytes wait than may, after messages were kept.

    `held` is what waits in the queue now. `callers` are those for whom they were kept, and whether
    they are anonymous; empty is what the project itself sends. `shares` are what waits for them.
    """
    _require(f"The {queue.kind} {queue.name}", held, MAX_QUEUE_BYTES)
    if held > MAX_PROJECT_BYTES // 64:  # only then can a project's sum be near its bound
        (total,) = connection.execute("SELECT sum(bytes) FROM resource").fetchone()
        _require("The project", total or 0, MAX_PROJECT_BYTES)
    for caller, (events, size) in shares.items():
        anonymous = (caller, True) in callers
        _require_share(queue, events, size, anonymous=anonymous)


def shares(
    connection: Connection, queue: Resource, callers: Collection[str]
) -> Callable[[], dict[str, tuple[int, int]]]:
    """Ask, along with what is asked next, what waits in a queue for each caller that has a name.

    What is returned gives the number of events and of bytes.
    """
    terms = terms_of(connection)
    tokens = {terms.token("caller", name): name for name in callers if name}
    if not tokens:
        return dict
    rows = terms.later(
        connection,
        "SELECT caller, events, bytes FROM kept "
        "WHERE queue = ? AND caller IN (SELECT value FROM json_each(?))",
        (queue.id, msgspec.json.encode(list(tokens)).decode()),
    )
    return lambda: {tokens[caller]: (events, size) for caller, events, size in rows()}


class Room:
    """What a queue holds, and what it would hold with what is to be kept, one after the other."""

    def __init__(self, connection: Connection, queue: Resource, callers: Collection[str]) -> None:
        """Ask."""
        self._queue = queue
        (self._number, self._held), (self._total,) = (
            connection.execute(
                "SELECT number + dead, bytes FROM resource WHERE id = ?", (queue.id,)
            ).fetchone(),
            connection.execute("SELECT coalesce(sum(bytes), 0) FROM resource").fetchone(),
        )
        self._shares = shares(connection, queue, callers)()

    def take(self, caller: str, anonymous: bool, number: int, size: int) -> None:
        """Take room for what one sends. Raises LimitError if there is none, and takes none."""
        messages.require_number(self._queue, self._number + number)
        _require(f"The {self._queue.kind} {self._queue.name}", self._held + size, MAX_QUEUE_BYTES)
        _require("The project", self._total + size, MAX_PROJECT_BYTES)
        events, held = self._shares.get(caller, (0, 0))
        share = events + number, held + size
        if caller:
            _require_share(self._queue, *share, anonymous=anonymous)
        self._shares[caller] = share
        self._number += number
        self._held += size
        self._total += size


def _require_share(queue: Resource, events: int, size: int, *, anonymous: bool) -> None:
    most = MAX_ANONYMOUS_BYTES if anonymous else MAX_CALLER_BYTES
    _require("What waits for this caller", size, most)
    most_events = MAX_ANONYMOUS_EVENTS if anonymous else MAX_CALLER_EVENTS
    if events > most_events:
        raise LimitError(
            f"{most_events} events of this caller wait in {queue.name}, which is the most.",
            next_step="Send again when some of them were handled.",
        )


def _require(what: str, found: int, most: int) -> None:
    if found > most:
        raise LimitError(
            f"{what} would hold {found} bytes of messages; {most} is the most.",
            next_step="Let somebody receive them, or keep large content in a bucket.",
        )


def room_for_results(connection: Connection) -> int:
    """Return how many bytes of results a project may keep beside those that it does."""
    (total,) = connection.execute("SELECT bytes FROM kept_results").fetchone()
    return MAX_RESULT_TOTAL_BYTES - int(total)


class DiskReserve:
    """Keeps a part of the volume free: denials, accounts and the ends of events must still fit."""

    def __init__(self, folder: Path) -> None:
        """Watch the volume of `folder`."""
        self._folder = folder
        self._looked_at = float("-inf")
        self._missing = 0

    def require(self) -> None:
        """Raise DataFullError if only the reserve is left; then it looks each time anew."""
        now = time.monotonic()
        if self._missing > 0 or now - self._looked_at >= _LOOK_SECONDS:
            self._missing = self._look()
            self._looked_at = now
        if self._missing > 0:
            raise DataFullError(
                f"The disk of the node's data is full but for its reserve; {self._missing} bytes "
                "are missing.",
                next_step="Free some space or grow the volume; events already stored are handled.",
            )

    def _look(self) -> int:
        """Return how many bytes are missing for the reserve to be whole."""
        return -beside_reserve(self._folder)
