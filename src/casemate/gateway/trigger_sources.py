"""Builds what turns happenings outside into events."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from casemate.front import Nowhere
from casemate.gateway.foundations import Foundations
from casemate.model.deployment import Version
from casemate.triggers.hooks import Hooks
from casemate.triggers.outside import OutsideTriggers
from casemate.triggers.schedule import Schedules


class TriggerSources:
    """The clock, web hooks and outside sources, of what is live."""

    def __init__(self, base: Foundations) -> None:
        """Build; nothing comes before `follow`."""
        data, happened = base.data, base.facts.happened
        self.nowhere = Nowhere(base.accounts, base.seal, happened)
        self.schedules = Schedules(data, coordination=data.coordination)
        self.hooks = Hooks(
            *(base.vault, data, base.policy, happened, self.nowhere.no_hook),
            # That of what remembers deliveries, whichever node they come to.
            clock=data.coordination.clock,
        )
        self.outside = OutsideTriggers(
            data,
            base.vault,
            happened,
            socket.socket(fileno=base.config.sources),
            base.loop,
            coordination=data.coordination,
        )

    def follow(self, live: Sequence[Version]) -> None:
        """Have the schedules, hooks and sources of what is live now."""
        self.schedules.replace(live)
        self.hooks.replace(live)
        self.outside.replace(live)

    async def close(self) -> None:
        """Have nothing come any more."""
        await self.schedules.close()
        await self.outside.close()
