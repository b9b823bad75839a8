"""What is counted over all nodes: what works once, attempts of logins, shares of budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace
from store_samples import Opening, token, user

from casemate.model import back_off
from casemate.model.back_off import FREE_PER_ACCOUNT, FREE_PER_ADDRESS, BackOff
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.operations.accounts import (
    AcceptTotpStep,
    ChangeAccounts,
    CountAttempt,
    ForgetAttempts,
    KeepToken,
    KeepTokenUse,
    KeepUser,
    ReadTokens,
    ReadTokenUse,
    ReadUsers,
    RequireUser,
    RevokeTokens,
    SettleAttempt,
    UseOnce,
)
from casemate.operations.budget_shares import MAX_ASKED, BudgetUse, TakeShares
from casemate.store import Store, StoreMovedError, UsedBeforeError
from casemate.store.sqlite import attempts, used_once


@pytest.fixture
def play(opening: Opening) -> Callable[[Callable[[Store], Awaitable[None]]], None]:
    def play(scene: Callable[[Store], Awaitable[None]]) -> None:
        async def run() -> None:
            store = opening()
            try:
                await scene(store)
            finally:
                await store.close()

        asyncio.run(run())

    return play


class Long(BackOff):
    """Holds up for an hour at once, so that it makes no odds how slow a test is."""

    def open_at(self, count: int, last_at: float) -> float:
        return last_at + (3600.0 if count >= self.free else 0.0)


@pytest.fixture
def held_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(back_off, "OF_ACCOUNT", Long(FREE_PER_ACCOUNT, 900.0))
    monkeypatch.setattr(back_off, "OF_ADDRESS", Long(FREE_PER_ADDRESS, 5.0))


Play = Callable[[Callable[[Store], Awaitable[None]]], None]


def once(name: str, seconds: float = 60.0) -> UseOnce:
    return UseOnce(kind="k", name=name, seconds=seconds)


def test_what_works_once_is_remembered_for_its_time(play: Play, monkeypatch) -> None:
    monkeypatch.setattr(used_once, "MAX_REMEMBERED", 3)

    async def scene(store: Store) -> None:
        uses = await asyncio.gather(*(store.change(once("a")) for _ in range(10)))
        assert sorted(uses) == [False] * 9 + [True]
        assert await store.change(once("b")) and not await store.change(once("b", 0.0))
        assert await store.change(once("c"))
        with pytest.raises(ConflictError, match="the most"):
            await store.change(once("d"))
        assert await store.change(UseOnce(kind="other", name="a", seconds=1.0))

    play(scene)


def test_changes_are_made_together_or_not_at_all(play: Play) -> None:
    async def scene(store: Store) -> None:
        ada = await store.change(KeepUser(user=user("ada")))
        opening = KeepToken(token=token("s1", "session", user="ada"))
        step = AcceptTotpStep(user="ada", step=7)
        await store.change(ChangeAccounts(changes=(RequireUser(user=ada), step, opening)))
        with pytest.raises(UsedBeforeError):
            other = KeepToken(token=token("s2", "session", user="ada"))
            await store.change(ChangeAccounts(changes=(other, once("n"), step)))
        assert await store.change(once("n")), "it was not used up"
        with pytest.raises(NotFoundError):
            revoking = RevokeTokens(ids=("s1", "s9"))
            await store.change(ChangeAccounts(changes=(KeepUser(user=user("bob")), revoking)))
        assert [each.name for each in await store.read(ReadUsers())] == ["ada"]
        assert [each.revoked_at for each in await store.read(ReadTokens())] == [None]
        for changed in (
            replace(ada, password="other"),
            replace(ada, totp=b"other"),
            replace(ada, created_at=ada.created_at - 1),
            replace(ada, disabled_at=5.0),
            replace(ada, name="eve"),
        ):
            with pytest.raises(StoreMovedError):
                await store.change(ChangeAccounts(changes=(RequireUser(user=changed), opening)))

    play(scene)


def test_attempts_wait_as_they_would_on_one_node(play: Play, held_long: None) -> None:
    async def scene(store: Store) -> None:
        async def attempt(account: str | None, address: str) -> float:
            return await store.change(CountAttempt(account=account, address=address))

        for number in range(FREE_PER_ACCOUNT):
            assert await attempt("ada", f"192.0.2.{number}") == 0.0
        waits = [await attempt("ada", f"192.0.2.{number}") for number in range(100)]
        assert all(0 < wait <= 3600.0 for wait in waits), "what waits does not count"
        assert await attempt("bob", "192.0.2.1") == 0.0
        # One that succeeded forgives the account, and is known where it was.
        await store.change(SettleAttempt(account="ada", address="10.0.0.9", succeeded=True))
        for number in range(FREE_PER_ACCOUNT):
            assert await attempt("ada", f"192.0.2.{number}") == 0.0
        assert await attempt("ada", "192.0.2.77") > 0
        assert await attempt("ada", "10.0.0.9") == 0.0
        await store.change(SettleAttempt(account="ada", address="10.0.0.9"))
        await store.change(ForgetAttempts(account="ada"))
        assert await attempt("ada", "192.0.2.77") == 0.0
        # Others of the name's beginning are not meant.
        for _ in range(FREE_PER_ACCOUNT):
            await attempt("ada-2", "198.51.100.1")
        await store.change(ForgetAttempts(account="ada"))
        assert await attempt("ada-2", "198.51.100.2") > 0
        for _ in range(FREE_PER_ADDRESS):
            await attempt(None, "203.0.113.5")
        assert await attempt("new", "203.0.113.5") > 0

    play(scene)


def test_many_at_once_get_no_further_than_one_after_the_other(play: Play, held_long: None) -> None:
    async def scene(store: Store) -> None:
        tries = (CountAttempt(account="ada", address=f"192.0.2.{n}") for n in range(60))
        waits = await asyncio.gather(*map(store.change, tries))
        assert waits.count(0.0) == FREE_PER_ACCOUNT

    play(scene)


def test_made_up_names_displace_each_other(play: Play, held_long: None, monkeypatch) -> None:
    monkeypatch.setattr(attempts, "MAX_ROWS", 32)

    async def scene(store: Store) -> None:
        for _ in range(FREE_PER_ACCOUNT):
            await store.change(CountAttempt(account="ada", address="192.0.2.1"))
        await store.change(SettleAttempt(account="bob", address="10.0.0.9", succeeded=True))
        for number in range(60):
            address = f"198.51.100.{number}"
            await store.change(CountAttempt(account=f"made-up-{number}", address=address))
        assert await store.change(CountAttempt(account="ada", address="203.0.113.1")) > 0
        for number in range(FREE_PER_ACCOUNT):
            await store.change(CountAttempt(account="bob", address=f"203.0.113.{number}"))
        assert await store.change(CountAttempt(account="bob", address="10.0.0.9")) == 0.0

    play(scene)


def test_uses_of_tokens_are_told(play: Play) -> None:
    async def scene(store: Store) -> None:
        for name in ("k1", "k2", "k3"):
            await store.change(KeepToken(token=token(name, name)))
        await store.change(KeepTokenUse(used={"k1": 50.0, "k2": 100.0}))
        assert await store.read(ReadTokenUse(since=60.0)) == {"k2": 100.0}

    play(scene)


def use(used: float = 0.0, *, kept: float = 0.0, demand: float = 100.0, **more) -> BudgetUse:
    given = {"project": "t", "budget": "b", "amount": 100.0, "resets_at": 5.0, "next_call": 1.0}
    return BudgetUse(**{**given, **more}, used=used, kept=kept, demand=demand, wanted=demand > 0)


def test_shares_of_a_budget_are_never_more_than_it_has(play: Play) -> None:
    async def scene(store: Store) -> None:
        async def take(node: str, wanted: BudgetUse) -> tuple[float, float]:
            (share,) = await store.change(TakeShares(node=node, uses=(wanted,)))
            return share.elsewhere, share.holding

        # None of these nodes is there: what they used counts, what they hold does not.
        assert await take("a", use(10.0)) == (0.0, 100.0)
        assert await take("b", use(20.0)) == (10.0, 90.0)
        assert await take("a", use(10.0)) == (20.0, 80.0)
        assert await take("c", use(90.0)) == (30.0, 90.0), "used up"
        assert await take("d", use(resets_at=6.0)) == (0.0, 100.0), "another day"
        assert await take("e", use(resets_at=None)) == (0.0, 100.0)
        assert await take("f", use(resets_at=None, budget="b2")) == (0.0, 100.0)
        with pytest.raises(InvalidInputError):
            await store.change(TakeShares(node="a", uses=(use(),) * (MAX_ASKED + 1)))

    play(scene)


def test_a_store_whose_clock_is_set_back_holds_nobody_up_for_longer(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = 0.0
    monkeypatch.setattr(attempts, "now_of", lambda _: 1_800_000_000.0 + off)

    async def scene(store: Store) -> None:
        nonlocal off
        asked = CountAttempt(account="ada", address="192.0.2.1")
        assert await store.change(asked) == 0.0
        off = -86_400.0
        for _ in range(FREE_PER_ACCOUNT - 1):
            assert await store.change(asked) == 0.0
        assert await store.change(asked) == 1.0
        off = -2 * 86_400.0
        assert await store.change(asked) == 1.0
        off += 1.0
        assert await store.change(asked) == 0.0

    play(scene)
