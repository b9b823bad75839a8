"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import fcntl
import os
import tempfile
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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let tests that are marked `alone` run while no other worker runs one.

    They measure times, or look at all that runs on the machine. Two locks: who waits for the
    second keeps others from overtaking by the first.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    alone = item.get_closest_marker("alone") is not None
    folder = Path(tempfile.gettempdir())
    run = os.environ["PYTEST_XDIST_TESTRUNUID"]
    with (
        (folder / f"casemate-tests-{run}.turn").open("w") as turn,
        (folder / f"casemate-tests-{run}.lock").open("w") as lock,
    ):
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_UN)
        return (yield)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the locks of a run that is over."""
    run = getattr(session.config, "workerinput", {}).get("testrunuid")
    if run is not None:
        for suffix in ("turn", "lock"):
            (Path(tempfile.gettempdir()) / f"casemate-tests-{run}.{suffix}").unlink(missing_ok=True)
