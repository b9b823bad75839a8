"""Load: entries of the ledger, each written until it is acknowledged; then all are looked for."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
from scripts.demo_cluster.errors import DemoError

WRITERS = 6
_TRY_SECONDS, _RETRY_SECONDS, _MAX_TRIES = 5.0, 0.1, 300
_PAGE, _MAX_PAGES = 1000, 1000


@dataclass
class Load:
    """Writers at one address, and what was acknowledged to them."""

    url: str
    token: str
    acknowledged: dict[str, float] = field(default_factory=dict)
    """When each entry was, by its id."""
    failures: Counter[str] = field(default_factory=Counter)
    """Tries that were not answered as they should be, by what came instead."""
    waits: list[float] = field(default_factory=list)
    """Seconds from the first try of an entry until it was acknowledged."""
    ending: bool = False

    async def write(self, number: int) -> None:
        """Write entries one after the other until the load is to end."""
        written = 0
        async with self.client() as client:
            while not self.ending:
                await self._write_one(client, f"w{number}-{written}")
                written += 1

    async def _write_one(self, client: httpx2.AsyncClient, name: str) -> None:
        entry = {"account": "demo", "cents": 100, "day": "2026-11-24"}
        begun = time.monotonic()
        for _ in range(_MAX_TRIES):
            try:
                answer = await client.put(f"/entries/{name}", json=entry)
            except httpx2.TransportError as error:
                self.failures[type(error).__name__] += 1
            else:
                if answer.status_code == 200:
                    now = time.monotonic()
                    self.acknowledged[name] = now
                    self.waits.append(now - begun)
                    return
                self.failures[str(answer.status_code)] += 1
            await asyncio.sleep(_RETRY_SECONDS)
        raise DemoError(f"{name} was not acknowledged in {_MAX_TRIES} tries: {self.failures}")

    def client(self) -> httpx2.AsyncClient:
        """Return one that acts as the owner."""
        return httpx2.AsyncClient(
            base_url=self.url,
            headers={"authorization": f"Bearer {self.token}"},
            timeout=_TRY_SECONDS,
        )

    async def missing_entries(self) -> set[str]:
        """Return what was acknowledged and is not in the table."""
        async with self.client() as client:
            there = {item["id"] async for item in _items(client)}
        return set(self.acknowledged) - there

    async def trails(self) -> Counter[str]:
        """Return how many objects there are for each entry: one for each event that was handled."""
        async with self.client() as client:
            return Counter([key.split("/")[1] async for key in _keys(client)])


async def _items(client: httpx2.AsyncClient) -> AsyncIterator[dict[str, Any]]:
    after = None
    for _ in range(_MAX_PAGES):
        asked = {"limit": _PAGE, **({"after": after} if after else {})}
        answer = await _retried(client, "POST", "/api/v1/tables/ledger/entries/query", json=asked)
        for found in answer["items"]:
            yield found["value"]
        after = answer.get("after")
        if not after:
            return


async def _keys(client: httpx2.AsyncClient) -> AsyncIterator[str]:
    after = None
    for _ in range(_MAX_PAGES):
        asked = {"prefix": "trail/", "limit": _PAGE, **({"after": after} if after else {})}
        path = "/api/v1/buckets/ledger/archive/objects"
        answer = await _retried(client, "GET", path, params=asked)
        for found in answer["objects"]:
            yield found["key"]
        after = answer.get("after")
        if not after:
            return


async def _retried(client: httpx2.AsyncClient, method: str, path: str, **sent: Any) -> Any:
    """Return an answer's JSON, asked for again for as long as a node may just have died."""
    for _ in range(_MAX_TRIES):
        try:
            answer = await client.request(method, path, **sent)
        except httpx2.TransportError:
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        if answer.status_code < 500:
            answer.raise_for_status()
            return answer.json()
        await asyncio.sleep(_RETRY_SECONDS)
    raise DemoError(f"{path} was not answered in {_MAX_TRIES} tries.")
