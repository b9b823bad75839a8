"""Which calls are answered without a task of their own."""

from __future__ import annotations

import pytest

from casemate.front.said import Said
from casemate.model.http import HttpHead

_ASYNC = (b"prefer", b"respond-async")
_ONCE = (b"idempotency-key", b"k")
_EVENT = (b"accept", b"application/cloudevents+json")


@pytest.mark.parametrize(
    ("headers", "later", "plain"),
    [
        ((), False, True),
        ((), True, True),
        ((_ASYNC,), False, True),
        ((_ASYNC, (b"casemate-key", b"order-17"), (b"casemate-delay", b"5")), False, True),
        ((_ASYNC, _EVENT), False, True),
        ((_EVENT,), False, False),
        ((_ONCE,), False, False),
        ((_ASYNC, _ONCE), False, False),
        ((_ONCE,), True, False),
        (((b"casemate-delay", b"5"),), False, False),
        ((_ASYNC, (b"casemate-delay", b"soon")), False, False),
    ],
)
def test_what_waits_for_futures_alone_is_plain(
    headers: tuple[tuple[bytes, bytes], ...], later: bool, plain: bool
) -> None:
    head = HttpHead("POST", "/invoke/p/f", "", headers, "192.0.2.1")
    assert Said(head, later=later).is_plain is plain
