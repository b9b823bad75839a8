"""What all connections of one server share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from casemate.model.errors import CasemateError
from casemate.model.http import (
    AskedRoute,
    Destination,
    Handler,
    HttpHead,
    HttpRequest,
    HttpResponse,
    Undecided,
)
from casemate.model.trusted_proxies import TrustedProxies
from casemate.triggers.http_server.buffers import Buffers
from casemate.triggers.http_server.driven import Driven
from casemate.triggers.http_server.large_bodies import LargeBodies
from casemate.triggers.http_server.limits import HttpLimits
from casemate.triggers.http_server.peers import ConnectionCounter
from casemate.triggers.http_server.problem import server_problem
from casemate.triggers.http_server.refusal_pace import RefusalPace
from casemate.triggers.http_server.request_head import METHODS, RequestHead
from casemate.triggers.http_server.response_head import date_line
from casemate.turn_end import TurnEnd

OnError = Callable[[BaseException], str]
Problem = Callable[[int, str, str | None], HttpResponse]
Found = Destination | HttpResponse | Undecided

_logger = logging.getLogger(__name__)


class InvalidLimitError(CasemateError):
    """The callback for where a request leads returned something else."""


class _HasDeadline(Protocol):
    deadline: float


class OpenConnection(Protocol):
    """What the server does with a connection that is open. Times are the loop's."""

    deadline: float

    @property
    def writer(self) -> _HasDeadline:
        """What writes its answers."""
        ...

    def begin_drain(self, now: float) -> None:
        """Take no further request."""
        ...

    def expire(self, now: float) -> None:
        """Act on a deadline that has passed."""
        ...

    def abort(self) -> None:
        """Cut it."""
        ...


class ServerContext:
    """Callbacks, limits and counters of one server; used from its event loop only."""

    __slots__ = (
        "_on_error",
        "_problem",
        "always",
        "buffers",
        "closed",
        "connections",
        "counter",
        "date",
        "draining",
        "driven",
        "large",
        "limits",
        "loop",
        "pace",
        "proxies",
        "route",
        "tasks",
        "turn_end",
    )

    def __init__(
        self,
        route: AskedRoute,
        limits: HttpLimits,
        on_error: OnError,
        problem: Problem,
        proxies: TrustedProxies,
    ) -> None:
        """Bind to the running event loop."""
        self.route = route
        self.limits = limits
        self._problem = problem
        self.loop = asyncio.get_running_loop()
        self.proxies = proxies
        self.counter = ConnectionCounter(limits, proxies.trusts)
        self.connections: set[OpenConnection] = set()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.driven: set[Driven] = set()
        """Answers that are made without a task."""
        self.buffers = Buffers(limits, proxies.trusts)
        self.turn_end = TurnEnd()
        self.large = LargeBodies(self.loop)
        self.pace = RefusalPace()
        self.draining = False
        self.closed = False
        self.always = b""
        """Header lines of every response."""
        self.date = b""
        """Those, and that of the date; see `refresh`."""
        self._on_error = on_error
        self.refresh()

    def resolve(self, request: RequestHead) -> RequestHead:
        """Return a request whose peer is who asked the proxies before this server, if any."""
        if not self.proxies:
            return request
        return msgspec.structs.replace(request, head=self.proxies.resolve(request.head))

    @property
    def under_way(self) -> int:
        """How many answers are being made."""
        return len(self.driven) + sum(not task.done() for task in self.tasks)

    @property
    def buffered(self) -> int:
        """Bytes of request bodies and answers in memory."""
        return self.buffers.used

    async def cancel_all(self) -> None:
        """Cancel all answers that are being made, and wait until their tasks have ended."""
        tasks = tuple(self.tasks)
        for task in tasks:
            task.cancel()
        for driven in tuple(self.driven):
            driven.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # One that was cancelled before it began had no chance to take itself out.
        self.tasks.difference_update(tasks)

    async def handle_large(self, large: tuple[Handler, HttpHead, list[bytes]]) -> HttpResponse:
        """Handle a request with a large body, given in pieces, once it is its turn."""
        handler, head, pieces = large
        await self.large.turn()
        body = b"".join(pieces)
        pieces.clear()
        return await handler(HttpRequest(head, body))

    def refresh(self) -> None:
        """Bring the date up to date."""
        self.date = date_line() + self.always

    def report(self, error: BaseException) -> str | None:
        """Hand an error to its owner; return its id, None if even that failed."""
        try:
            return self._on_error(error)
        except Exception:  # whatever it raises, the connection must be answered
            _logger.exception("on_error failed for %s", type(error).__name__)
            return None

    def problem(self, status: int, detail: str, error_id: str | None = None) -> HttpResponse:
        """Return the error response for a status; the plain one if the callback fails."""
        try:
            response = self._problem(status, detail, error_id)
        except Exception as error:  # noqa: BLE001 - the connection must be answered
            self.report(error)
            response = server_problem(status, detail, error_id)
        if status == 405:
            response.headers = (*response.headers, (b"allow", b", ".join(METHODS)))
        return response

    def failure(self, error: BaseException) -> HttpResponse:
        """Report an error and return the 500 that carries its id and nothing else of it."""
        return self.problem(500, "The request could not be answered.", self.report(error))

    def asked(self, route: Callable[[], Found]) -> Found:
        """Return what `route` says, or a failure if that is nothing to go by."""
        try:
            found = route()
        except Exception as error:  # noqa: BLE001 - whatever it raises, nothing is allowed
            return self.failure(error)
        if isinstance(found, (HttpResponse, Undecided)):
            return found
        if isinstance(found, Destination) and type(found.limit) is int and found.limit >= 0:
            return found
        return self.failure(
            InvalidLimitError(
                f"The request leads to {found!r}, expected a limit in bytes and who answers, or "
                "an HttpResponse."
            )
        )
