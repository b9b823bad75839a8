"""Ends of attempts share transactions, and nobody waits for company that somebody waits for."""

from __future__ import annotations

import asyncio
import time

from casemate.data.interface import Fate, Settlement
from casemate.delivery import settling
from casemate.delivery.settling import MOST_WAITING, Settler
from casemate.model.errors import CasemateError
from casemate.operations.leases import SettleMessages

PLACE = ("p", "inbox", "f")
LONG = 30.0


class Data:
    """Notes what is settled together, and when."""

    def __init__(self) -> None:
        self.written: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def change(self, operation: SettleMessages) -> int:
        await self.gate.wait()
        self.written.append([one.id for one in operation.settlements])
        return len(operation.settlements)


def end(number: int) -> Settlement:
    return Settlement(id=f"{number:016x}", fence=1, attempt=1, fate=Fate.DONE)


def ids(*numbers: int) -> list[str]:
    return [f"{number:016x}" for number in numbers]


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_the_first_is_written_at_once_and_the_next_ones_together(monkeypatch) -> None:
    monkeypatch.setattr(settling, "_GATHER_SECONDS", 0.05)

    async def main() -> None:
        data = Data()
        settler = Settler(data, lambda _place: None)  # type: ignore[arg-type]
        settler.add(PLACE, (end(1),))
        await turns()
        assert data.written == [ids(1)]
        for number in (2, 3, 4):
            settler.add(PLACE, (end(number),))
            await turns()
        assert data.written == [ids(1)]
        await asyncio.sleep(0.15)
        assert data.written == [ids(1), ids(2, 3, 4)]
        await settler.close()

    asyncio.run(main())


def test_what_somebody_waits_for_does_not_wait(monkeypatch) -> None:
    monkeypatch.setattr(settling, "_GATHER_SECONDS", LONG)

    async def main() -> None:
        data = Data()
        settler = Settler(data, lambda _place: None)  # type: ignore[arg-type]
        settler.add(PLACE, (end(1),))
        await turns()
        settler.add(PLACE, (end(2),), soon=True)
        await turns()
        assert data.written == [ids(1), ids(2)]
        # During a write, too: what comes then is written right after it.
        data.gate.clear()
        settler.add(PLACE, (end(3),), soon=True)
        await turns()
        settler.add(PLACE, (end(4),), soon=True)
        data.gate.set()
        await turns()
        assert data.written == [ids(1), ids(2), ids(3), ids(4)]
        settler.add(PLACE, [end(n) for n in range(5, 6 + MOST_WAITING // 2)])
        await turns()
        assert len(data.written) == 5
        began = time.monotonic()
        settler.add(PLACE, (end(9000),))
        await settler.idle(PLACE)
        settler.add(PLACE, (end(9001),))
        await turns()
        settler.add(PLACE, (end(9002),))
        await settler.close()
        assert time.monotonic() - began < LONG / 2
        assert [one for batch in data.written for one in batch][-3:] == ids(9000, 9001, 9002)

    asyncio.run(main())


def test_ends_that_wait_go_along_with_what_is_kept(monkeypatch) -> None:
    monkeypatch.setattr(settling, "_GATHER_SECONDS", 0.001)
    monkeypatch.setattr(settling, "_ALONG_SECONDS", LONG)

    async def main() -> None:
        data = Data()
        settler = Settler(data, lambda _place: None)  # type: ignore[arg-type]
        settler.along(PLACE)
        assert not settler._along, "nothing of a place where no end waits"
        data.gate.clear()
        settler.add(PLACE, (end(1),))
        await turns()
        settler.along(PLACE)
        data.gate.set()
        await turns()
        assert data.written == [ids(1)]
        settler.along(PLACE)
        await turns()
        settler.add(PLACE, (end(2),))
        await asyncio.sleep(0.02)
        assert data.written == [ids(1)], "while something is kept they wait for the next"
        settler.along(PLACE)
        await turns()
        assert data.written == [ids(1), ids(2)]
        settler.add(PLACE, (end(3),))
        await settler.close()
        assert data.written[2:] == [ids(3)]
        assert not settler._along and not settler._gathering

    asyncio.run(main())


def test_the_first_end_of_what_was_kept_meanwhile_waits_for_company(monkeypatch) -> None:
    """Else each group of events that is kept would have its first end written alone."""
    monkeypatch.setattr(settling, "_GATHER_SECONDS", 0.02)
    monkeypatch.setattr(settling, "_ALONG_SECONDS", 0.1)

    async def main() -> None:
        data = Data()
        settler = Settler(data, lambda _place: None)  # type: ignore[arg-type]
        settler.add(PLACE, (end(1),))
        await turns()
        settler.along(PLACE)
        await asyncio.sleep(0.05)  # what is gathered for is over, and what was kept is not
        for number in (2, 3):
            settler.add(PLACE, (end(number),))
            await turns()
        assert data.written == [ids(1)]
        settler.along(PLACE)
        await turns()
        assert data.written == [ids(1), ids(2, 3)]
        settler.along(PLACE)
        await asyncio.wait_for(settler.idle(PLACE), 5)
        assert not settler._tasks and not settler._along
        await settler.close()

    asyncio.run(main())


def test_nothing_is_kept_of_a_place_that_is_idle(monkeypatch) -> None:
    monkeypatch.setattr(settling, "_GATHER_SECONDS", 0.001)

    async def main() -> None:
        data = Data()
        settler = Settler(data, lambda _place: None)  # type: ignore[arg-type]
        for number in range(5):
            settler.add(PLACE, (end(number),), soon=bool(number % 2))
            await asyncio.sleep(0.003)
        await settler.idle(PLACE)
        held = (settler._waiting, settler._tasks, settler._written, settler._idlers)
        assert not any(held) and not settler._soon and not settler._gathering
        assert not settler._along

    asyncio.run(main())


def test_a_place_whose_ends_are_lost_is_told_of_and_what_came_meanwhile_is_kept() -> None:
    class Failing(Data):
        async def change(self, operation: SettleMessages) -> int:
            await self.gate.wait()
            if operation.settlements[0].id == ids(1)[0]:
                raise CasemateError("The file is no database.")
            return await super().change(operation)

    async def main() -> None:
        data, lost = Failing(), []
        data.gate.clear()
        settler = Settler(data, lost.append)  # type: ignore[arg-type]
        settler.add(PLACE, (end(1),))
        await turns()
        settler.add(PLACE, (end(2),))
        data.gate.set()
        await turns()
        assert lost == [PLACE]
        assert data.written == [ids(2)]
        await settler.close()
        assert not settler._tasks and not settler._waiting

    asyncio.run(main())
