"""A gateway that is killed at any step of an event's way: what was acknowledged is handled.

The steps are the operations on the data: keep, resume, lease, look for the next, settle. Who is
killed makes no further one; the next gateway finds what is in the database.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from delivery_world import World

from casemate.model.function import Delivery

EVENTS = 2
F: dict[str, Any] = {"name": "f", "delivery": Delivery(attempts=3, backoff=0.02, backoff_most=0.1)}


class Killed:
    """Has a gateway make no further step from one on; `done` has those that it made."""

    def __init__(self, world: World, number: int, *, after: bool) -> None:
        self.now = asyncio.Event()
        self.done: list[str] = []
        self._number = number
        self._after = after
        for name in ("change", "read"):
            setattr(world.data, name, self._counted(getattr(world.data, name)))

    def _counted(self, real: Any) -> Any:
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def call(operation: Any) -> Any:
            if self.now.is_set():
                await never
            self.done.append(type(operation).__name__)
            if len(self.done) != self._number:
                return await real(operation)
            self.now.set()
            if self._after:
                await real(operation)
            return await never

        return call


async def _killed_at(folder: Path, number: int, *, after: bool) -> list[str]:
    """Kill a gateway at a step, start another; return the steps of the first if it was killed."""
    world = World(folder)
    await world.deploy(F)
    killed = Killed(world, number, after=after)
    acknowledged: list[int] = []

    async def send() -> None:
        for value in range(EVENTS):
            await world.send(value)
            acknowledged.append(value)

    world.delivery.start()
    sending = asyncio.ensure_future(send())

    def over() -> bool:
        return len(world.ran) >= EVENTS and not world.delivery._lanes

    await world.until(lambda: killed.now.is_set() or over())
    if not killed.now.is_set():
        await world.delivery.stop(1.0)
        await world.data.close()
        return []
    # What was asked of the database before is written all the same, as by its own thread.
    await asyncio.sleep(0)
    sending.cancel()
    await world.data.close()
    again = World(folder)
    try:
        await again.deploy(F)
        again.delivery.start()
        await again.empty()
        handled = {*world.values(), *again.values()}
        assert set(acknowledged) <= handled, (killed.done, acknowledged)
        assert await again.dead() == []
    finally:
        await again.delivery.stop(1.0)
        await again.data.close()
    return killed.done


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_what_was_acknowledged_is_handled_whenever_the_gateway_is_killed(
    tmp_path: Path, after: bool
) -> None:
    seen: set[str] = set()
    number = 1
    while steps := asyncio.run(_killed_at(tmp_path / str(number), number, after=after)):
        seen |= set(steps)
        number += 1
    assert {"KeepMessages", "ResumeDelivery", "LeaseMessages", "SettleMessages"} <= seen
    assert number > 6
