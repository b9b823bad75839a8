"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support import host_certificates
from support.database import postgresql_server
from support.file_queue import FileQueue
from support.node import TestNode
from support.shared_node import SharedNode, no_shared_node, pytest_runtest_call, shared_node

__all__ = ["no_shared_node", "postgresql_server", "pytest_runtest_call", "shared_node"]


# What an example takes tells of the machine: none fails by the clock, here as where CI is set.
settings.register_profile(
    "any machine",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fork",
        action="store_true",
        help="start nodes that fork a process for each call, instead of restoring one after it",
    )
    parser.addoption(
        "--queue",
        type=Path,
        action="append",
        help="take the files to run, one after the other, out of this list, then of the next",
    )
    parser.addoption(
        "--queue-progress", type=int, help="the file descriptor to tell of each file that is done"
    )
    parser.addoption(
        "--queue-until", type=float, help="begin no file of the last list after this (Unix, s)"
    )


def pytest_configure(config: pytest.Config) -> None:
    host_certificates.keep()
    if config.getoption("--fork"):
        TestNode.ways = ("--no-restore",)
    if (lists := config.getoption("--queue")) is not None:
        progress, until = map(config.getoption, ("--queue-progress", "--queue-until"))
        config.pluginmanager.register(FileQueue(lists, progress, until))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module that sets BOTH_WAYS on a node that restores processes, and on one that forks."""
    if getattr(metafunc.module, "BOTH_WAYS", False) and "node" in metafunc.fixturenames:
        ways = {"restored": "--restore", "forked": "--no-restore"}
        metafunc.parametrize(
            "node", list(ways.values()), ids=list(ways), indirect=True, scope="module"
        )


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[TestNode]:
    """A running node that the tests of one module share; one of its own unless SHARES_NODE.

    A module with SHARES_NODE only deploys functions and calls them. It changes no accounts, kills
    nothing, counts nothing of the whole node, and takes back what it changes of settings.
    Functions, secrets, data of projects and tokens are removed before the next module gets the
    node; records stay, so that a module which looks at those of a function has a project that no
    other has.
    """
    if getattr(request.module, "SHARES_NODE", False):
        shared: SharedNode = request.getfixturevalue("shared_node")
        yield shared.lend()
        shared.take_back()
        return
    way = [request.param] if hasattr(request, "param") else []
    running = TestNode(tmp_path_factory.mktemp("node") / "data", *way).start()
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


@pytest.fixture(scope="module", autouse=True)
def garbage_of_the_module() -> Iterator[None]:
    """Likewise for what stays of each module: results, caches, modules that were imported."""
    yield
    gc.collect()
    gc.freeze()


DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


@pytest.fixture(scope="module", autouse=True)
def devices_of_the_host() -> Iterator[None]:
    """No module of tests may change the host's devices, which everything else here needs."""
    before = [Path(device).stat().st_mode for device in DEVICES]
    yield
    assert [Path(device).stat().st_mode for device in DEVICES] == before
