"""Whatever of a node's processes die, in whatever order: it goes on, and serves again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from support.node import TestNode
from support.processes import bases_of, children, command

SOURCE = "def handler(event, context):\n    return event\n"
RECOVERY_SECONDS = 40.0
"""With the longest pause between two starts of a gateway, on a busy machine."""
SOON_SECONDS = 8.0
"""On a busy machine; at rest it is 1.5 s. Less than a gateway may wait for its recorder."""


def _base(node: TestNode) -> int | None:
    assert node.process is not None
    return next(iter(bases_of(node.process.pid)), None)


def _bubblewrap(node: TestNode) -> int | None:
    assert node.process is not None
    pids = children(node.process.pid)
    return next((pid for pid in pids if command(pid)[:1] and "bwrap" in command(pid)[0]), None)


VICTIMS: dict[str, Callable[[TestNode], int | None]] = {
    "gateway": lambda node: node.part("gateway"),
    "base": _base,
    "bubblewrap": _bubblewrap,
    "vault": lambda node: node.part("vault"),
    "egress": lambda node: node.part("egress"),
    "recorder": lambda node: node.part("recorder"),
}


def kill(node: TestNode, name: str) -> None:
    """Kill a process, if there is one at the moment."""
    pid = VICTIMS[name](node)
    if pid is not None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def serves(node: TestNode) -> None:
    """Wait until calls succeed again; fail if the node has ended."""
    end = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < end:
        assert node.process is not None
        assert node.process.poll() is None, node.errors.read_text()
        try:
            if node.invoke(7, timeout=5).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"it serves no more: {node.errors.read_text()[-3000:]}")


def start(folder: Path) -> TestNode:
    folder.mkdir(exist_ok=True)
    node = TestNode(folder / "data").start()
    grant = 'egress = [{ host = "example.com" }]'
    node.deploy(SOURCE, grants=grant, approve=True)
    serves(node)
    return node


def test_a_gateway_without_vault_does_not_wait_for_a_recorder_that_needs_one(
    tmp_path: Path,
) -> None:
    """It waited 10 s for what happened to be kept, while no other vault could be started."""
    node = start(tmp_path)
    try:
        answered = node.invoke(7)
        before = node.part("gateway")
        kill(node, "vault")
        kill(node, "recorder")
        killed_at = time.monotonic()
        # It ends with its vault, soon; until then it answers.
        node.wait_until(lambda: node.part("gateway") not in {None, before})
        serves(node)
        assert time.monotonic() - killed_at < SOON_SECONDS
        # What had happened then was in memory, and the next recorder has taken it over.
        assert node.outcome(answered) == "ok"
    finally:
        node.close()


@pytest.mark.storm
@pytest.mark.parametrize(
    ("one", "delay", "other"),
    [
        ("gateway", 0.08, "base"),
        ("gateway", 0.0, "bubblewrap"),
        ("vault", 0.15, "base"),
    ],
)
def test_two_that_die_one_after_the_other(
    tmp_path: Path, one: str, delay: float, other: str
) -> None:
    node = start(tmp_path)
    try:
        kill(node, one)
        time.sleep(delay)
        kill(node, other)
        serves(node)
    finally:
        node.close()


@pytest.mark.storm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(6))
def test_deaths_in_any_order(tmp_path: Path, seed: int) -> None:
    """Pairs and triples within 300 ms, a new node for each few: pauses grow with failures."""
    chance = random.Random(seed)
    for round_ in range(4):
        node = start(tmp_path / str(round_))
        try:
            for _ in range(3):
                for name in chance.sample(list(VICTIMS), chance.choice((2, 2, 3))):
                    kill(node, name)
                    time.sleep(chance.uniform(0.0, 0.3))
                serves(node)
        finally:
            node.close()
