"""What the tests of accounts share."""

from __future__ import annotations

import pytest

from support.accounts import World


@pytest.fixture
def world() -> World:
    return World()
