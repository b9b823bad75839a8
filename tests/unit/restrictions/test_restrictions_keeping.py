"""What is held back is so from its answer until it is lifted, over starts, within bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from casemate.facts import FactStream
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.facts import Actor, RestrictionChanged
from casemate.model.restriction import RestrictionKind
from casemate.restrictions import Restrictions, keeping, narrow
from support.core import MemoryStore

ADA, EVE = Actor("user:ada", "192.0.2.1"), Actor("playbook:p", "")
ALIAS, HOST = RestrictionKind.ALIAS, RestrictionKind.HOST
ADDRESS, SECRET = RestrictionKind.ADDRESS, RestrictionKind.SECRET


class Node:
    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.told: list[RestrictionChanged] = []
        self.ended: list[tuple[str, bool]] = []
        facts = FactStream()
        facts.listen(RestrictionChanged, self.told.append)
        self.held = Restrictions(self.store, facts, self.durable)  # type: ignore[arg-type]
        self.held.changed = lambda one, holds: self.ended.append((one.what, holds))
        self.fails: Exception | None = None

    async def durable(self) -> None:
        if self.fails is not None:
            raise self.fails

    async def put(self, kind: RestrictionKind, *where: str, by: Actor = ADA) -> Any:
        return await self.held.restrict(kind, *where, reason="inc_1", by=by)  # type: ignore[call-arg]


def play(scene: Callable[[Node], Awaitable[None]]) -> None:
    async def whole() -> None:
        node = Node()
        await node.held.load()
        await scene(node)

    asyncio.run(asyncio.wait_for(whole(), 20))


def test_each_holds_where_it_is_said_and_nowhere_else() -> None:
    async def scene(node: Node) -> None:
        await node.put(HOST, "", "", "evil.example")
        await node.put(HOST, "shop", "", "*.example.com")
        await node.put(HOST, "shop", "pay", "*")
        assert node.held.hosts("shop", "pay") == ("*", "*.example.com", "evil.example")
        assert node.held.hosts("shop", "cart") == ("*.example.com", "evil.example")
        assert node.held.hosts("other", "pay") == ("evil.example",)
        await node.put(SECRET, "shop", "", "key")
        await node.put(SECRET, "shop", "pay", "*")
        assert node.held.withholds("shop", "cart", "key")
        assert node.held.withholds("shop", "pay", "anything")
        assert not node.held.withholds("shop", "cart", "anything")
        assert not node.held.withholds("other", "pay", "key")
        await node.put(ALIAS, "shop", "pay", "")
        node.held.require_movable("shop", "cart")
        with pytest.raises(ConflictError, match=r"by user:ada: inc_1"):
            node.held.require_movable("shop", "pay")

    play(scene)


@pytest.mark.parametrize(
    ("what", "address", "blocked"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.0/24", "192.0.2.200", True),
        ("2001:db8::/64", "2001:db8::dead:beef", True),
        ("2001:db8::/64", "2001:db8:0:1::1", False),
        ("192.0.2.7", "not an address", False),
        ("192.0.2.7", "", False),
    ],
)
def test_who_calls_from_there(what: str, address: str, blocked: bool) -> None:
    async def scene(node: Node) -> None:
        await node.put(ADDRESS, "shop", "", what)
        assert node.held.blocks("shop", address) is blocked
        assert not node.held.blocks("other", address)
        await node.put(ADDRESS, "", "", what)
        assert node.held.blocks("other", address) is blocked

    play(scene)


@pytest.mark.parametrize(
    ("kind", "project", "function", "what"),
    [
        (ALIAS, "shop", "", ""),
        (ALIAS, "shop", "pay", "live"),
        (ALIAS, "", "", ""),
        (HOST, "", "pay", "*"),
        (HOST, "shop", "", ""),
        (HOST, "shop", "", "a b"),
        (HOST, "shop", "", "example.com:443"),
        (HOST, "shop", "", "*.*.com"),
        (HOST, "shop", "", "*.192.0.2.1"),
        (HOST, "shop", "", "0x7f.1"),
        (ADDRESS, "shop", "pay", "192.0.2.1"),
        (ADDRESS, "shop", "", "192.0.2.1/24"),
        (ADDRESS, "shop", "", "0.0.0.0/0"),
        (ADDRESS, "", "", "::/0"),
        (ADDRESS, "", "", "128.0.0.0/1"),
        (ADDRESS, "", "", "evil.example"),
        (SECRET, "", "", "key"),
        (SECRET, "shop", "", "a/b"),
        (SECRET, "shop", "", ""),
    ],
)
def test_what_means_nothing_is_refused(
    kind: RestrictionKind, project: str, function: str, what: str
) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(InvalidInputError):
            await node.put(kind, project, function, what)
        assert node.told == [] and node.held.all(None) == ()

    play(scene)


def test_the_same_is_held_back_once_and_stays_its_authors() -> None:
    async def scene(node: Node) -> None:
        first = await node.put(HOST, "shop", "", "API.example.com.")
        again = await node.put(HOST, "shop", "", "api.example.com", by=EVE)
        assert first == again and first.what == "api.example.com" and first.by == "user:ada"
        assert len(node.told) == 1 and node.ended == [("api.example.com", True)]
        await node.held.lift(first.id, "over", ADA)
        assert node.ended[-1] == ("api.example.com", False)
        assert [one.change for one in node.told] == ["set", "lift"]
        with pytest.raises(NotFoundError):
            await node.held.lift(first.id, "over", ADA)

    play(scene)


def test_it_holds_over_a_start_and_nothing_holds_that_is_not_on_record() -> None:
    async def scene(node: Node) -> None:
        await node.put(ADDRESS, "shop", "", "192.0.2.7")
        node.fails = ConflictError("The journal is full.")
        with pytest.raises(ConflictError):
            await node.put(ADDRESS, "shop", "", "192.0.2.8")
        with pytest.raises(ConflictError):
            await node.held.lift(node.held.all(None)[0].id, "over", ADA)
        again = Node(node.store)
        await again.held.load()
        for held in (node.held, again.held):
            assert held.blocks("shop", "192.0.2.7") and not held.blocks("shop", "192.0.2.8")

    play(scene)


def test_a_secret_that_has_another_value_is_given_again() -> None:
    async def scene(node: Node) -> None:
        for where in (("shop", "", "key"), ("shop", "pay", "key"), ("shop", "", "other")):
            await node.put(SECRET, *where)
        await node.put(SECRET, "cart", "", "key")
        await node.held.renewed("shop", "key", ADA)
        assert not node.held.withholds("shop", "pay", "key")
        assert node.held.withholds("shop", "pay", "other")
        assert node.held.withholds("cart", "x", "key")

    play(scene)


def test_one_project_does_not_use_up_the_room_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_OF_PROJECT", 5)
    monkeypatch.setattr(keeping, "MAX_RESTRICTIONS", 8)

    async def scene(node: Node) -> None:
        for n in range(5):
            await node.put(ADDRESS, "shop", "", f"192.0.2.{n}")
        with pytest.raises(ConflictError):
            await node.put(ADDRESS, "shop", "", "192.0.2.99")
        await node.put(ADDRESS, "shop", "", "192.0.2.1")  # is there
        for n in range(3):
            await node.put(ADDRESS, f"p{n}", "", "192.0.2.1")
        with pytest.raises(ConflictError):
            await node.put(ADDRESS, "p9", "", "192.0.2.1")

    play(scene)


def test_asking_costs_little_however_much_is_held_back() -> None:
    async def scene(node: Node) -> None:
        for n in range(keeping.MAX_OF_PROJECT):
            await node.put(ADDRESS, "shop", "", f"10.0.{n}.0/24")
        begun = time.process_time()
        for _ in range(100):
            node.held.blocks("shop", "192.0.2.1")
        assert (time.process_time() - begun) / 100 < 0.005

    play(scene)


def test_whoever_has_a_network_of_ipv6_is_one() -> None:
    assert narrow("192.0.2.7") == "192.0.2.7/32" and narrow("::ffff:192.0.2.7") == "192.0.2.7/32"
    assert narrow("2001:db8::dead:beef") == "2001:db8::/64"
    for text in ("", "x", "192.0.2.0/24", "192.0.2.7 actor.user.name=x"):
        with pytest.raises(InvalidInputError):
            narrow(text)
