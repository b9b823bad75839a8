"""What is remembered of access reviews: of whom, of which rights, until when."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from casemate.access_reviews import Holder, Reviews, reviews
from casemate.access_reviews.holders import live_rights
from casemate.access_reviews.rights import MAX_RIGHTS, rights_of
from casemate.model.deployment import LIVE, Alias, AliasTarget, DeployedFunction, Version
from casemate.model.errors import QuotaError
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from casemate.model.principal import RoleBinding
from casemate.model.trigger import RepositoryTrigger, TopicTrigger
from casemate.operations.access import AccessKind
from casemate.store.errors import StoreError
from support.parts import KeptValues

DAY = 86_400.0
NOW = 1_795_000_000.0


def holder(name: str = "ada", role: str = "developer", since: float = NOW - 10 * DAY) -> Holder:
    bindings = (RoleBinding(role=role, project="shop"),)
    return Holder(AccessKind.USER, f"user:{name}", name, since, bindings)


def kept_in(store: KeptValues, clock: Any = lambda: NOW) -> Reviews:
    return Reviews(store, clock)  # type: ignore[arg-type]


def test_a_review_is_of_the_rights_that_were_looked_at_and_of_who_had_them() -> None:
    async def run() -> None:
        store = KeptValues()
        kept = kept_in(store)
        await kept.load()
        assert kept.due(holder()) == NOW + 80 * DAY
        await kept.keep(holder(), by="user:bob", reason="x", own=False)
        again = kept_in(store)
        await again.load()
        assert again.due(holder()) == NOW + 90 * DAY
        assert again.due(holder(role="owner")) == NOW + 80 * DAY, "other rights"
        assert again.of(holder(role="owner")) is not None, "who looked is still told"
        newcomer = holder(since=NOW + 1)
        assert again.of(newcomer) is None and again.due(newcomer) == NOW + 1 + 90 * DAY
        await again.set_days(30)
        third = kept_in(store)
        await third.load()
        assert third.days == 30 and third.due(holder()) == NOW + 30 * DAY

    asyncio.run(run())


def test_a_review_by_a_clock_that_was_ahead_is_none_once_it_is_right() -> None:
    """It held for ten years more, and nobody looked."""

    async def run() -> None:
        now = [NOW + 3650 * DAY]
        kept = kept_in(KeptValues(), lambda: now[0])
        await kept.load()
        made_ahead = holder("bob", since=now[0])
        for one in (holder(), made_ahead):
            await kept.keep(one, by="user:eve", reason="x", own=False)
        now[0] = NOW
        assert kept.due(holder()) == NOW + 80 * DAY
        assert kept.due(made_ahead) == NOW
        await kept.keep(made_ahead, by="user:eve", reason="x", own=False)
        assert kept.due(made_ahead) == NOW + 90 * DAY

    asyncio.run(run())


def test_rights_of_a_function_are_its_grants() -> None:
    def function(*grants: Grant, **more: Any) -> Holder:
        version = Version(
            project="shop",
            function="cart",
            number=1,
            digest="a" * 64,
            spec=FunctionSpec(name="cart", handler="app:handler", grants=grants, **more),
            created_at=1.0,
            created_by="user:ada",
        )
        name = "shop/cart"
        return Holder(AccessKind.FUNCTION, f"function:{name}", name, 1.0, version=version)

    read = Grant(kind=GrantKind.TABLE, name="t", actions=("get",))
    assert function(read).fingerprint == function(read).fingerprint
    others = {function().fingerprint, function(public=True).fingerprint}
    assert len({function(read).fingerprint, *others}) == 3
    many = function(
        *(Grant(kind=GrantKind.TABLE, name=f"t{n}", actions=("get",)) for n in range(150))
    )
    assert len(rights_of(many, None)) == MAX_RIGHTS + 1
    assert rights_of(many, None)[-1] == "and 50 more"
    assert rights_of(function(), None) == ("is granted nothing",)
    [right] = rights_of(function(triggers=(TopicTrigger(name="t", topic="paid"),)), None)
    assert "topic paid: subscribe" in right


def test_a_version_that_few_are_sent_to_has_its_rights_shown_too() -> None:
    def version(number: int, **spec: Any) -> Version:
        return Version(
            project="shop",
            function="cart",
            number=number,
            digest="a" * 64,
            spec=FunctionSpec(name="cart", handler="app:handler", **spec),
            created_at=1.0,
            created_by="user:ada",
        )

    def live(*targets: tuple[int, int]) -> Version:
        hook = RepositoryTrigger(name="push", provider="github", secret="hook")
        read = Grant(kind=GrantKind.TABLE, name="t", actions=("get",))
        more = Grant(kind=GrantKind.BUCKET, name="b", actions=("write",))
        function = DeployedFunction(
            project="shop",
            name="cart",
            versions=(
                version(1, grants=(read,)),
                version(2, grants=(read, more), triggers=(hook,), public=True),
                version(3),
            ),
            aliases=(
                Alias(
                    project="shop",
                    function="cart",
                    name=LIVE,
                    targets=tuple(AliasTarget(version=v, weight=w) for v, w in targets),
                    changed_at=1.0,
                ),
            ),
        )
        found = live_rights(function)
        assert found is not None
        return found

    alone, beside = live((1, 100)), live((1, 95), (2, 5))
    assert alone.number == beside.number == 1
    assert [one.text for one in alone.spec.grants] == ["table t"] and not alone.spec.public
    assert [one.text for one in beside.spec.grants] == ["table t", "bucket b"]
    assert beside.spec.public and [one.name for one in beside.spec.triggers] == ["push"]
    one, other = (
        Holder(AccessKind.FUNCTION, "function:shop/cart", "shop/cart", 1.0, version=each)
        for each in (alone, beside)
    )
    assert one.fingerprint != other.fingerprint
    assert live((3, 1)).spec.grants == ()


@pytest.mark.parametrize("kind", [AccessKind.SOURCE, AccessKind.HOOK])
def test_another_third_party_was_not_reviewed(kind: AccessKind) -> None:
    """The trigger keeps its name, what it reads from is elsewhere now."""
    version = Version(
        project="shop",
        function="cart",
        number=1,
        digest="a" * 64,
        spec=FunctionSpec(name="cart", handler="app:handler"),
        created_at=1.0,
        created_by="user:ada",
    )
    one, other = (
        Holder(kind, f"{kind.value}:shop/cart/orders", name, NOW - 10 * DAY, version=version)
        for name in ("queue.example.org:5671", "queue.example.net:5671")
    )
    assert one.fingerprint != other.fingerprint

    async def run() -> None:
        kept = kept_in(KeptValues())
        await kept.load()
        await kept.keep(one, by="user:bob", reason="x", own=False)
        assert kept.due(one) == NOW + 90 * DAY and kept.due(other) == NOW + 80 * DAY

    asyncio.run(run())


def test_what_is_gone_is_forgotten_but_not_what_came_meanwhile() -> None:
    async def run() -> None:
        kept = kept_in(KeptValues())
        await kept.load()
        await kept.keep(holder("ada"), by="user:bob", reason="x", own=False)
        await kept.keep(holder("gone"), by="user:bob", reason="x", own=False)
        await kept.forget_others({"user:ada"}, before=NOW)
        assert kept.of(holder("gone")) is not None, "it was reviewed after the list was made"
        await kept.forget_others({"user:ada"}, before=NOW + 1)
        assert kept.of(holder("gone")) is None and kept.of(holder("ada")) is not None

    asyncio.run(run())


def test_they_are_bounded_in_number_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr(reviews, "MAX_REVIEWS", 2)
        kept = kept_in(KeptValues())
        await kept.load()
        for name in ("a", "b", "a"):
            await kept.keep(holder(name), by="user:bob", reason="x", own=False)
        with pytest.raises(QuotaError):
            await kept.keep(holder("c"), by="user:bob", reason="x", own=False)

    asyncio.run(run())
    longest = msgspec.json.encode(
        reviews._Kept(
            review=msgspec.convert(
                {
                    "subject": "token:" + "f" * 64,
                    "at": NOW,
                    "by": "token:" + "f" * 64,
                    "reason": "\x01" * 300,
                    "own": True,
                },
                reviews.AccessReview,
            ),
            rights="f" * 16,
        )
    )
    # Spread over 64 values of the store: twice the mean of one is room enough.
    assert len(longest) * 20_000 / 64 < 1 << 20


def test_what_cannot_be_read_is_told_and_tried_again() -> None:
    async def run() -> None:
        store = KeptValues()
        store.values["access review settings"] = b"{"
        kept = kept_in(store)
        for _ in range(2):
            with pytest.raises(StoreError):
                await kept.load()
        store.values["access review settings"] = b'{"days":7}'
        await asyncio.gather(*(kept.load() for _ in range(5)))
        assert kept.days == 7

    asyncio.run(run())
