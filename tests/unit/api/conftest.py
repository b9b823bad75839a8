"""What the tests of the API share: a fake control service and a client without a network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from api_fake_control import ADMIN_TEXT, FakeControl

from casemate.api import create_app


class Client:
    """Asks the application one request after the other, as an admin unless told otherwise."""

    def __init__(self, control: FakeControl, spool: Path) -> None:
        self.app = create_app(control, spool=spool)
        self.spool = spool

    def __call__(
        self, method: str, path: str, *, key: str | None = ADMIN_TEXT, headers=None, **rest
    ) -> httpx.Response:
        sent = httpx.Headers(headers or {})
        if key is not None:
            sent["authorization"] = f"Bearer {key}"

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
                return await client.request(method, "/api/v1" + path, headers=sent, **rest)

        return asyncio.run(ask())


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
def ask(control: FakeControl, tmp_path: Path) -> Client:
    spool = tmp_path / "spool"
    spool.mkdir()
    return Client(control, spool)
