"""Which requests are calls that wait, and so can be refused from their head."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from casemate.admission import Catalogue, Closure
from casemate.delivery.wish import Wish
from casemate.model.deployment import Version
from casemate.model.http import Destination, HttpResponse
from casemate.model.path import RawInvocation
from casemate.model.principal import Principal
from support.core import INVOKER_TOKEN, deployed, http_request, version
from support.front import Front

FULL = HttpResponse(429, paced=True)


class Node:
    """A node whose functions are all full."""

    def __init__(self) -> None:
        self.crowded = True
        self.asked: list[tuple[Version, RawInvocation, Principal | None]] = []
        catalogue = Catalogue()
        catalogue.replace([deployed(version(routes=["GET /items/{id}"]))])
        self.front = Front(self._take, catalogue=catalogue, dispatcher=self, refusals=self)

    async def _take(self, _raw: RawInvocation, _wish: Wish) -> HttpResponse:
        raise AssertionError("only heads are looked at")

    def foreseen(
        self,
        _dispatcher: object,
        of: Version,
        _closure: Closure,
        unread: Callable[[], RawInvocation],
        caller: Callable[[], Principal | None],
    ) -> HttpResponse:
        self.asked.append((of, unread(), caller()))
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
    assert node.front.table.find(http_request(method, path, key=INVOKER_TOKEN).head) is FULL
    [(of, unread, caller)] = node.asked
    assert (of.project, of.function) == ("t", "f")
    assert caller is not None and caller.text == "token:invoker"
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
    assert isinstance(
        node.front.table.find(http_request(method, path, headers=headers).head), Destination
    )
    assert node.asked == []


def test_without_a_crowd_nothing_is_looked_at() -> None:
    node = Node()
    node.crowded = False
    assert isinstance(node.front.table.find(http_request("POST", "/invoke/t/f").head), Destination)
    assert node.asked == []
