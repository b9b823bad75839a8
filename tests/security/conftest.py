"""A node with the function that tries to get out, and a way to let it try."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from casemate.drills import ATTACKER
from support.attacks import Attack, Attempt, attempt
from support.node import TestNode

LIMITS = 'timeout = "20s"\nprocesses = 16\nopen_files = 64\nmemory = "128MB"'


@pytest.fixture(scope="module")
def attacked(node: TestNode) -> TestNode:
    """The node with the attacks deployed as `t/attack`, and a victim, `t/victim`."""
    source = ATTACKER.read_text()
    node.deploy(source, name="attack", limits=LIMITS, unguarded=True)
    node.deploy(source, name="victim", limits=LIMITS, unguarded=True)
    return node


@pytest.fixture(scope="module")
def attack(attacked: TestNode) -> Attack:
    """Have `t/attack` try something."""

    def run(kind: str, /, **event: object) -> Attempt:
        return attempt(attacked, "t/attack", {"attack": kind, **event})

    return run


@pytest.fixture(scope="module")
def without_landlock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    """A node as it is on kernels whose Landlock has no scopes (before Linux 6.12)."""
    data = tmp_path_factory.mktemp("bare") / "data"
    node = TestNode(data, "--accept-risk", "landlock").start()
    node.deploy(ATTACKER.read_text(), name="attack", unguarded=True)
    node.deploy(ATTACKER.read_text(), name="victim", unguarded=True)
    yield node
    node.close()
