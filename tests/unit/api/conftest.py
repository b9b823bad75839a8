"""What the tests of the API share: a fake service and a client without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_fake_control import Client, FakeControl, Parts


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
