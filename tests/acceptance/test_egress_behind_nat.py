"""A node that others reach by an address of NAT keeps functions from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.attacks import EGRESS, attempt, denials
from support.node import TestNode

SOURCE = Path(__file__).parent.parent / "functions" / "egress" / "app.py"
OWN = "203.0.114.7"
"""A global address that no interface of this host has."""
CONNECTS = frozenset({"egress:connect"})


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    data = tmp_path_factory.mktemp("nat") / "data"
    running = TestNode(data, "--own-address", OWN).start()
    yield running
    running.close()


def test_an_address_that_the_node_was_told_is_not_reached(node: TestNode) -> None:
    node.deploy(SOURCE.read_text(), name="nothing", unguarded=True)
    assert attempt(node, "t/nothing", {"do": "variables"}).answer == {}
    assert node.part("egress") is None, "nobody may use it yet"
    grants = f'egress = [{{ host = "{OWN}", port = 80 }}]'
    node.deploy(SOURCE.read_text(), grants=grants, approve=True, unguarded=True)
    answer = attempt(node, "t/f", {"do": "get", "url": f"http://{OWN}/", "body": None}).answer
    assert answer["status"] == 403
    reasons = {one["reason"] for one in denials(node, kind=EGRESS, actions=CONNECTS)}
    assert f"own address {OWN}" in reasons
