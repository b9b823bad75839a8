"""A node with the function that tries to get out, and a way to let it try."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.node import TestNode

SOURCE = Path(__file__).parent.parent / "functions" / "attacks" / "app.py"
Attack = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def attacked(node: TestNode) -> TestNode:
    """The node with the attacks deployed as `t/attack`, and a victim, `t/victim`."""
    source = SOURCE.read_text()
    limits = 'timeout = "20s"\nprocesses = 16\nopen_files = 64\nmemory = "128MB"'
    node.deploy(source, name="attack", limits=limits)
    node.deploy(source, name="victim", limits=limits)
    return node


@pytest.fixture(scope="module")
def attack(attacked: TestNode) -> Attack:
    """Call an attack by its name; return what it says of itself."""

    def run(kind: str, /, **event: Any) -> dict[str, Any]:
        answer = attacked.invoke({"attack": kind, **event}, function="t/attack")
        assert answer.status_code == 200, attacked.error(answer)
        result: dict[str, Any] = answer.json()
        return result

    return run


@pytest.fixture(scope="module")
def without_landlock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    """A node as it is on kernels whose Landlock has no scopes (before Linux 6.12)."""
    data = tmp_path_factory.mktemp("bare") / "data"
    node = TestNode(data, "--accept-risk", "landlock").start()
    node.deploy(SOURCE.read_text(), name="attack")
    node.deploy(SOURCE.read_text(), name="victim")
    yield node
    node.close()
