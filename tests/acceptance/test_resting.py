"""What nobody calls is kept as long as there is memory for it, by what it really holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.node import TestNode

HANDLER = "def handler(event, context):\n    return 1\n"
DEAR = "import time\ntime.sleep(1)\nheld = bytearray(6 << 20)\n" + HANDLER
MIB = 1 << 20


@pytest.fixture
def small_node(tmp_path: Path) -> Iterator[TestNode]:
    node = TestNode(tmp_path / "data", "--resting-memory", "24MB").start()
    yield node
    node.close()


def is_cold(node: TestNode, name: str) -> bool:
    answer = node.invoke({}, function=f"t/{name}")
    assert answer.json() == 1
    return bool(node.get(f"/invocations/{answer.headers['x-request-id']}")["cold"])


@pytest.mark.storm
def test_memory_decides_what_is_kept_and_the_dearest_stays(small_node: TestNode) -> None:
    node = small_node
    node.deploy(DEAR, name="dear")
    for number in range(6):
        node.deploy(HANDLER, name=f"plain{number}")

    def at_rest() -> int:
        status = node.get("/node")
        assert status["memory_resting_most"] == 24 * MIB
        held: int = status["memory_resting"]
        return held

    # First by a guess, soon by what they hold: six with a few megabytes each are too many.
    node.wait_until(lambda: at_rest() <= 24 * MIB and node.get("/node")["zygotes"] >= 2, 10)
    deadline = time.monotonic() + 12  # more than a zygote lived that nobody had called
    while time.monotonic() < deadline:
        time.sleep(1)
    status = node.get("/node")
    assert 2 <= status["zygotes"] < 7
    assert 6 * MIB < status["memory_resting"] <= 24 * MIB
    assert not is_cold(node, "dear")
    # Which of the others went depends on what each took to start.
    assert any(is_cold(node, f"plain{number}") for number in range(6))


@pytest.mark.storm
def test_one_that_can_be_restored_holds_no_more_at_rest(tmp_path: Path) -> None:
    """Room for what calls take is of instances, and given back with the last of them."""
    settings = {"restored": "", "forked": 'fresh = "process"'}
    nodes = {kind: TestNode(tmp_path / kind, "--restore") for kind in settings}
    try:
        for kind, node in nodes.items():
            node.start().deploy(HANDLER, name="f", settings=settings[kind])
            assert node.invoke({}, function="t/f").json() == 1

        for node in nodes.values():
            node.wait_until(lambda of=node: of.get("/node")["memory_resting"] > 0, 30)
        time.sleep(2)
        held = {kind: node.get("/node")["memory_resting"] for kind, node in nodes.items()}
        assert held["restored"] <= 1.25 * held["forked"], held
    finally:
        for node in nodes.values():
            node.close()
