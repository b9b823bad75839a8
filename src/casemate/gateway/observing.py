"""Builds what counts what is used, and tells what the node is seen to do."""

from __future__ import annotations

from collections.abc import Callable

from casemate.budgets import Budgets, Shares
from casemate.dispatch import Dispatcher
from casemate.gateway.control import NodeControl
from casemate.gateway.depths import Depths
from casemate.gateway.foundations import Foundations
from casemate.gateway.loop_lag import LoopLag
from casemate.gateway.numbers_told import NumbersTold
from casemate.gateway.observed import Observed, Parts
from casemate.gateway.shared_numbers import SharedNumbers
from casemate.model.node import NodeHealth
from casemate.sandbox.client import SandboxClient
from casemate.store.told_numbers import WANTED_TOPIC


class Observing:
    """Budgets, metrics, and who is told the numbers."""

    def __init__(
        self,
        base: Foundations,
        control: NodeControl,
        dispatcher: Dispatcher,
        client: SandboxClient,
        *,
        health: Callable[[], NodeHealth],
        audit_score: Callable[[], int | None],
        starts: Callable[[], dict[str, int]],
        connections: Callable[[], tuple[int, int]],
    ) -> None:
        """Count what these do; `Parts` says what the rest is."""
        nodes, started_at = base.nodes, base.config.started_at
        self.budgets = Budgets(
            base.store,
            base.facts,
            base.allowance,
            # With what has ended a moment ago: none of it may be missing from what is counted.
            read=control.recorded,
            durable=base.recorder.durable,
            ran=base.registry.ran,
            # What divides budgets among nodes, where there can be others.
            shares=None
            if nodes.shared is None
            else Shares(nodes.shared, lambda: nodes.membership.id),
        )
        self._lag, self._depths = LoopLag(base.loop), Depths(base.data)
        self.observed = Observed(
            Parts(
                registry=base.registry,
                dispatcher=dispatcher,
                client=client,
                depths=self._depths,
                lag=self._lag,
                records=base.records,
                recorder=base.recorder,
                monitor=base.monitor,
                health=health,
                starts=starts,
                connections=connections,
                functions=lambda: len(base.catalogue),
                started_at=started_at,
                audit_score=audit_score,
                store_age=nodes.age,
                nodes=nodes.count,
                databases=base.state.databases,
                name=nodes.name,
            )
        )
        self.shared_numbers = SharedNumbers(
            nodes, base.vault, self.observed.metrics, base.state.numbers, WANTED_TOPIC
        )
        self._numbers_told = NumbersTold(self.observed, base.monitor, started_at)

    def start(self) -> None:
        """Begin to look at the event loop, and to tell."""
        self._lag.start()
        self._numbers_told.start()
        self.shared_numbers.start()

    async def close(self) -> None:
        """Look and tell no more."""
        self._lag.close()
        await self._numbers_told.close()
        await self.shared_numbers.close()
        await self._depths.close()
