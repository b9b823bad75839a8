"""People who are told at once: by the monitor, which reads of it in the journal."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable

from casemate.facts import FactStream
from casemate.model.errors import NotFoundError
from casemate.model.facts import Actor, PeoplePaged
from casemate.model.restriction import EVERYTHING
from casemate.model.still import require_still
from casemate.monitor.interface import Monitor

MAX_MESSAGE = 256


class Paging:
    """Has people told."""

    def __init__(
        self, monitor: Monitor, facts: FactStream, durable: Callable[[], Awaitable[None]]
    ) -> None:
        """Ask `monitor` who there is; what is told is on record, by which it is told."""
        self._monitor = monitor
        self._facts = facts
        self._durable = durable

    async def require(self, to: str) -> None:
        """Raise NotFoundError if nobody would be told, MonitorUnavailableError."""
        channels = (await self._monitor.alerts()).channels
        named = {name for one in channels for name in (one.name, one.on_call) if name}
        if not channels or to not in (EVERYTHING, *named):
            raise NotFoundError(
                f"There is no channel or rotation {to[:63]} that reaches people.",
                next_step="Name it in the file that casemate serve --config reads; "
                "casemate alert ls.",
            )

    async def page(
        self, to: str, message: str, by: Actor, *, project: str = "", known_as: str = ""
    ) -> None:
        """Have people told; the same once, by what it is known as. Raises as `require` does."""
        await self.require(to)
        require_still()
        self._facts.happened(
            PeoplePaged(
                at=time.time(),
                by=by.principal,
                remote_address=by.remote_address,
                project=project,
                page=known_as or secrets.token_hex(8),
                to=to,
                message=message[:MAX_MESSAGE],
            )
        )
        await self._durable()
