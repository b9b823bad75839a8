"""Callers of all nodes: what was acknowledged to them, and what has become of it in the end."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from cluster.nodes.machine import NodeMachine
from cluster.nodes.registers import Registers

KEEPERS, NOTERS, KEYS, REGISTERED = 3, 2, 4, 2
_TRY_SECONDS = 6.0
_PAGE = 1000
SETTLE_SECONDS = 180.0
"""For so long nothing may be done in the end before what is missing is taken for lost."""
_LOOK_SECONDS = 5.0
_AGAIN_SECONDS = 0.3


class NotAnsweredError(Exception):
    """No node has answered for as long as one may be away."""


@dataclass
class Load:
    """Writers, each of which asks one node after the other until it is answered."""

    nodes: list[NodeMachine]
    key: str
    pause: float = 0.3
    """Seconds between two changes of one writer."""
    drain: float = 600.0
    """Seconds: what still waits in the end is waited for at most so long."""
    tell: Callable[[str], None] = print
    registers: Registers = field(default_factory=Registers)
    done_at: list[float] = field(default_factory=list)
    """When each change was acknowledged."""
    failures: Counter[str] = field(default_factory=Counter)
    kept: set[str] = field(default_factory=set)
    noted: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    """The ids of the events that were accepted for later."""
    sent: dict[str, int] = field(default_factory=dict)
    """The highest number that was acknowledged, by key: those before it were, too."""
    ending: bool = False

    async def run(self) -> None:
        """Write until it is to end."""
        async with self.client() as client, asyncio.TaskGroup() as writers:
            for number in range(KEEPERS):
                writers.create_task(self._write(client, self._keep, f"w{number}"))
            for number in range(NOTERS):
                writers.create_task(self._write(client, self._note, f"n{number}"))
            for number in range(KEYS):
                writers.create_task(self._write(client, self._send, f"k{number}"))
            for number in range(REGISTERED):
                writers.create_task(self._write(client, self._register, f"r{number}"))

    def client(self) -> httpx2.AsyncClient:
        """Return one that acts as the owner."""
        return httpx2.AsyncClient(
            headers={"authorization": f"Bearer {self.key}"}, timeout=_TRY_SECONDS
        )

    async def _write(self, client: httpx2.AsyncClient, one: Any, name: str) -> None:
        for number in itertools.count():
            if self.ending:
                return
            if await one(client, name, number):
                self.done_at.append(time.monotonic())
            await asyncio.sleep(self.pause)

    async def _keep(self, client: httpx2.AsyncClient, name: str, number: int) -> bool:
        done = await self._asked(client, "keep", {"id": f"{name}-{number}"})
        if done is not None:
            self.kept.add(f"{name}-{number}")
        return done is not None

    async def _note(self, client: httpx2.AsyncClient, name: str, number: int) -> bool:
        done = await self._asked(client, "note", {"id": f"{name}-{number}"}, later=True)
        if done is not None:
            self.noted.add(f"{name}-{number}")
            self.events.add(done.headers["x-request-id"])
        return done is not None

    async def _send(self, client: httpx2.AsyncClient, name: str, number: int) -> bool:
        done = await self._asked(client, "send", {"key": name, "number": number})
        if done is not None:
            self.sent[name] = number
        return done is not None

    async def _register(self, client: httpx2.AsyncClient, name: str, number: int) -> bool:
        """Ask once: what was not answered is judged as what may have happened."""
        asked, began = self.registers.ask(), time.monotonic()
        node = random.choice(self.nodes)
        try:
            answer = await client.post(
                f"{node.url}/invoke/storm/register", json=asked, headers={"prefer": "respond-sync"}
            )
        except httpx2.ConnectError:
            return False  # nobody has heard of it
        except httpx2.TransportError:
            answer = None
        if answer is None or answer.status_code != 200:
            self.registers.lost(asked, began)
            return False
        self.registers.answered(asked, began, answer.json())
        return True

    async def _asked(
        self, client: httpx2.AsyncClient, function: str, data: Any, *, later: bool = False
    ) -> httpx2.Response | None:
        """Ask until it is acknowledged; None once the load is to end."""
        prefer = "respond-async" if later else "respond-sync"
        wanted = 202 if later else 200
        order = random.sample(self.nodes, len(self.nodes))
        for node in itertools.cycle(order):
            if self.ending:
                return None
            url = f"{node.url}/invoke/storm/{function}"
            try:
                answer = await client.post(url, json=data, headers={"prefer": prefer})
            except httpx2.TransportError as error:
                self.failures[type(error).__name__] += 1
            else:
                if answer.status_code == wanted:
                    return answer
                self.failures[str(answer.status_code)] += 1
            await asyncio.sleep(_AGAIN_SECONDS)
        return None

    # -- in the end ------------------------------------------------------------------------------

    async def found(self) -> dict[str, Any]:
        """Return what is lost, or was done twice or too early; what is late is waited for."""
        async with self.client() as client:
            began = time.monotonic()
            left, deadline = -1, 0.0
            messages = {f"{key}-{n}" for key, last in self.sent.items() for n in range(last + 1)}
            while True:
                done = await self._ids(client, "done")
                notes = await self._ids(client, "notes")
                ends = await self._items(client, "ends")
                told: dict[str, set[str]] = defaultdict(set)
                for end in ends:
                    told[end["event"]].add(end["told"])
                waits = {
                    "messages": messages - done,
                    "notes": self.noted - notes,
                    "ends of events": self.events - told.keys(),
                }
                missing = sum(map(len, waits.values()))
                if missing != left:  # there may be more waiting than one minute is enough for
                    left, deadline = missing, time.monotonic() + SETTLE_SECONDS
                now = time.monotonic()
                if not missing or now > min(deadline, began + self.drain):
                    break
                counts = ", ".join(f"{len(of)} {what}" for what, of in waits.items() if of)
                self.tell(
                    f"waiting for {counts}, such as {next(min(of) for of in waits.values() if of)}"[
                        :300
                    ]
                )
                await asyncio.sleep(_LOOK_SECONDS)
            ticks = await self._items(client, "ticks")
            last = await self._items(client, "registers", whole=True)
            return {
                "drained_s": round(time.monotonic() - began),
                "kept": len(self.kept),
                "kept_lost": sorted(self.kept - await self._ids(client, "kept"))[:9],
                "noted": len(self.noted),
                "noted_lost": sorted(self.noted - notes)[:9],
                "sent": len(messages),
                "sent_lost": sorted(messages - done)[:9],
                "unsettled": sorted(self.events - told.keys())[:9],
                "settled": len(told),
                "settled_twice": sorted(one for one, ends in told.items() if len(ends) > 1)[:9],
                "out_of_order": sorted(await self._ids(client, "early"))[:9],
                "ticks": len(ticks),
                **_wrong_ticks(ticks),
                **self.registers.judged(
                    {one["value"]["key"]: (one["value"]["value"], one["revision"]) for one in last}
                ),
            }

    async def _ids(self, client: httpx2.AsyncClient, table: str) -> set[str]:
        return {one["id"] for one in await self._items(client, table)}

    async def _items(
        self, client: httpx2.AsyncClient, table: str, *, whole: bool = False
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = None
        while True:
            asked = {"limit": _PAGE, **({"after": after} if after else {})}
            answer = await self._read(client, f"/api/v1/tables/storm/{table}/query", asked)
            found += answer["items"] if whole else [one["value"] for one in answer["items"]]
            after = answer.get("after")
            if not after:
                return found

    async def _read(self, client: httpx2.AsyncClient, path: str, asked: Any) -> Any:
        for attempt in range(300):
            node = self.nodes[attempt % len(self.nodes)]
            try:
                answer = await client.post(f"{node.url}{path}", json=asked)
                if answer.status_code == 200:
                    return answer.json()
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.2)
        raise NotAnsweredError(path)


def _wrong_ticks(ticks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return which times came twice, or were left out."""
    times = Counter(tick["at"] for tick in ticks)
    seconds = sorted(int(at) for at in times)
    gaps = [a for a, b in itertools.pairwise(seconds) if b - a > 1]
    return {
        "ticks_twice": [at for at, count in times.items() if count > 1][:9],
        "ticks_left_out_after": gaps[:9],
    }
