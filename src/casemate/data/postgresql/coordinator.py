"""The part of a node that speaks with the other nodes: by a connection and a thread of its own.

Every two seconds the node is seen, and sees who is there; what it leads, and its shares, follow
from that. Hints go out and come in between. While there is no connection nothing of it holds for
long: others take over what it led, it leases nothing, and looks again when it is back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, Final

from casemate.data.coordination import Watcher
from casemate.data.errors import DataLockedError
from casemate.data.postgresql import catalogue
from casemate.data.postgresql.among import HELD_SECONDS, Among, steady
from casemate.data.postgresql.faults import SHARED
from casemate.data.postgresql.hints import CHANNEL, LOOK, Heard, Hints, Places, by_project
from casemate.data.postgresql.leading import encoded
from casemate.data.postgresql.presence import Presence, Speaking
from casemate.data.terms import Holder
from casemate.model.errors import CasemateError
from casemate.postgresql.connections import Place as Schema
from casemate.postgresql.listening import ListeningConnection
from casemate.sqlite.engine import Error

BEAT_SECONDS: Final = 2.0
POLL_SECONDS: Final = 5.0
"""How often is looked for messages whose hint was lost: for those of a project by one node each
time, each in turn, which tells the others."""
ORPHANS_SECONDS: Final = 30.0
"""How often is looked for leases of nodes that are gone, besides when one goes."""
TELL_SECONDS: Final = 0.003
"""Hints of all nodes together are told at most once in so long, or each would cost the server what
all of them cost one; what comes meanwhile goes together."""
ASKED_SECONDS: Final = 0.05
"""How often a node looks at most as others ask for it."""
_POLLED_AT_ONCE: Final = 16
"""Projects that one statement looks at: hints wait for it."""
_PAUSES: Final = (0.1, 0.5, 1.0, 2.0)
"""Seconds between tries to connect. Each of them takes 5 s at most."""
_STATEMENT_MS: Final = 5000
_END_SECONDS: Final = 5.0
_LATER: Final = 0.1  # timers go by another clock
_log = logging.getLogger(__name__)

Ready = Callable[[str, set[tuple[str, str]]], None]


class Coordinator:
    """Satisfies `Coordination`, which documents the calls. One per node and engine."""

    def __init__(self, schema: Schema, own: Holder, ready: Ready) -> None:
        """Speak by `schema`, the one that says which projects there are.

        `ready` is told, by the thread, of a project and places that may have something to lease.
        """
        self._connections = Speaking(schema, SHARED)
        self._own = own
        self._ready = ready
        self._hints = Hints()
        self._waking = threading.Lock()
        self._wake: int | None = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="data-nodes", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fault = ""
        # The loop alone uses these.
        self._among = Among(own)
        self._watchers: list[Watcher] = []
        self._expiry: asyncio.TimerHandle | None = None
        # The loop replaces these as a whole, the thread reads them.
        self._refuse: Callable[[], str] = lambda: "Nothing is to take events yet."
        self._followed: tuple[str, ...] = ()
        self._sought: dict[str, frozenset[str]] = {}
        self._looks = False
        self._stopping = False
        # The thread sets it before it leaves all that it has: what was found before is over.
        self._left_at = 0.0
        # The thread alone uses these.
        self._presence = Presence(own)
        self._first: ListeningConnection | None = None
        self._seen = Among(own)
        self._known = frozenset[Holder]()
        self._orphans_at = 0.0
        self._left: deque[str] = deque()
        self._heard = Heard()

    # -- the start and the end -------------------------------------------------------------------

    async def begin(self) -> None:
        """Be one of the nodes from now on. Raises as `casemate.postgresql` does, DataLockedError.

        To be called before anything is leased: what a node has leased that is not there is ended.
        """
        self._loop = asyncio.get_running_loop()
        self._apply(await asyncio.to_thread(self._begin), returned=False)
        self._thread.start()

    def _begin(self) -> Among:
        connection = self._opened()
        try:
            with SHARED.translated():
                self._presence.begin(connection)
                found = self._look(connection)
            if found is None:
                raise DataLockedError(
                    self._replaced(),
                    next_step="Give each node a name of its own, or stop this one.",
                )
        except BaseException:
            self._connections.end(connection.as_engine())
            raise
        self._first, self._seen = connection, found
        return found

    async def close(self) -> None:
        """Be none of them any more, so that nobody waits for this one. Twice is fine."""
        self._stopping = True
        if self._expiry is not None:
            self._expiry.cancel()
        self._among = Among(self._own)  # before others can lead
        self._rouse()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _END_SECONDS)
        if not self._thread.is_alive():
            with self._waking:
                if self._wake is not None:
                    os.close(self._wake)
                self._wake = None
        self._connections.close()

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words."""
        return (self._fault,) if self._fault else ()

    # -- what is asked, on the loop --------------------------------------------------------------

    def clock(self) -> float:
        """See Coordination."""
        told, then = self._presence.told
        return told + steady() - then

    def refusal(self, project: str = "") -> str:
        """See Coordination: the same of all projects of one database."""
        told = "The node was not seen by the database of the projects' data for some seconds."
        return "" if steady() < self._among.until else told

    def heed(self, refusal: Callable[[], str]) -> None:
        """See Coordination. Before it is told what to heed the node takes nothing."""
        self._refuse = refusal
        self.look()

    def look(self) -> None:
        """See Coordination."""
        self._looks = True
        self._rouse()

    def follow(self, projects: Iterable[str]) -> None:
        """See Coordination."""
        self._followed = tuple(sorted(projects))

    def seek(self, kind: str, projects: Iterable[str]) -> None:
        """See Coordination."""
        wanted = frozenset(projects)
        if wanted != self._sought.get(kind, frozenset()):
            self._sought = {**self._sought, kind: wanted}
            self.look()

    def leads(self, kind: str, project: str) -> bool:
        """See Coordination."""
        among = self._among
        led = (kind, project) in among.led and among.began >= self._left_at
        return led and not self.refusal() and not self._refuse()

    def share(self, project: str, function: str, limit: int) -> int:
        """See Coordination."""
        among = self._among
        return among.share(project, function, limit) if among.began >= self._left_at else 0

    def watch(self, watcher: Watcher) -> None:
        """See Coordination."""
        self._watchers.append(watcher)

    def _apply(self, found: Among, *, returned: bool) -> None:
        """Take over what the thread has found: only now the loop goes by it."""
        if self._stopping:
            return
        for watcher in self._watchers if returned else ():
            watcher.returned()
        before, self._among = self._among, found
        found.shares = before.shares if found.living == before.living else {}
        if found.gives:
            self.look()
        if self._expiry is not None:
            self._expiry.cancel()
        if self._loop is not None:
            self._expiry = self._loop.call_later(HELD_SECONDS, self._expire)
            if before.shares_at != found.shares_at < inf:
                wait = found.shares_at - steady() + _LATER
                self._loop.call_later(max(0.0, wait), self._tell_watchers)
        if returned or (before.living, before.led) != (found.living, found.led):
            self._tell_watchers()

    def _expire(self) -> None:
        """Tell that nothing is led any more: nothing was heard for too long."""
        if self.refusal():
            self._tell_watchers()
        elif self._loop is not None:
            self._expiry = self._loop.call_later(0.1, self._expire)

    def _tell_watchers(self) -> None:
        for watcher in self._watchers:
            watcher.changed()

    # -- hints, from any thread ------------------------------------------------------------------

    def tell(self, project: str, places: Iterable[tuple[str, str]]) -> None:
        """Have the other nodes told that places may have something to lease. Does not block."""
        if not self._seen.is_alone and self._hints.add(project, places):
            self._rouse()

    def _rouse(self) -> None:
        with self._waking, suppress(BlockingIOError):  # it is full, which rouses as well
            if self._wake is not None:
                os.eventfd_write(self._wake, 1)

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        tries = 0
        while not self._stopping:
            connection = None
            try:
                connection, self._first = self._first or self._opened(), None
                with SHARED.translated():
                    connection.define(f"SET statement_timeout = {_STATEMENT_MS:d}")
                    connection.listen(CHANNEL)
                    tries = 0
                    self._serve(connection)
                    self._presence.end(connection)
            except (CasemateError, Error) as error:
                self._note(str(error))
            except Exception as error:  # noqa: BLE001 - a dead thread would see nobody
                _log.exception("what the nodes tell each other failed")
                self._note(type(error).__name__)
            finally:
                if connection is not None:
                    self._connections.end(connection.as_engine())
            if not self._stopping:
                self._wait(None, _PAUSES[min(tries, len(_PAUSES) - 1)])
                tries += 1

    def _opened(self) -> ListeningConnection:
        if not isinstance(opened := self._connections.open_writer(), ListeningConnection):
            raise TypeError("The connection is not one that hears.")
        return opened

    def _note(self, fault: str) -> None:
        if fault and fault != self._fault:
            _log.warning("this node does not hear of the others: %s", fault)
        self._fault = fault

    def _replaced(self) -> str:
        return f"Another process keeps data as the node {self._own.node}."

    def _serve(self, connection: ListeningConnection) -> None:
        """Look and tell, until the connection is lost or the node ends."""
        looked_at = look_at = poll_at = tell_at = 0.0
        connection.tell(CHANNEL, LOOK)
        while not self._stopping:
            now = steady()
            if now >= look_at or self._looks:
                self._looks = False
                self._see(connection)
                looked_at, look_at = now, now + BEAT_SECONDS
            if self._hints and now >= tell_at:
                self._tell_hints(connection)
                tell_at = now + TELL_SECONDS * max(1, len(self._seen.living))
            if now >= poll_at and not self._left:
                poll_at = now + self._take_turn()
            self._poll(connection)
            if now >= self._heard.due:
                self._look_at_heard(connection)
            if self._hear(connection):
                # Whoever may connect can ask for it.
                look_at = min(look_at, looked_at + ASKED_SECONDS)
            until = min(look_at, poll_at, self._heard.due, tell_at if self._hints else look_at)
            if not self._left and not self._looks:
                self._wait(connection, until - steady())

    def _wait(self, connection: ListeningConnection | None, seconds: float) -> None:
        if self._wake is None:
            return
        waiting = select.poll()
        waiting.register(self._wake, select.POLLIN)
        if connection is not None:
            waiting.register(connection.fileno(), select.POLLIN)
        waiting.poll(max(0.0, seconds) * 1000 + 0.5)
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def _hear(self, connection: ListeningConnection) -> bool:
        """Pass hints on; tell whether it was asked to look who is there."""
        first, asked = self._heard.hear(connection.heard(), self._seen.rank, steady())
        self._announce(first)
        return asked

    def _look_at_heard(self, connection: ListeningConnection) -> None:
        """Announce what was heard a while ago and nobody has leased."""
        followed = frozenset(self._followed)
        taken = [place for place in self._heard.take(steady()) if place[0] in followed]
        rows = self._asked(connection, catalogue.LEFT, (encoded(taken),)) if taken else ()
        self._announce(by_project({}, rows))

    def _take_turn(self) -> float:
        """Have projects looked at whose turn it is, by the engine's clock; return for how long."""
        turn, since = divmod(self.clock(), POLL_SECONDS)
        self._left.extend(p for p in self._followed if self._seen.has_turn(p, int(turn)))
        return POLL_SECONDS - since

    def _announce(self, found: Places) -> None:
        for project, places in found.items():
            if project in self._followed:
                self._ready(project, places)

    def _tell_hints(self, connection: ListeningConnection) -> None:
        if self._seen.is_alone:
            self._hints.clear()
        elif text := self._hints.take():
            connection.tell(CHANNEL, text)

    def _poll(self, connection: ListeningConnection) -> None:
        names = [self._left.popleft() for _ in range(min(len(self._left), _POLLED_AT_ONCE))]
        if not names:
            return
        found = by_project({}, self._asked(connection, catalogue.WAITING, (encoded(names),)))
        self._announce(found)
        for project, places in found.items():
            self.tell(project, places)  # none of it need be for this node

    def _asked(
        self, connection: ListeningConnection, question: str, values: Sequence[object] = ()
    ) -> list[Any]:
        """Return rows; none if the server is too busy: it is asked again later."""
        try:
            return connection.execute(question, values).fetchall()
        except Error as error:
            if connection.has_ended():
                raise
            self._note(str(SHARED.told(error)))
            return []

    # -- who is there ----------------------------------------------------------------------------

    def _look(self, connection: ListeningConnection) -> Among | None:
        takes = not self._refuse()
        if not takes:
            # Whatever the reason becomes meanwhile: others may lead, and have its share, from now.
            self._left_at = steady()
        heeded = self._among.began
        return self._presence.look(connection, self._sought, takes=takes, heeded=heeded)

    def _see(self, connection: ListeningConnection) -> None:
        found = self._look(connection)
        if found is None:
            self._note(self._replaced())
            self._call(lambda: self._apply(Among(self._own), returned=False))
            return
        self._note("")
        # By when it was seen, at the latest: it may have begun to look long before.
        returned = steady() > self._seen.until
        self._seen = found
        self._call(lambda: self._apply(found, returned=returned))
        known = frozenset(one.holder for one in found.living)
        now = steady()
        if self._known - known or now >= self._orphans_at:
            orphaned = [str(row[0]) for row in self._asked(connection, catalogue.ORPHANED)]
            self._orphans_at = now if orphaned else now + ORPHANS_SECONDS  # who is told may fail
            for project in orphaned:
                self._call(partial(self._orphaned, project))
        self._known = known

    def _orphaned(self, project: str) -> None:
        for watcher in self._watchers:
            watcher.orphaned(project)

    def _call(self, act: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # a closed loop has nobody left who watches
            if self._loop is not None:
                self._loop.call_soon_threadsafe(act)
