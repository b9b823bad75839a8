"""The gateway's end: asks the monitor, and knows whether there is one. The node goes on without."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import msgspec

from casemate.child.calls import decode_reply
from casemate.child.questions import Questions, Respondent
from casemate.child.restart import Backoff, KeptProcess
from casemate.metrics.families import Family
from casemate.monitor import protocol
from casemate.monitor.errors import MonitorUnavailableError
from casemate.monitor.findings import Found
from casemate.monitor.protocol import AlertsState, Status
from casemate.operations.findings import FindingPage, ListFindings, OnCallShift
from casemate.operations.incidents import Incident, IncidentPage, ListIncidents, Noticed

ANSWER_SECONDS = 30.0
"""Longer than a channel may take for a test."""
GONE_SECONDS = 5.0
"""How long there may be none before that is told."""
SILENT_SECONDS = 10.0
"""A monitor that has not told how it is for as long is not well."""
MAX_BEHIND = 10_000
"""Entries that it may be behind and be well."""
_RESPONDENT = Respondent(
    name="monitor",
    most=32,
    most_waiting=256,
    errors=protocol.ERRORS,
    unavailable=MonitorUnavailableError,
    takes=protocol.decode_request,
    if_gone="Try again in a moment; what happens is recorded all the same.",
)

T = TypeVar("T")
_log = logging.getLogger(__name__)
_status = msgspec.msgpack.Decoder(Status).decode


class MonitorClient:
    """Asks one monitor, whichever it is at the time. In the loop's thread only."""

    def __init__(self, starter: socket.socket | None, loop: asyncio.AbstractEventLoop) -> None:
        """Have monitors started on `starter`."""
        self._loop = loop
        self._questions = Questions(_RESPONDENT, loop)
        self._told: Status | None = None
        self._told_at = loop.time()
        self._noticed = -1
        self.on_noticed: Callable[[], None] = _nobody
        """Called when there are findings that `noticed` returns."""
        self._process = KeptProcess(
            "monitor",
            starter,
            loop,
            bounds=protocol.ASKING,
            backoff=Backoff(longest=5.0),
            started=lambda: None,
            received=self._received,
            lost=self._lost,
        )
        self._process.start()

    def _received(self, body: bytes) -> None:
        answer = decode_reply(body)
        if answer.n == protocol.STATUS:
            self._told, self._told_at = _status(answer.result), self._loop.time()
            if self._told.noticed != self._noticed:
                self._noticed = self._told.noticed
                self.on_noticed()
            return
        self._questions.answered(answer)

    def _lost(self) -> None:
        self._told, self._noticed = None, -1
        self._questions.lost()

    def problems(self) -> str:
        """Return what is wrong with what is noticed and told, empty where nothing is."""
        silent = self._loop.time() - self._told_at
        if self._told is None:
            if silent <= GONE_SECONDS:
                return ""  # it is being started
            return "The monitor is gone and not yet back: events will be read later."
        if silent > SILENT_SECONDS:
            return f"The monitor has said nothing for {silent:.0f} s."
        if self._told.behind > MAX_BEHIND:
            return f"The monitor has {self._told.behind} entries of the journal yet to read."
        return "; ".join(self._told.problems)

    @property
    def status(self) -> Status | None:
        """How the monitor said last that it is, None while there is none."""
        return self._told

    @property
    def starts(self) -> int:
        """How many monitors there were."""
        return self._process.starts

    async def tell_numbers(
        self, messages: Iterable[tuple[Family, ...]], *, started_at: float, at: float
    ) -> None:
        """Have the node's numbers exported, a part after the other. MonitorUnavailableError."""
        first = True
        for families in messages:
            told = partial(
                protocol.Numbers, first=first, started_at=started_at, at=at, families=families
            )
            await self._ask(type(None), told)
            first = False

    async def tell_first(self, first: bool) -> None:
        """Have it tell people first, or after another node. Raises MonitorUnavailableError."""
        await self._ask(type(None), lambda n: protocol.TellFirst(n, first))

    async def _ask(self, kind: type[T], make: Callable[[int], msgspec.Struct]) -> T:
        return await self._questions.ask(self._process, kind, make, seconds=ANSWER_SECONDS)

    async def findings(self, wanted: ListFindings) -> FindingPage:
        """Return findings, newest first. Raises MonitorUnavailableError."""
        return await self._ask(FindingPage, lambda n: protocol.Find(n, wanted))

    async def finding(self, id: str) -> Found:
        """Return one. Raises NotFoundError, MonitorUnavailableError."""
        return await self._ask(Found, lambda n: protocol.GetFinding(n, id))

    async def incidents(self, wanted: ListIncidents) -> IncidentPage:
        """Return incidents, the newest first. Raises MonitorUnavailableError."""
        return await self._ask(IncidentPage, lambda n: protocol.FindIncidents(n, wanted))

    async def incident(self, id: str) -> Incident:
        """Return one. Raises NotFoundError, MonitorUnavailableError."""
        return await self._ask(Incident, lambda n: protocol.GetIncident(n, id))

    async def noticed(self, after: int) -> tuple[Noticed, ...]:
        """Return what was found lately, behind an entry of the journal. MonitorUnavailableError."""
        return await self._ask(tuple[Noticed, ...], lambda n: protocol.GetNoticed(n, after))

    async def alerts(self) -> AlertsState:
        """Return how channels are. Raises MonitorUnavailableError."""
        return await self._ask(AlertsState, protocol.GetAlerts)

    async def on_call(self, days: int) -> tuple[OnCallShift, ...]:
        """See `Monitor.on_call`."""
        return await self._ask(tuple[OnCallShift, ...], lambda n: protocol.GetOnCall(n, days))

    async def test(self, channel: str) -> str:
        """Send a test; return why it was not taken, empty if it was. Raises NotFoundError."""
        return await self._ask(str, lambda n: protocol.TestChannel(n, channel))

    async def has_rule(self, rule: str) -> bool:
        """Tell whether there is such a rule. Raises MonitorUnavailableError."""
        return await self._ask(bool, lambda n: protocol.HasRule(n, rule))

    def close(self) -> None:
        """End the monitor: what it has not read yet it reads the next time. Twice is fine."""
        self._process.close()


def _nobody() -> None:
    """Tell nobody."""
