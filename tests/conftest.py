"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.node import TestNode


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--restore",
        action="store_true",
        help="start nodes with instances that are restored after a call, instead of forked",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--restore"):
        TestNode.ways = ("--restore",)


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


def pytest_collection_finish() -> None:
    """Take what was collected out of the collector's sight: it stays, and there is much of it.

    Tests that collect garbage spent a third of a second on it each time.
    """
    gc.collect()
    gc.freeze()


DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


@pytest.fixture(scope="module", autouse=True)
def devices_of_the_host() -> Iterator[None]:
    """No module of tests may change the host's devices, which everything else here needs."""
    before = [Path(device).stat().st_mode for device in DEVICES]
    yield
    assert [Path(device).stat().st_mode for device in DEVICES] == before
