"""What really happens on a node is found by the shipped rules, by the command as people run it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.cli import casemate
from support.node import TestNode

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("node") / "data").start()
    node.deploy("def handler(event, context):\n    context.secret('stripe')\n")
    yield node
    node.close()


def found(node: TestNode) -> dict[str, dict[str, object]]:
    done = casemate(node, "detect", "test", "--json")
    assert done.returncode == 0, done.stderr
    return {each["rule"]: each for each in json.loads(done.stdout)}


def test_an_attack_on_a_node_is_found(node: TestNode) -> None:
    assert not {"tokens-tried", "tokens-made-fast", "secret-denied"} & found(node).keys()
    owner = {"authorization": f"Bearer {node.key}"}
    for n in range(12):
        body = {"name": f"t{n}", "roles": ["invoker"]}
        made = node.client.post(f"{node.url}/api/v1/tokens", headers=owner, json=body)
        assert made.status_code < 300
    wrong = {"authorization": "Bearer cm_wrong"}
    for _ in range(40):
        node.client.get(f"{node.url}/api/v1/functions", headers=wrong)
    node.invoke({"n": 1})
    expected = {"tokens-tried", "tokens-made-fast", "secret-denied"}
    node.wait_until(lambda: expected <= found(node).keys())
    told = found(node)
    assert told["tokens-tried"]["entity"] == "src_endpoint.ip=127.0.0.1"
    [evidence] = told["secret-denied"]["events"]  # type: ignore[misc, attr-defined]
    assert evidence in casemate(node, "journal", "show", str(evidence)).stdout
