"""Manifests that were passed over: a state without a plan, a gateway whose host begins alike."""

from __future__ import annotations

import json

import pytest
from tests.unit.audit.test_audit_ordinary import told

from casemate.audit.rules.examples import stack


def test_a_state_of_terraform_is_read() -> None:
    queue = {"name": "in", "sqs_managed_sse_enabled": False}
    made = {"address": "aws_sqs_queue.in", "mode": "managed", "type": "aws_sqs_queue", "name": "in"}
    module = {"resources": [{**made, "values": queue}]}
    state = {"terraform_version": "1.9.8", "values": {"root_module": module}}
    assert told({"state.json": json.dumps(state)}, "DATA-030") == 1


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("http://gateway.example.com:8080", 1),
        ("http://gateway-1.example.com", 1),
        ("http://gateway:8080", 0),
        ("http://gateway", 0),
        ("https://gateway.example.com", 0),
    ],
)
def test_the_password_of_a_gateway_that_is_far(address: str, found: int) -> None:
    assert told(stack("", address), "OF-003") == found
