"""What tests of schedules need: data in memory that can fail, versions, and a clock to set."""

from __future__ import annotations

import asyncio

import msgspec

from casemate.data.interface import NewMessage
from casemate.model.deployment import Version
from casemate.model.errors import UnavailableError
from casemate.model.event import Event
from casemate.model.function import Delivery, FunctionSpec
from casemate.model.trigger import ScheduleTrigger
from casemate.operations.positions import AdvancePosition, ShowPosition
from casemate.triggers.schedule import Schedules

START = 1_800_000_000.0


class Clock:
    """A wall clock that stands still until time passes, and may be set."""

    def __init__(self, now: float = START) -> None:
        self.now = now
        self.passed = 0.0

    def __call__(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.passed

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.passed += seconds


class MemoryData:
    """Positions and inboxes as `ProjectData` keeps them. It survives those who use it."""

    def __init__(self) -> None:
        self.positions: dict[tuple[str, str], bytes] = {}
        self.sent: list[tuple[str, str, str, NewMessage]] = []
        self.fail_before = 0
        """How many changes fail and write nothing."""
        self.fail_after = 0
        """How many changes write, and fail then."""
        self.writes = 0

    async def read(self, operation: ShowPosition) -> bytes | None:
        return self.positions.get((operation.project, operation.position))

    async def change(self, operation: AdvancePosition) -> bool:
        project, position = operation.project, operation.position
        await asyncio.sleep(0)
        if self.fail_before:
            self.fail_before -= 1
            raise UnavailableError
        if self.positions.get((project, position)) != operation.expected:
            return False
        self.positions[project, position] = operation.value
        self.writes += 1
        self.sent += [(project, *send) for send in operation.sends]
        if self.fail_after:
            self.fail_after -= 1
            raise UnavailableError
        return True

    def events(self) -> list[Event]:
        return [msgspec.json.decode(send[3].body, type=Event) for send in self.sent]

    def times(self) -> list[float]:
        return [event.time for event in self.events()]


def version(
    *triggers: ScheduleTrigger,
    number: int = 1,
    created_at: float = START,
    function: str = "report",
    project: str = "shop",
) -> Version:
    spec = FunctionSpec(name=function, handler="a:h", triggers=triggers, delivery=Delivery())
    return Version(
        project=project,
        function=function,
        number=number,
        digest="d",
        spec=spec,
        created_at=created_at,
        created_by="token:x",
    )


async def settle(schedules: Schedules) -> None:
    """Do what is due by now, and wait until it is done."""
    schedules._look()
    while schedules._tasks:
        done, _ = await asyncio.wait(tuple(schedules._tasks))
        for task in done:
            task.result()
