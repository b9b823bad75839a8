"""One source at work: its connections, one after the other, and what it hands over."""

from __future__ import annotations

import asyncio
import itertools
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from random import SystemRandom

from casemate.child.restart import pause_after
from casemate.egress.rules import Rules
from casemate.model.errors import CasemateError
from casemate.shown_text import printable
from casemate.sources import protocol
from casemate.sources.config import SourceLimits
from casemate.sources.connections import ConnectionDeniedError, connecting_for, rules_of
from casemate.sources.errors import SourceError
from casemate.sources.interface import Connector, MakeConnector, Received, bound_unsent

_log = logging.getLogger(__name__)
_draw = SystemRandom().random
_REASON = 500
SECRET_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_REPEATED = 6
"""Letters and digits of a password by which it is known: servers cut off what they repeat."""


def why(error: BaseException, told: str = "") -> str:
    """Return an error for operators: ours in full, of others no more than cannot hold content.

    `told` is the password that the server was told last.
    """
    if isinstance(error, CasemateError):
        text = str(error)
        # Servers repeat what they do not understand: Redis does a command's arguments.
        begins = _bare(told)[:_REPEATED]
        if begins and begins in _bare(text):
            text = "The server answers with an error that repeats the password; it is left out."
    elif isinstance(error, ssl.SSLCertVerificationError):
        text = f"The server's certificate is refused: {error.verify_message}."
    elif isinstance(error, TimeoutError):
        text = "The server did not answer in time."
    elif isinstance(error, EOFError):
        text = "The server closed the connection."
    elif isinstance(error, OSError):
        text = f"The connection failed: {error.strerror or error}."
    else:
        text = f"The connector failed ({type(error).__name__})."
    # A server's text may hold what steers a terminal.
    return printable(text[:_REASON])


def _bare(text: str) -> str:
    """Return the letters and digits of a text: all else, servers escape or cannot read."""
    return "".join(each for each in text if each.isascii() and each.isalnum())


class Source:
    """Implements `Session` for each of its connections."""

    def __init__(
        self,
        start: protocol.Start,
        make: MakeConnector,
        *,
        limits: SourceLimits,
        tls: ssl.SSLContext,
        send: Callable[[protocol.Report], None],
    ) -> None:
        """Bring events from what `start` names. Raises SourceError; see `begin`."""
        self.limits = limits
        self.tls = tls
        self.password = ""
        self.identity = start.identity
        self._number = start.n
        self._trigger = start.trigger
        self._send = send
        self._rules: Rules = rules_of(start.trigger)
        self._connector: Connector = make(start.trigger)
        self._batches = itertools.count(1)
        self._answers: dict[int, asyncio.Future[protocol.Outcome]] = {}
        self._secret: asyncio.Future[str] | None = None
        self._state = protocol.State(start.n, connected=False, error="", waiting=None)
        self._connected_at = 0.0
        self._full = 0
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start to bring events."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Bring no more. What was not acknowledged comes again to whoever asks next."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        failures = 0
        with connecting_for(self._number, self._rules):
            while True:
                self._connected_at = 0.0
                told = ""
                try:
                    self.password = told = await self._ask() if self._trigger.password else ""
                    await self._connector.run(self)
                    error: Exception = EOFError()
                except Exception as raised:  # noqa: BLE001 - one source never ends the others
                    error = raised
                finally:
                    self.password = ""
                if not isinstance(error, CasemateError | OSError | EOFError):
                    # Never the message or the trace's values: they could hold what the server sent.
                    _log.error("source %d failed: %s", self._number, type(error).__name__)
                if isinstance(error, ConnectionDeniedError):
                    self._send(
                        protocol.Refused(self._number, error.reason[:_REASON], denied=True, count=1)
                    )
                steady = (
                    self._connected_at
                    and time.monotonic() - self._connected_at > self.limits.steady
                )
                failures = 1 if steady else failures + 1
                self._tell(connected=False, error=why(error, told))
                await asyncio.sleep(
                    pause_after(
                        failures,
                        self.limits.first_pause,
                        self.limits.longest_pause,
                        _draw(),
                    )
                )

    async def _ask(self) -> str:
        """Return the password, as it is now. Raises SourceError."""
        self._secret = asyncio.get_running_loop().create_future()
        self._send(protocol.Ask(self._number))
        try:
            async with asyncio.timeout(SECRET_SECONDS):
                return await self._secret
        except TimeoutError:
            raise SourceError("The password did not come from the vault in time.") from None
        finally:
            self._secret = None

    def give(self, password: str, problem: str) -> None:
        """Take the answer to `Ask`."""
        if self._secret is None or self._secret.done():
            return
        if problem:
            self._secret.set_exception(SourceError(problem))
        else:
            self._secret.set_result(password)

    def answered(self, batch: int, outcome: protocol.Outcome) -> None:
        """Take the answer to `Handed`."""
        answer = self._answers.get(batch)
        if answer is not None and not answer.done():
            answer.set_result(outcome)

    def _tell(
        self, *, connected: bool | None = None, error: str | None = None, waiting: int | None = -1
    ) -> None:
        state = protocol.State(
            self._number,
            connected=self._state.connected if connected is None else connected,
            error=self._state.error if error is None else error,
            waiting=self._state.waiting if waiting == -1 else waiting,
        )
        if state != self._state:
            self._send(state)
            self._state = state

    # -- what connectors ask for ---------------------------------------------------------------

    async def connect(self, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """See `Session.connect`."""
        reader, writer = await asyncio.open_connection(
            self._trigger.host,
            self._trigger.port,
            limit=64 * 1024,
            ssl=self.tls if tls else None,
        )
        bound_unsent(writer)
        return reader, writer

    def connected(self) -> None:
        """See `Session.connected`."""
        self._connected_at = time.monotonic()
        self._tell(connected=True, error="")

    async def keep(self, events: Sequence[Received]) -> None:
        """See `Session.keep`."""
        while not await self.offer(events):
            await self.pause()

    async def offer(self, events: Sequence[Received]) -> bool:
        """See `Session.offer`."""
        batch = next(self._batches) & 0xFFFFFFFF
        answer: asyncio.Future[protocol.Outcome] = asyncio.get_running_loop().create_future()
        self._answers[batch] = answer
        try:
            self._send(protocol.Handed(self._number, batch, tuple(events)))
            async with asyncio.timeout(_ANSWER_SECONDS):
                kept = await answer is protocol.Outcome.KEPT
        except TimeoutError:
            kept = False
        finally:
            del self._answers[batch]
        if kept and self._full:
            self._full = 0
            self._tell(error="")
        return kept

    async def pause(self) -> None:
        """See `Session.pause`."""
        self._full += 1
        self._tell(error="There is no room for more events; the function does not keep up.")
        await asyncio.sleep(
            pause_after(
                self._full,
                self.limits.full_pause,
                self.limits.full_longest,
                _draw(),
            )
        )

    def refused(self, reason: str, count: int = 1) -> None:
        """See `Session.refused`."""
        self._send(protocol.Refused(self._number, reason[:_REASON], denied=False, count=count))

    def waiting(self, count: int | None) -> None:
        """See `Session.waiting`."""
        self._tell(waiting=count)
