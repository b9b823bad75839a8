"""What an event costs with all shipped rules: a bound with room for a busy machine."""

from __future__ import annotations

import time
from typing import Any

import pytest

from casemate.detection import Detector, shipped_rules
from casemate.drills.recorded import event_of

pytestmark = pytest.mark.alone
_FUNCTION = {"by": "function:shop/orders", "project": "shop", "function": "orders"}


@pytest.mark.parametrize(
    ("kind", "fields", "most"),
    [
        ("InvocationEnded", {**_FUNCTION, "outcome": "ok"}, 10e-6),
        (
            "Denial",
            {
                "by": "user:ada",
                "remote_address": "192.0.2.7",
                "kind": "authentication",
                "action": "login",
                "resource": "node",
                "reason": "refused",
            },
            80e-6,
        ),
        (
            "Denial",
            {
                **_FUNCTION,
                "kind": "egress",
                "action": "egress:connect",
                "resource": "host:api.example.com:443",
                "reason": "not granted",
            },
            350e-6,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_event_costs_little(kind: str, fields: dict[str, Any], most: float) -> None:
    event = event_of(kind, fields, 1_772_445_600.0)
    seeing = Detector(shipped_rules())
    times = []
    for _ in range(5):
        before = time.process_time()
        for n in range(500):
            seeing.see(event, 1_772_445_600.0 + n)
        times.append((time.process_time() - before) / 500)
    assert min(times) < most
