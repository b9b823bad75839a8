"""Which requests are calls that wait, and so can be refused from their head."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from casemate.admission import Catalogue, Closure
from casemate.model.deployment import Version
from casemate.model.http import HttpResponse
from casemate.model.path import RawInvocation
from casemate.triggers.load_gate import LoadGate
from support.core import deployed, http_request, version

FULL = HttpResponse(429, paced=True)
LIMIT = 4711


class Node:
    """A node whose functions are all full."""

    def __init__(self) -> None:
        self.crowded = True
        self.asked: list[tuple[Version, RawInvocation, str | None]] = []
        catalogue = Catalogue()
        catalogue.replace([deployed(version(routes=["GET /items/{id}"]))])
        self.gate = LoadGate(catalogue, self, self, lambda _head: LIMIT)  # type: ignore[arg-type]

    def foreseen(
        self,
        _dispatcher: object,
        of: Version,
        _closure: Closure,
        unread: Callable[[], RawInvocation],
        credential: str | None,
    ) -> HttpResponse:
        self.asked.append((of, unread(), credential))
        return FULL


@pytest.mark.parametrize(
    ("method", "path", "trigger"),
    [
        ("POST", "/invoke/t/f", "invoke"),
        ("POST", "/invoke/t/f@1", "invoke"),
        ("GET", "/items/7", "http"),
    ],
)
def test_a_call_without_room_is_answered_from_its_head(
    method: str, path: str, trigger: str
) -> None:
    node = Node()
    assert node.gate.body_limit(http_request(method, path, key="k").head) is FULL
    [(of, unread, credential)] = node.asked
    assert (of.project, of.function, credential) == ("t", "f", "Bearer k")
    assert (unread.trigger, unread.project, unread.function) == (trigger, "t", "f")
    assert (unread.body, unread.credential, unread.remote_address) == (b"", None, "192.0.2.7")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/invoke/t/f", ()),
        ("POST", "/invoke/t/no", ()),
        ("POST", "/invoke/t", ()),
        ("POST", "/items/7", ()),
        ("GET", "/nothing", ()),
        ("GET", "/api/v1/node", ()),
        ("POST", "/invoke/t/f", ((b"prefer", b"respond-async"),)),
        ("POST", "/invoke/t/f", ((b"idempotency-key", b"k"),)),
    ],
)
def test_everything_else_goes_on(
    method: str, path: str, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    node = Node()
    assert node.gate.body_limit(http_request(method, path, headers=headers).head) == LIMIT
    assert node.asked == []


def test_without_a_crowd_nothing_is_looked_at() -> None:
    node = Node()
    node.crowded = False
    assert node.gate.body_limit(http_request("POST", "/invoke/t/f").head) == LIMIT
    assert node.asked == []
