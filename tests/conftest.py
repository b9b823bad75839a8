"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.node import TestNode


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    """A running node that the tests of one module share."""
    running = TestNode(tmp_path_factory.mktemp("node") / "data").start()
    yield running
    running.close()


@pytest.fixture
def fresh_node(tmp_path: Path) -> Iterator[TestNode]:
    """A running node of one test's own."""
    running = TestNode(tmp_path / "data").start()
    yield running
    running.close()
