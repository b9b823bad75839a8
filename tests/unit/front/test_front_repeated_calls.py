"""A head that comes again on its connection: read once, decided anew each time."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from casemate.accounts.authentication import TokenIndex
from casemate.accounts.credential import digest, new_text
from casemate.admission import Catalogue
from casemate.delivery.wish import NOTHING, Wish
from casemate.model.account import Token
from casemate.model.function import Limits
from casemate.model.http import UNKNOWN_LIMIT, Destination, HttpRequest, HttpResponse
from casemate.model.path import RawInvocation
from casemate.model.principal import INVOKER, RoleBinding
from support.core import INVOKER_TOKEN, deployed, http_request, version
from support.front import Front

LARGE = 3 << 20


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Node:
    """A front with real tokens, and a call that is asked for again and again."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.accounts = TokenIndex(self.clock, None)
        token_id, self.text = new_text()
        self.token = Token(
            id=token_id,
            name="t",
            sha256=digest(self.text),
            created_at=1.0,
            created_by="k",
            expires_at=5000.0,
        )
        self.bindings = (RoleBinding(role=INVOKER),)
        self.accounts.put(self.token, self.bindings)
        self.catalogue = Catalogue()
        self.deploy(1)
        self.taken: list[tuple[RawInvocation, Wish]] = []
        self.front = Front(self._take, catalogue=self.catalogue, accounts=self.accounts)
        self.head = http_request("POST", "/invoke/t/f", key=self.text).head
        found = self.front.table.find(self.head)
        assert isinstance(found, Destination)
        self.first = found

    def deploy(self, number: int, *, request: int = LARGE) -> None:
        self.catalogue.replace([deployed(version(number, limits=Limits(request=request)))])

    async def _take(self, raw: RawInvocation, wish: Wish) -> HttpResponse:
        self.taken.append((raw, wish))
        return HttpResponse(200, (), b"done")

    def again(self) -> Destination:
        assert self.first.again is not None
        found = self.first.again()
        assert isinstance(found, Destination)
        return found

    def call(self, body: bytes = b"{}") -> RawInvocation:
        asyncio.run(self.again().answer(HttpRequest(self.head, body)))
        return self.taken[-1][0]

    def whose(self, raw: RawInvocation) -> str | None:
        """Return whom admission takes a call to be of."""
        principal = self.accounts.authenticate(raw.credential, raw.checked)
        return None if principal is None else principal.text


@pytest.fixture
def node() -> Node:
    return Node()


def test_it_brings_each_body_under_the_same_names(node: Node) -> None:
    first, second = node.call(b"1"), node.call(b"2")
    assert (first.body, second.body) == (b"1", b"2")
    same = {"body": b"", "received_at": 0.0}
    assert msgspec.structs.replace(first, **same) == msgspec.structs.replace(second, **same)
    assert node.taken[-1][1] is NOTHING
    assert node.again().plain and node.again().limit == LARGE


def test_a_check_of_the_token_serves_a_second_and_is_made_anew_after_it(node: Node) -> None:
    first = node.call()
    assert node.call().checked is first.checked
    node.clock.now += 1.01
    renewed = node.call()
    assert renewed.checked is not first.checked
    assert node.call().checked is renewed.checked
    assert node.accounts.used_at(node.token.id) == node.clock.now


def test_a_revoked_token_is_noticed_by_the_next_request(node: Node) -> None:
    raw = node.call()
    assert node.whose(raw) is not None
    node.accounts.remove([node.token.id])
    assert node.again().limit == UNKNOWN_LIMIT
    assert node.whose(node.call()) is None
    assert node.whose(raw) is None  # nor is one let in whose body was being sent


def test_a_token_that_expires_is_noticed(node: Node) -> None:
    node.call()
    node.clock.now = 5000.0
    assert node.again().limit == UNKNOWN_LIMIT
    assert node.whose(node.call()) is None


def test_roles_that_change_are_noticed(node: Node) -> None:
    node.call()
    node.accounts.put(node.token, ())
    raw = node.call()
    principal = node.accounts.authenticate(raw.credential, raw.checked)
    assert principal is not None and principal.bindings == ()


def test_what_is_deployed_since_is_noticed(node: Node) -> None:
    node.deploy(2, request=1 << 20)
    assert node.again().limit == 1 << 20
    node.catalogue.replace([])
    assert node.again().limit == UNKNOWN_LIMIT


def test_a_function_without_room_is_noticed() -> None:
    class Full:
        crowded = False

        def foreseen(self, *_: object) -> HttpResponse:
            return HttpResponse(429, paced=True)

    full = Full()
    catalogue = Catalogue()
    catalogue.replace([deployed(version())])
    front = Front(None, catalogue=catalogue, dispatcher=full, refusals=full)  # type: ignore[arg-type]
    found = front.table.find(http_request("POST", "/invoke/t/f", key=INVOKER_TOKEN).head)
    assert isinstance(found, Destination) and found.again is not None
    full.crowded = True
    answer = found.again()
    assert isinstance(answer, HttpResponse) and answer.status == 429


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"idempotency-key", b"k"),
        (b"casemate-delay", b"5"),
        (b"accept", b"application/cloudevents+json"),
    ],
)
def test_what_asks_for_more_than_an_answer_is_not_plain(name: bytes, value: bytes) -> None:
    node = Node()
    head = http_request("POST", "/invoke/t/f", key=node.text, headers=((name, value),)).head
    found = node.front.table.find(head)
    assert isinstance(found, Destination) and not found.plain
