"""Answers for the gateway: what was found, how channels are; and how the monitor itself is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable

from casemate.child.calls import refusal, reply
from casemate.child.channel import ENDED, FrameSocket
from casemate.child.frames import FrameError
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.level import Level
from casemate.monitor import protocol
from casemate.monitor.errors import MonitorError, MonitorUnavailableError
from casemate.monitor.findings import Found, at_least
from casemate.monitor.messages import test_message
from casemate.monitor.noticing import Noticing
from casemate.operations.findings import FindingPage, ListFindings, ShowFinding
from casemate.operations.incidents import Incident, ShowIncident

STATUS_SECONDS = 1.0
GATHER_SECONDS = 0.02
"""What is found together is told together: a flood costs no more than so many messages."""
MAX_QUESTIONS = 64
"""Questions at once: twice those of the gateway, which asks the next once it has an answer, when
the one before may not be over here."""
READ_SECONDS = 5.0
"""How long who asks for what was found waits for a monitor that is still reading."""
_FOUND = (
    protocol.Find,
    protocol.GetFinding,
    protocol.FindIncidents,
    protocol.GetIncident,
)
"""Questions about what the journal says."""
_log = logging.getLogger("casemate.monitor")


class Server:
    """Serves one gateway."""

    def __init__(self, noticing: Noticing, sock: socket.socket, ended: Callable[[], None]) -> None:
        """Serve what comes on `sock`; `ended` is told when the gateway is gone."""
        self._noticing = noticing
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._soon = asyncio.Event()
        noticing.noticed.changed = self._soon.set
        self._questions: set[asyncio.Task[None]] = set()
        self._socket = FrameSocket(
            sock, self._loop, protocol.ANSWERING, received=self._received, ended=self._lost
        )

    def _lost(self, why: str) -> None:
        if why != ENDED:
            _log.warning("the connection to the gateway is closed: %s", why)
        self._ended()

    async def tell_status(self) -> None:
        """Tell how the monitor is, each second and when more was found, for ever."""
        while True:
            if not self._socket.waiting:  # a gateway that hangs is told once it goes on
                self._socket.send(reply(protocol.STATUS, self._noticing.status()))
            self._soon.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), STATUS_SECONDS)
                await asyncio.sleep(GATHER_SECONDS)

    def _received(self, body: bytes) -> None:
        request = protocol.decode_request(body)
        if len(self._questions) >= MAX_QUESTIONS:
            busy = MonitorError("The monitor has many questions to answer first.")
            self._socket.send(refusal(request.n, protocol.ERRORS.failure(busy)))
            return
        task = self._loop.create_task(self._answer(request))
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    async def _answer(self, request: protocol.Request) -> None:
        try:
            self._socket.send(reply(request.n, await self._result(request)))
        except CasemateError as error:
            self._socket.send(refusal(request.n, protocol.ERRORS.failure(error)))
        except FrameError as error:
            self._lost(str(error))

    async def _result(self, request: protocol.Request) -> object:
        if isinstance(request, _FOUND):
            await self._read()
        match request:
            case protocol.TestChannel():
                return await self._test(request.channel)
            case protocol.Find():
                return self._listed(request.wanted)
            case protocol.GetFinding():
                return self._noticing.detection.with_since(self._finding(request.id))
            case protocol.FindIncidents():
                return self._noticing.incidents.listed(request.wanted)
            case protocol.GetIncident():
                return self._incident(request.id)
            case _:
                return self._other(request)

    def _other(
        self,
        request: protocol.GetAlerts
        | protocol.GetNoticed
        | protocol.GetOnCall
        | protocol.HasRule
        | protocol.Numbers
        | protocol.TellFirst,
    ) -> object:
        noticing = self._noticing
        if isinstance(request, protocol.GetNoticed):
            return noticing.noticed.after(request.after)
        if isinstance(request, protocol.Numbers):
            noticing.exporting.numbers(request)
            return None
        if isinstance(request, protocol.TellFirst):
            noticing.alerting.be_first(first=request.first)
            return None
        if isinstance(request, protocol.GetOnCall):
            return noticing.alerting.shifts(time.time(), 86_400.0 * request.days)
        if isinstance(request, protocol.HasRule):
            return noticing.has_rule(request.rule)
        since = noticing.detection.since_by_level()
        return protocol.AlertsState(
            channels=tuple(each.state_with(since) for each in noticing.alerting.outlets.values()),
            silences=noticing.alerting.silences(time.time()),
            signs_of_life=0 if noticing.deadman is None else noticing.deadman.sent,
        )

    async def _read(self) -> None:
        """Return once all has been read that was there when the monitor started.

        What it has not come to yet is not missing: nobody may be told so. Raises
        MonitorUnavailableError.
        """
        following = self._noticing.following
        try:
            async with asyncio.timeout(READ_SECONDS):
                await following.caught_up.wait()
        except TimeoutError:
            left = max(0, following.size - (following.position.next or 0))
            raise MonitorUnavailableError(
                f"The monitor was started again, and has yet to read what came before: {left} "
                "entries of the journal are known of.",
                next_step="Try again in a moment.",
            ) from None

    def _finding(self, id: str) -> Found:
        found = self._noticing.findings.get(id)
        if found is None:
            raise ShowFinding(id=id).missing
        return found

    def _incident(self, id: str) -> Incident:
        incident = self._noticing.incidents.get(id)
        if incident is None:
            raise ShowIncident(id=id).missing
        return incident

    async def _test(self, channel: str) -> str:
        outlet = self._noticing.alerting.outlets.get(channel)
        if outlet is None:
            raise NotFoundError(
                f"There is no channel {channel[:64]}.",
                next_step="Name one of the node's settings file; casemate alert ls.",
            )
        return await outlet.deliver(test_message(self._noticing.node))

    def _listed(self, wanted: ListFindings) -> FindingPage:
        found: list[Found] = []
        passed = wanted.before is None
        least = Level(wanted.level or Level.INFORMATIONAL)
        for each in self._noticing.findings.newest_first():
            if not passed:
                passed = each.id == wanted.before
                continue
            if (
                (wanted.project is None or each.project == wanted.project)
                and (wanted.rule is None or each.rule == wanted.rule)
                and (wanted.since is None or each.at >= wanted.since)
                and at_least(each.level, least)
            ):
                if len(found) == wanted.limit:
                    return FindingPage(findings=tuple(found), more=True)
                found.append(self._noticing.detection.with_since(each))
        return FindingPage(findings=tuple(found), more=False)

    def close(self) -> None:
        """End it."""
        for task in self._questions:
            task.cancel()
        self._socket.close()
