"""What the tests of the API share: a fake service and a client without a network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest
from api_fake_control import OWNER_TEXT, FakeControl, Parts

from casemate.api import create_app


class Client:
    """Asks the application one request after the other, as an owner unless told otherwise."""

    def __init__(self, parts: Parts, spool: Path) -> None:
        self.app = create_app(parts.service)
        self.spool = spool

    def __call__(
        self, method: str, path: str, *, key: str | None = OWNER_TEXT, headers=None, **rest
    ) -> httpx2.Response:
        sent = httpx2.Headers(headers or {})
        if key is not None:
            sent["authorization"] = f"Bearer {key}"

        async def ask() -> httpx2.Response:
            transport = httpx2.ASGITransport(self.app, client=("192.0.2.9", 999))
            async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
                return await client.request(method, "/api/v1" + path, headers=sent, **rest)

        return asyncio.run(ask())


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    spool = tmp_path / "spool"
    spool.mkdir()
    return Parts(spool)


@pytest.fixture
def control(parts: Parts) -> FakeControl:
    return parts.control


@pytest.fixture
def ask(parts: Parts) -> Client:
    return Client(parts, parts.service.spool)
