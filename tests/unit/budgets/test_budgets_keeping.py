"""Kept, told before it is done, and counted again from records at a start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from casemate.budgets import Allowance, Budgets, keeping
from casemate.budgets.learning import days_run
from casemate.budgets.ledger import Expected
from casemate.facts import FactStream
from casemate.metering import PriceListError
from casemate.model.budget import Budget, BudgetPer, BudgetUnit, Quota, QuotaEach
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.facts import Actor, BudgetReached, BudgetSet
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Finished
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.still import asked_again
from casemate.model.usage import DAY, HOUR, Usage, UsageBy
from casemate.operations.usage import ReadUsage
from casemate.sandbox.meter import Metered
from support.core import request, version
from support.parts import KeptValues

ADA = Actor("user:ada", "192.0.2.1")
NOW = 1_795_392_000.0 + 12 * HOUR
PRICES = 'name = "ours"\nversion = "1"\ncurrency = "CHF"\n[[prices]]\nfrom = 2020-01-01\n'


class Node:
    """Budgets over a store and records that outlive them."""

    def __init__(self, store: KeptValues | None = None) -> None:
        self.store = store or KeptValues()
        self.rows: tuple[Usage, ...] = ()
        self.asked: list[ReadUsage] = []
        self.told: list[Any] = []
        self.durable = 0
        self.now = NOW
        facts = FactStream()
        facts.listen(BudgetSet, self.told.append)
        facts.listen(BudgetReached, self.told.append)
        self.allowance = Allowance(facts.happened, lambda c: f"of {c}", clock=lambda: self.now)
        self.budgets = Budgets(
            self.store,  # type: ignore[arg-type]
            facts,
            self.allowance,
            read=self._read,
            durable=self._durable,
            ran=dict,
            clock=lambda: self.now,
        )

    async def _read(self, operation: ReadUsage) -> tuple[Usage, ...]:
        self.asked.append(operation)
        return self.rows

    async def _durable(self) -> None:
        self.durable += 1


def budget(**changes: Any) -> Budget:
    given: dict[str, Any] = {
        "project": "t",
        "name": "b",
        "amount": 10.0,
        "unit": BudgetUnit.REQUESTS,
        "per": BudgetPer.DAY,
        "hard": True,
    }
    return Budget(**{**given, **changes})


def entered(name: str = "f", **where: Any) -> Admitted:
    """Return a call that was admitted."""
    return Admitted(
        request=request(function=name, **where),
        version=version(name=name, **where),
        principal=Principal(kind=PrincipalKind.USER, id="ada"),
    )


def ended() -> Finished:
    used = Metered(0.5, 0.0)
    used.know(0, 0)
    return Finished(outcome=Outcome.OK, ran=0.5, used=used)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 10))  # type: ignore[arg-type]


def test_what_is_set_is_told_kept_and_counted() -> None:
    async def scene() -> None:
        node = Node()
        node.rows = (Usage(caller="user:ada", requests=4), Usage(caller="token:1", requests=2))
        state = await node.budgets.set(budget(), ADA)
        assert (state.used, state.percent, state.currency) == (6.0, 60.0, "")
        [told] = node.told
        assert (told.by, told.budget, told.change) == ("user:ada", "b", "set")
        assert told.reason == "10 requests per day, hard" and node.durable == 1
        only = await node.budgets.set(budget(name="c", caller="token:1"), ADA)
        account = await node.budgets.set(budget(name="d", account="of user:ada"), ADA)
        assert (only.used, account.used) == (2.0, 4.0)

    play(scene)


def test_nothing_is_changed_that_cannot_be_recorded() -> None:
    async def scene() -> None:
        node = Node()
        await node.budgets.set(budget(), ADA)
        kept = dict(node.store.values)

        async def broken() -> None:
            raise ConflictError("The journal is full.")

        node.budgets._durable = broken
        for change in (
            node.budgets.set(budget(name="c"), ADA),
            node.budgets.lift("t", "b", 60, "why", ADA),
            node.budgets.remove("t", "b", ADA),
            node.budgets.set_prices(PRICES + 'gb_second = "1"\n', ADA),
        ):
            with pytest.raises(ConflictError):
                await change
        assert node.store.values == kept
        [state] = node.budgets.states(None)
        assert state.lifted_until is None and node.budgets.prices() != PRICES

    play(scene)


def test_what_cannot_be_counted_takes_no_place() -> None:
    async def scene() -> None:
        node = Node()
        node.rows = (Usage(caller="c", requests=9),)
        await node.budgets.set(budget(), ADA)
        await node.budgets.set(budget(name="money", unit=BudgetUnit.MONEY, amount=0.001), ADA)
        kept, before = dict(node.store.values), node.budgets.states(None)

        async def broken(_: ReadUsage) -> tuple[Usage, ...]:
            raise ConflictError("The records cannot be read.")

        node.budgets._counting._read = broken
        for name in ("b", "c"):
            with pytest.raises(ConflictError):
                await node.budgets.set(budget(name=name, amount=100.0), ADA)
        assert node.store.values == kept and node.budgets.states(None) == before
        with pytest.raises(ConflictError):
            await node.budgets.set_prices(PRICES + 'million_requests = "1"\n', ADA)
        used = [state.used for state in node.budgets.states(None)]
        assert used == [state.used for state in before] and all(used)

    play(scene)


def test_the_one_before_holds_until_it_is_counted() -> None:
    async def scene() -> None:
        node = Node()
        node.rows = (Usage(caller="c", requests=10),)
        await node.budgets.set(budget(), ADA)
        rooms: list[float | None] = []

        async def reading(_: ReadUsage) -> tuple[Usage, ...]:
            rooms.append(node.allowance.ledgers["t"]["b"].reserve(1.0, Expected(0.0), NOW))
            return node.rows

        node.budgets._counting._read = reading
        await node.budgets.set(budget(amount=10.5), ADA)
        assert (
            rooms == [None]
            and node.allowance.ledgers["t"]["b"].reserve(1.0, Expected(0.0), NOW) is None
        )

    play(scene)


def test_what_is_used_while_prices_change_is_counted_too() -> None:
    async def scene() -> None:
        node = Node()
        node.rows = (Usage(caller="c", memory_mb_ms=1024 * 1000 * 10),)
        await node.budgets.set(budget(unit=BudgetUnit.MONEY), ADA)

        async def reading(_: ReadUsage) -> tuple[Usage, ...]:
            node.allowance.ledgers["t"]["b"].settle(0.0, 0.25, Expected(0.0), NOW)
            return node.rows

        node.budgets._counting._read = reading
        await node.budgets.set_prices(PRICES + 'gb_second = "0.5"\n', ADA)
        [state] = node.budgets.states(None)
        assert state.used == pytest.approx(5.25)

    play(scene)


@pytest.mark.parametrize("per", BudgetPer)
def test_other_prices_count_no_more_than_what_is_of_the_present(per: BudgetPer) -> None:
    async def scene() -> None:
        node = Node()
        await node.budgets.set(budget(unit=BudgetUnit.MONEY, per=per), ADA)
        node.now = NOW + 40 * DAY
        await node.budgets.set_prices(PRICES + 'gb_second = "0.5"\n', ADA)
        assert node.asked[-1].since >= node.now - {"hour": 2 * HOUR, "day": DAY}.get(per, 31 * DAY)
        node.allowance.ledgers["t"]["b"].settle(0.0, 0.25, Expected(0.0), node.now)
        [state] = node.budgets.states(None)
        assert state.used == 0.25

    play(scene)


@pytest.mark.parametrize("per", BudgetPer)
def test_a_start_tells_nothing_that_was_told(per: BudgetPer) -> None:
    async def scene() -> None:
        node = Node()
        node.rows = (Usage(caller="c", requests=6),)
        await node.budgets.load()
        await node.budgets.set(budget(per=per), ADA)
        node.allowance.see(node.allowance.ledgers["t"].values())
        assert [each.percent for each in node.told if isinstance(each, BudgetReached)] == [50]
        await node.budgets.close()

        again = Node(node.store)
        again.now, again.rows = NOW + 60, (Usage(caller="c", requests=7),)
        await again.budgets.load()
        assert again.told == []
        ledger = again.allowance.ledgers["t"]["b"]
        ledger.count(1.0)
        again.allowance.see([ledger])
        assert [each.percent for each in again.told] == [80]
        await asyncio.sleep(0)
        await again.budgets.close()

        later = Node(node.store)  # of another day, month or hour
        later.now, later.rows = NOW + 40 * DAY, node.rows
        await later.budgets.load()
        assert [each.percent for each in later.told] == [50]
        await later.budgets.close()

    play(scene)


def test_another_budget_of_a_name_is_told_of() -> None:
    async def scene() -> None:
        node = Node()
        node.rows = (Usage(caller="c", requests=9),)
        await node.budgets.set(budget(), ADA)
        node.allowance.see(node.allowance.ledgers["t"].values())
        await node.budgets.close()
        await node.budgets.set(budget(amount=18.0), ADA)
        again = Node(node.store)
        again.rows = node.rows
        await again.budgets.load()
        assert [each.percent for each in again.told] == [50]
        await again.budgets.close()

    play(scene)


def test_an_hour_that_stays_used_is_not_told_anew_after_hours() -> None:
    async def scene() -> None:
        node = Node()
        node.rows = (Usage(caller="c", requests=9),)
        await node.budgets.set(budget(per=BudgetPer.HOUR), ADA)
        node.allowance.see(node.allowance.ledgers["t"].values())
        for _ in range(9):
            await node.budgets.close()
            node.now += HOUR / 3
        again = Node(node.store)
        again.now, again.rows = node.now, node.rows
        await again.budgets.load()
        assert again.told == []
        await again.budgets.close()

    play(scene)


def test_what_was_told_by_another_node_or_cannot_be_kept() -> None:
    async def scene() -> None:
        store = KeptValues()
        nodes = [Node(store), Node(store)]
        for node, name in zip(nodes, "bc", strict=True):
            node.rows = (Usage(caller="c", requests=9),)
            await node.budgets.set(budget(name=name), ADA)
        for node in nodes:
            node.allowance.see(node.allowance.ledgers["t"].values())
            await node.budgets.close()
        for node in nodes:
            again = Node(store)
            again.rows = node.rows
            await again.budgets.set(budget(), ADA)
            await again.budgets.set(budget(name="c"), ADA)
            again.told.clear()
            await again.budgets.load()
            assert again.told == []
            await again.budgets.close()

        async def broken(_: object) -> None:
            raise ConflictError("Another node has changed it.")

        node = Node(store)
        node.rows = (Usage(caller="c", requests=9),)
        await node.budgets.set(budget(name="d"), ADA)
        node.store.change = broken  # type: ignore[method-assign]
        node.allowance.see(node.allowance.ledgers["t"].values())
        await node.budgets.close()

    play(scene)


def test_callers_are_told_apart_only_where_it_is_about_them() -> None:
    async def scene() -> None:
        node = Node()
        await node.budgets.set(budget(function="f"), ADA)
        await node.budgets.set(budget(caller="token:1"), ADA)
        await node.budgets.set(budget(account="user:ada"), ADA)
        assert [(each.by, each.function) for each in node.asked] == [
            (UsageBy.PROJECT, "f"),
            (UsageBy.CALLER, None),
            (UsageBy.CALLER, None),
        ]

    play(scene)


@pytest.mark.parametrize(
    ("per", "since"),
    [
        (BudgetPer.HOUR, NOW - HOUR),
        (BudgetPer.DAY, NOW - 12 * HOUR),
        (BudgetPer.MONTH, NOW - 12 * HOUR - (NOW // DAY - 20_759) % 31 * DAY),
    ],
)
def test_a_start_counts_again_what_records_tell(per: BudgetPer, since: float) -> None:
    async def scene() -> None:
        node = Node()
        await node.budgets.set(budget(per=per), ADA)
        await node.budgets.set_quota(
            Quota(project="t", name="q", calls=1, seconds=1, each=QuotaEach.CALLER), ADA
        )
        await node.budgets.lift("t", "b", 60, "a sale", ADA)
        again = Node(node.store)
        again.rows = (Usage(caller="user:ada", requests=9),)
        await again.budgets.load()
        [state] = again.budgets.states("t")
        assert state.used == 9.0 and state.lifted_until == NOW + 60
        assert (state.lifted_by, state.lifted_for) == ("user:ada", "a sale")
        assert len(again.budgets.quota_states("t")) == 1 and again.budgets.states("x") == ()
        # What was reached before the kill may not have been told.
        assert [each.percent for each in again.told] == [80]
        question = again.asked[0]
        assert question.until % DAY == 0 and question.until > NOW
        if per is not BudgetPer.MONTH:
            assert question.since == since
        else:
            assert question.since % DAY == 0 and question.since <= NOW - 12 * HOUR
        await again.budgets.close()

    play(scene)


@pytest.mark.parametrize("ahead", [3600.0, 300 * DAY])
def test_one_that_was_lifted_by_a_clock_that_was_ahead_is_not_for_years(ahead: float) -> None:
    async def scene() -> None:
        node = Node()
        node.rows = (Usage(caller="c", requests=99),)
        await node.budgets.set(budget(), ADA)
        node.now += ahead
        await node.budgets.lift("t", "b", 60, "a sale", ADA)
        await node.budgets.let_run("t", "f", 60, "a sale", ADA)
        again = Node(node.store)  # started once the clock is right
        again.rows = node.rows
        await again.budgets.load()
        [state] = again.budgets.states("t")
        assert state.lifted_until is None and again.budgets.unusual("t") == ()
        ledger = again.allowance.ledgers["t"]["b"]
        assert ledger.reserve(1.0, Expected(0.0), NOW) is None
        await again.budgets.close()

    play(scene)


def test_lifted_and_put_back() -> None:
    async def scene() -> None:
        node = Node()
        node.rows = (Usage(caller="c", requests=99),)
        await node.budgets.set(budget(), ADA)
        ledger = node.allowance.ledgers["t"]["b"]
        assert ledger.reserve(1.0, Expected(0.0), NOW) is None
        state = await node.budgets.lift("t", "b", 60, "a sale", ADA)
        assert state.lifted_until == NOW + 60 and ledger.reserve(1.0, Expected(0.0), NOW)
        assert node.told[-1].change == "lift" and node.told[-1].seconds == 60
        state = await node.budgets.lift("t", "b", 0, "over", ADA)
        assert state.lifted_until is None and ledger.reserve(1.0, Expected(0.0), NOW) is None
        with pytest.raises(NotFoundError):
            await node.budgets.lift("t", "nobody", 60, "x", ADA)

    play(scene)


def test_removed_for_good() -> None:
    async def scene() -> None:
        node = Node()
        await node.budgets.set(budget(), ADA)
        await node.budgets.remove("t", "b", ADA)
        with pytest.raises(NotFoundError):
            await node.budgets.remove("t", "b", ADA)
        again = Node(node.store)
        await again.budgets.load()
        assert again.budgets.states(None) == ()
        await again.budgets.close()

    play(scene)


def test_two_at_once_lose_nothing() -> None:
    async def scene() -> None:
        node = Node()
        await asyncio.gather(
            *(node.budgets.set(budget(name=f"b{n}"), ADA) for n in range(20)),
            *(node.budgets.set(budget(name="same", amount=n + 1.0), ADA) for n in range(5)),
        )
        again = Node(node.store)
        await again.budgets.load()
        assert len(again.budgets.states(None)) == 21
        assert again.budgets.states(None) == node.budgets.states(None)
        await again.budgets.close()

    play(scene)


def test_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_BUDGETS", 3)

    async def scene() -> None:
        node = Node()
        for n in range(3):
            await node.budgets.set(budget(name=f"b{n}"), ADA)
        await node.budgets.set(budget(name="b0", amount=5.0), ADA)
        with pytest.raises(ConflictError, match="all there is room for"):
            await node.budgets.set(budget(name="b3"), ADA)

    play(scene)


def test_no_project_takes_the_room_of_others_or_of_what_contains_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "MAX_OF_PROJECT", 2)
    quota = Quota(project="t", name="q", calls=1, seconds=60, each=QuotaEach.FUNCTION)

    async def scene() -> None:
        node = Node()
        await node.budgets.set(budget(name="b0"), ADA)
        await node.budgets.set_quota(quota, ADA)
        await node.budgets.set_quota(quota, ADA)
        for setting in (
            node.budgets.set(budget(name="b1"), ADA),
            node.budgets.set_quota(msgspec.structs.replace(quota, name="q1"), ADA),
        ):
            with pytest.raises(ConflictError, match="2 budgets and quotas of t already"):
                await setting
        await node.budgets.set(budget(name="b0", project="other"), ADA)
        book = Actor("playbook:denial-of-wallet", "")
        await node.budgets.set_quota(msgspec.structs.replace(quota, name="run-1"), book)
        for n in range(2):
            await node.budgets.let_run("t", f"f{n}", 60, "r", ADA)
        with pytest.raises(ConflictError, match="2 functions that are not slowed of t"):
            await node.budgets.let_run("t", "f2", 60, "r", ADA)
        await node.budgets.let_run("t", "f1", 60, "again", ADA)
        await node.budgets.let_run("other", "f", 60, "r", ADA)

    play(scene)


def test_what_is_usual_is_learned_of_a_week_day_by_day() -> None:
    async def scene() -> None:
        node = Node()
        node.rows = (Usage(project="t", function="f", run_us=36_000_000),)
        days = await days_run(node._read, NOW + 60.0)
        assert [(each.since, each.until) for each in node.asked] == [
            (NOW - (ago + 1) * DAY, NOW - ago * DAY) for ago in range(7)
        ]
        node.allowance.anomalies.learn(days)
        assert node.allowance.anomalies.usual == {("t", "f"): 36.0}

    play(scene)


def test_a_function_is_let_run_and_that_is_on_record_and_kept() -> None:
    async def scene() -> None:
        node = Node()
        lifted = await node.budgets.let_run("t", "f", 60, "a sale", ADA)
        assert lifted.lifted_until == NOW + 60 and node.durable == 1
        assert (node.told[-1].function, node.told[-1].change) == ("f", "lift")
        await node.budgets.let_run("u", "f", 60, "another", ADA)
        await node.budgets.let_run("u", "f", 0, "over", ADA)
        await node.budgets.set(budget(), ADA)  # keeps what is lifted
        assert node.budgets.unusual(None) == node.budgets.unusual("t") == (lifted,)
        again = Node(node.store)
        await again.budgets.reload()
        assert again.budgets.unusual("t") == (lifted,) and again.budgets.unusual("u") == ()
        later = Node(node.store)
        later.now += 61
        await later.budgets.reload()
        assert later.budgets.unusual(None) == ()

    play(scene)


def test_a_clock_set_back_to_a_day_that_was_not_counted_has_it_counted() -> None:
    async def scene() -> None:
        node = Node()
        node.now += 40 * DAY
        await node.budgets.set(budget(), ADA)
        ledger = node.allowance.ledgers["t"]["b"]
        reserved = ledger.reserve(1.0, Expected(0.0), node.now)
        assert reserved is not None
        ledger.settle(reserved, 1.0, Expected(0.0), node.now)
        node.now = NOW
        node.rows = (Usage(caller="c", requests=8),)
        reserved = ledger.reserve(1.0, Expected(0.0), NOW)
        assert reserved is not None and ledger.is_recount_due
        ledger.release(reserved)
        await node.budgets.load()
        await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)
        assert ledger.used == 9.0 and not ledger.is_recount_due
        await node.budgets.close()

    play(scene)


def test_one_that_is_right_again_before_that_is_not_counted_twice() -> None:
    """What is known of the present day, and its records, were both counted."""

    async def scene() -> None:
        node = Node()
        await node.budgets.set(budget(), ADA)
        ledger = node.allowance.ledgers["t"]["b"]
        for at in (NOW, NOW, NOW - 40 * DAY):
            reserved = ledger.reserve(1.0, Expected(0.0), at)
            assert reserved is not None
            ledger.settle(reserved, 1.0, Expected(0.0), at)
        assert ledger.is_recount_due
        node.rows = (Usage(caller="c", requests=2),)
        await node.budgets._counting.count_before(ledger)
        assert ledger.used == 2.0 and not ledger.is_recount_due
        await node.budgets.close()

    play(scene)


def test_other_prices_count_money_anew() -> None:
    async def scene() -> None:
        node = Node()
        node.rows = (Usage(caller="c", memory_mb_ms=1024 * 1000 * 10),)
        await node.budgets.set(budget(unit=BudgetUnit.MONEY), ADA)
        for text, reason in (
            ("name = 1", "name is 1"),
            (PRICES + 'gb_second = "-1"\n', "negative"),
            (PRICES.replace("2020", "2090") + 'gb_second = "1"\n', "has no prices for"),
        ):
            with pytest.raises(PriceListError, match=reason):
                await node.budgets.set_prices(text, ADA)
        await node.budgets.set_prices(PRICES + 'gb_second = "0.5"\n', ADA)
        [state] = node.budgets.states(None)
        assert (state.used, state.currency) == (pytest.approx(5.0), "CHF")
        again = Node(node.store)
        await again.budgets.load()
        assert again.budgets.prices().startswith('name = "ours"')
        await again.budgets.close()

    play(scene)


def test_calls_that_run_while_a_budget_is_set_anew_count_for_it() -> None:
    """They hold a ticket of the one before, or none; each is counted once."""

    async def scene() -> None:
        node = Node()
        allowance = node.allowance
        await node.budgets.set(budget(), ADA)
        with_ticket, mark = entered(), allowance.mark
        ticket = allowance.enter(with_ticket)
        other, before = entered(name="g"), allowance.mark
        reading: asyncio.Future[tuple[Usage, ...]] = asyncio.get_running_loop().create_future()

        async def read(_operation: ReadUsage) -> tuple[Usage, ...]:
            return await reading

        node.budgets._counting._read = read
        setting = asyncio.create_task(node.budgets.set(budget(amount=50.0), ADA))
        await asyncio.sleep(0)
        while not allowance._awaited:
            await asyncio.sleep(0)
        # One ends while records are read, another one begins meanwhile and ends after it.
        assert allowance.is_late(before)
        allowance.settle_late(before, other, ended())
        while_read, meanwhile = entered(name="h"), allowance.mark
        taken = allowance.enter(while_read)
        reading.set_result((Usage(requests=3),))
        state = await setting
        assert state.used == 4.0
        for call, of, since in (
            (with_ticket, ticket, mark),
            (while_read, taken, meanwhile),
        ):
            assert of is not None
            of.settle(ended())
            assert allowance.is_late(since)
            allowance.settle_late(since, call, ended())
        [state] = node.budgets.states("t")
        assert (state.used, state.reserved, state.budget.amount) == (6.0, 0.0, 50.0)
        # What begins now has a ticket, and counts by that alone.
        assert not allowance.is_late(allowance.mark)

    play(scene)


def test_calls_of_others_do_not_count_late() -> None:
    async def scene() -> None:
        node = Node()
        mark = node.allowance.mark
        await node.budgets.set(budget(function="f"), ADA)
        for call in (entered(name="g"), entered(project="other")):
            node.allowance.settle_late(mark, call, ended())
        never = msgspec.structs.replace(ended(), used=None)
        node.allowance.settle_late(mark, entered(), never)
        assert node.budgets.states("t")[0].used == 0.0
        node.allowance.settle_late(mark, entered(), ended())
        assert node.budgets.states("t")[0].used == 1.0

    play(scene)


def test_changes_in_line_are_decided_again_once_it_is_their_turn() -> None:
    """A token has hundreds asked for at once, and is revoked."""

    async def play() -> None:
        node = Node()
        await node.budgets.set(budget(name="kept"), ADA)
        node.told.clear()
        quota = Quota(project="t", name="q", calls=1, seconds=60, each=QuotaEach.CALLER)

        def gone() -> None:
            raise ConflictError("The token was revoked.")

        changes: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: node.budgets.set(budget(), ADA),
            lambda: node.budgets.set_quota(quota, ADA),
            lambda: node.budgets.lift("t", "kept", 60, "r", ADA),
            lambda: node.budgets.let_run("t", "f", 60, "r", ADA),
            lambda: node.budgets.remove("t", "kept", ADA),
            lambda: node.budgets.set_prices(PRICES + 'gb_second = "1"\n', ADA),
        )
        for change in changes:
            with asked_again(gone), pytest.raises(ConflictError, match="revoked"):
                await change()
        assert node.told == []

    asyncio.run(play())
