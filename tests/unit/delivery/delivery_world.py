"""A world for the tests of delivery: real data of projects, and a path that is a function."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from data_support import FakeVault

from casemate.admission import Catalogue
from casemate.data.interface import NewMessage
from casemate.delivery import Delivery
from casemate.delivery.admitted import AdmissionMarks
from casemate.delivery.keepers import Keepers
from casemate.delivery.subscriptions import Subscriptions
from casemate.model.deployment import Quarantine
from casemate.model.event import Event
from casemate.model.grant import QueueSpec, Resources
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import RawInvocation, Sealed
from casemate.model.principal import Principal, PrincipalKind, RoleBinding
from casemate.model.trigger import TriggerKind
from casemate.operations.leases import LeaseMessages, SettleMessages
from casemate.policy import CedarPolicy
from casemate.set_clock import DeletingClock
from support.core import deployed, version
from support.data_calls import REDRIVER, CalledData

QUEUES = Resources(queues=tuple(QueueSpec(name=n) for n in ("jobs", "told", "other")))
OK = Sealed(
    outcome=Outcome.OK,
    response=HttpResponse(200, ((b"content-type", b"application/json"),), b'{"ok":true}'),
)


def ended(outcome: Outcome, *, status: int = 500, body: bytes = b"{}", **rest: Any) -> Sealed:
    headers = ((b"content-type", b"application/json"),)
    response = HttpResponse(status, headers, body)
    return Sealed(outcome=outcome, response=response, error_id="err_1", **rest)


class Counting(CalledData):
    """Counts what is asked of it; `fault` is raised by the next settlements."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, FakeVault().data_key)
        self.leases = 0
        self.faults: list[Exception] = []

    async def change(self, operation: Any) -> Any:
        self.leases += isinstance(operation, LeaseMessages)
        if isinstance(operation, SettleMessages) and self.faults:
            raise self.faults.pop(0)
        return await super().change(operation)


class KeepersKnown:
    """What accounts know of who had events kept: each is an invoker until told otherwise."""

    def __init__(self) -> None:
        self.gone: dict[str, float] = {}
        """Since when principals may do nothing any more."""
        self.roles: dict[str, tuple[RoleBinding, ...] | None] = {
            REDRIVER: (RoleBinding(role="operator"),)
        }
        """Of those who are no invokers; None for whom nothing is known of any more."""

    def sent_away(self, text: str) -> float | None:
        return self.gone.get(text)

    def as_keeper(self, text: str) -> Principal | None:
        bindings = self.roles.get(text, (RoleBinding(role="invoker"),))
        kind, _, name = text.partition(":")
        if bindings is None:
            return None
        return Principal(kind=PrincipalKind(kind), id=name, bindings=bindings)


class World:
    """Deployed functions, their events, and what ran."""

    def __init__(self, folder: Path, data: Any = None) -> None:
        self.data = data or Counting(folder)
        self.catalogue = Catalogue()
        self.ran: list[RawInvocation] = []
        self.running = 0
        self.most_at_once = 0
        self.seconds = 0.0
        self.answer: Callable[[RawInvocation], Sealed] = lambda raw: OK
        self.marks = AdmissionMarks()
        self.keepers = KeepersKnown()
        self.policy = CedarPolicy()
        self.denied: list[Any] = []
        self.refusal = ""
        self.delivery = self._delivery()
        self.subscriptions = Subscriptions(self.data, self.catalogue)

    def _delivery(self) -> Delivery:
        loop = asyncio.get_running_loop()
        return Delivery(
            *(self.data, self.catalogue, self._run, loop, self.marks),
            cores=1,
            refusal=lambda: self.refusal,
            coordination=self.data.coordination,
            deleting=DeletingClock().now,
            refused=Keepers(self.keepers, self.policy, self.catalogue, self.denied.append).refusal,
        )

    async def _run(self, raw: RawInvocation) -> Sealed:
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await asyncio.sleep(self.seconds)
            self.ran.append(raw)
            return self.answer(raw)
        finally:
            self.running -= 1

    async def deploy(self, *specs: dict[str, Any], project: str = "t") -> None:
        """Have these functions live, and no others."""
        await self.data.ensure(project, QUEUES)
        self.catalogue.replace([deployed(version(project=project, **spec)) for spec in specs])
        await self.subscriptions.update()
        await self.subscriptions.ensure(project)

    def quarantine(self, *names: str) -> None:
        """Have these functions, and no others, take no calls."""
        found = [entry.deployed for entry in self.catalogue._functions.values()]
        self.catalogue.replace(
            msgspec.structs.replace(
                one,
                quarantine=Quarantine(
                    project=one.project, function=one.name, reason="r", by="node", since=1.0
                )
                if one.name in names
                else None,
            )
            for one in found
        )

    async def send(
        self,
        *data: Any,
        function: str = "f",
        trigger: str = "",
        kept_by: str = "",
        kind: TriggerKind | None = None,
        **changes: Any,
    ) -> None:
        """Keep events in a function's inbox."""
        kind = kind or (TriggerKind.SCHEDULE if trigger else TriggerKind.INVOKE)
        messages = [
            NewMessage(
                body=msgspec.json.encode(
                    Event(
                        id=f"e{index}",
                        source="/s",
                        type="t",
                        time=1.0,
                        kind=kind,
                        trigger=trigger,
                        data=msgspec.Raw(msgspec.json.encode(one)),
                        kept_by=kept_by,
                    )
                ),
                **changes,
            )
            for index, one in enumerate(data)
        ]
        await self.data.send_many("t", "inbox", function, messages)

    async def queue(self, *bodies: Any, queue: str = "jobs") -> None:
        messages = [NewMessage(body=msgspec.json.encode(body)) for body in bodies]
        await self.data.send_many("t", "queue", queue, messages)

    async def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, "not in time"
            await asyncio.sleep(0.005)

    async def empty(self, kind: str = "inbox", name: str = "f", seconds: float = 60.0) -> None:
        """Wait until nothing waits in a place."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (await self.data.queue_info("t", kind, name)).waiting:
            assert asyncio.get_running_loop().time() < deadline, "not in time"
            await asyncio.sleep(0.005)

    async def dead(self, kind: str = "inbox", name: str = "f") -> list[tuple[str, int]]:
        """Return reason and attempts of each dead letter."""
        letters = await self.data.dead_letters("t", kind, name)
        return [(letter.reason, letter.attempts) for letter in letters]

    def values(self) -> list[Any]:
        """Return the data of what ran."""
        return [msgspec.json.decode(event.data) for raw in self.ran for event in raw.events]


def play(folder: Path, scene: Callable[[World], Awaitable[None]]) -> None:
    """Run a scene in a new world."""

    async def run() -> None:
        world = World(folder / os.urandom(4).hex())
        try:
            await asyncio.wait_for(scene(world), 30)
        finally:
            await world.delivery.stop(1.0)
            await world.data.close()

    asyncio.run(run())


def sizes(ran: Sequence[RawInvocation]) -> list[int]:
    return [len(raw.events) for raw in ran]
