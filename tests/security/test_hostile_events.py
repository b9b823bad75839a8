"""Events that try to hurt the check itself, or to be somebody else's, on a running node."""

from __future__ import annotations

import json

import pytest

from support.node import TestNode
from support.processes import processor_seconds

SHARES_NODE = True
CONTRACT = {
    "$defs": {
        "node": {
            "properties": {"next": {"$ref": "#/$defs/node"}, "text": {"pattern": "^(a+)+$"}},
            "additionalProperties": {"type": "integer"},
        }
    },
    "$ref": "#/$defs/node",
}
MANIFEST = """
[project]
name = "events"
[function.f]
handler = "app:handler"
contract = "c.json"
[function.open]
handler = "app:handler"
"""
SOURCE = "def handler(event, context):\n    return context.event.source\n"
MARK = "4111111111111111"


@pytest.fixture(scope="module", autouse=True)
def deployed(node: TestNode) -> None:
    node.deploy_project(MANIFEST, SOURCE, files={"c.json": json.dumps(CONTRACT)})


@pytest.mark.parametrize(
    "event",
    [
        {"text": "a" * 1_000_000 + "!"},
        json.loads('{"next":' * 60 + '{"text":"b"}' + "}" * 60),
        {str(number): "x" for number in range(50_000)},
    ],
    ids=["a pattern that backtracks", "sixty levels", "fifty thousand names"],
)
def test_no_event_keeps_the_node_busy(node: TestNode, event: object) -> None:
    gateway = node.part("gateway")
    before = processor_seconds(gateway)
    assert node.invoke(event, function="events/f").status_code == 400
    assert processor_seconds(gateway) - before < 5
    assert node.invoke({}, function="events/f").status_code == 200


def test_names_of_digits_are_not_recorded(node: TestNode) -> None:
    answer = node.invoke({MARK: MARK}, function="events/f")
    assert answer.status_code == 400
    record = node.get(f"/invocations/{answer.headers['x-request-id']}")
    told = answer.text + json.dumps([node.get("/denials?project=events"), record])
    assert "/*: type" in told
    assert MARK not in told


@pytest.mark.parametrize(
    "claim",
    [
        {"type": "casemate.bucket.created"},
        {"source": "/projects/events/buckets/uploads"},
        {"specversion": "0.3"},
    ],
)
def test_no_caller_makes_an_event_of_ours(node: TestNode, claim: dict[str, str]) -> None:
    honest = {"specversion": "1.0", "id": "1", "source": "urn:x", "type": "com.example.x"}
    kind = {"content-type": "application/cloudevents+json"}
    target = f"{node.url}/invoke/events/open"
    assert node.client.post(target, json=honest, headers=kind).json() == "urn:x"
    assert node.client.post(target, json={**honest, **claim}, headers=kind).status_code == 400
    headers = {f"ce-{name}": value for name, value in {**honest, **claim}.items()}
    assert node.client.post(target, json={}, headers=headers).status_code == 400
