"""A call is let begin or refused, and what it used is counted once, however it ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from casemate.budgets import Allowance, allowance
from casemate.budgets.ledger import Ledger
from casemate.budgets.refusals import DETAIL
from casemate.metering import read_prices
from casemate.model.budget import Budget, BudgetPer, BudgetUnit, Quota, QuotaEach
from casemate.model.facts import BudgetReached
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Finished, RefusedError
from casemate.model.principal import ANONYMOUS, Principal, PrincipalKind
from casemate.model.usage import Amounts
from casemate.sandbox.meter import Metered
from support.core import request, version

ADA = Principal(kind=PrincipalKind.USER, id="ada")
TOKEN = Principal(kind=PrincipalKind.TOKEN, id="ci")


class Node:
    def __init__(self) -> None:
        self.now, self.steady, self.told = 1_795_392_000.0, 5.0, []
        told: list[Any] = self.told
        self.allowance = Allowance(
            told.append,
            {"token:ci": "user:ada"}.get,  # type: ignore[arg-type]
            clock=lambda: self.now,
            steady=lambda: self.steady,
        )

    def budget(self, **changes: Any) -> None:
        given: dict[str, Any] = {
            "project": "t",
            "name": "b",
            "amount": 3.0,
            "unit": BudgetUnit.REQUESTS,
            "per": BudgetPer.DAY,
            "hard": True,
        }
        self.allowance.put(Ledger(Budget(**{**given, **changes}), self.now))

    def quota(self, **changes: Any) -> None:
        given: dict[str, Any] = {
            "project": "t",
            "name": "q",
            "calls": 2,
            "seconds": 10,
            "each": QuotaEach.CALLER,
        }
        self.allowance.put_quota(Quota(**{**given, **changes}))

    def enter(self, by: Principal = ADA, name: str = "f", address: str = "", **where: Any) -> Any:
        admitted = Admitted(
            request=request(function=name, remote_address=address, **where),
            version=version(name=name, **where),
            principal=by,
        )
        return self.allowance.enter(admitted)

    def refused(self, *given: Any, **more: Any) -> RefusedError:
        with pytest.raises(RefusedError) as refusal:
            self.enter(*given, **more)
        assert refusal.value.outcome is Outcome.THROTTLED
        # Nothing of the inside: neither which bound, nor whose, nor how much of it.
        assert refusal.value.message == DETAIL
        return refusal.value

    @property
    def ledger(self) -> Any:
        return self.allowance.ledgers["t"]["b"]


def ended(cpu_us: int = 0, ran: float = 0.5) -> Finished:
    used = Metered(ran, 0.0)
    used.know(cpu_us, 0)
    return Finished(outcome=Outcome.OK, ran=ran, used=used)


ADMITTED = Admitted(request=request(function="f"), version=version(name="f"), principal=ADA)


def over(node: Node, mark: int) -> bool:
    """Tell whether a call that waited since then is refused."""
    try:
        node.allowance.require_still(ADMITTED, mark)
    except RefusedError as refusal:
        assert refusal.outcome is Outcome.THROTTLED
        assert refusal.message == DETAIL
        return True
    return False


def test_a_budget_that_is_set_while_calls_wait_holds_for_them() -> None:
    """Before: all that waited for an instance ran, however many."""
    node = Node()
    mark = node.allowance.mark
    assert not over(node, mark)
    node.budget(amount=1.0)
    assert not over(node, mark)
    node.ledger.count(1.0)
    assert over(node, mark)
    assert node.ledger.refused == 1
    node.budget(amount=1.0, hard=False)
    node.ledger.count(5.0)
    assert not over(node, mark)
    node.budget(project="other", amount=0.0)
    assert not over(node, mark)


def test_what_a_waiting_call_has_reserved_it_may_still_use() -> None:
    node = Node()
    node.budget()
    tickets = [node.enter() for _ in range(3)]
    mark = node.allowance.mark
    for ticket in tickets:
        assert not over(node, mark)
        ticket.settle(ended())
    assert over(node, mark), "all three have run"


def test_a_budget_that_is_used_up_while_calls_wait_holds_for_them() -> None:
    node = Node()
    node.budget(unit=BudgetUnit.CPU_SECONDS, amount=10.0)
    first = node.enter()
    node.enter()
    mark = node.allowance.mark
    assert not over(node, mark)
    first.settle(ended(cpu_us=11_000_000))
    assert over(node, mark)
    node.ledger.lift(node.now, node.now + 60.0, node.now)
    assert not over(node, mark)


def test_where_nothing_is_set_nothing_is_counted() -> None:
    assert Node().enter() is None
    node = Node()
    node.budget(project="other")
    assert node.enter() is None


def test_a_hard_budget_refuses_what_would_go_beyond_it() -> None:
    node = Node()
    node.budget()
    first, second, third = (node.enter() for _ in range(3))
    refusal = node.refused()
    assert refusal.failure is not None and refusal.failure.type == "BudgetUsedUp"
    assert "budget b of t" in refusal.failure.message
    assert refusal.retry_after is not None and 1 <= refusal.retry_after <= 3600
    first.drop()  # it never ran
    node.enter().settle(ended())
    for ticket in (second, third):
        ticket.settle(ended())
        ticket.settle(ended())  # once is enough
        ticket.drop()
    assert (node.ledger.used, node.ledger.reserved) == (3.0, 0.0)
    node.refused()
    node.now += 86_400
    assert node.enter() is not None


def test_what_is_not_known_yet_stays_reserved() -> None:
    node = Node()
    node.budget(amount=1.0)
    ticket, used = node.enter(), Metered(0.5, 0.0)
    ticket.settle(Finished(outcome=Outcome.TIMEOUT, ran=0.5, used=used))
    assert (node.ledger.used, node.ledger.reserved) == (0.0, 1.0)
    node.refused()
    used.know(77, 0)
    assert (node.ledger.used, node.ledger.reserved) == (1.0, 0.0)


def test_a_fault_of_ours_counts_as_guessed() -> None:
    node = Node()
    node.budget()
    node.enter().settle(Finished(outcome=Outcome.INTERNAL_ERROR))
    assert (node.ledger.used, node.ledger.reserved) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (BudgetUnit.REQUESTS, 1.0),
        (BudgetUnit.CPU_SECONDS, 0.25),
        (BudgetUnit.GB_SECONDS, 0.5 * 256 / 1024 / 1.0 * 1.0),
    ],
)
def test_units(unit: BudgetUnit, expected: float) -> None:
    node = Node()
    node.budget(unit=unit, amount=100.0)
    node.enter().settle(ended(250_000))
    assert node.ledger.used == pytest.approx(expected, rel=1e-3)


BYTES = {
    BudgetUnit.EGRESS_IN: Amounts(egress_in=40),
    BudgetUnit.EGRESS_OUT: Amounts(egress_out=40),
    BudgetUnit.BYTE_HOURS: Amounts(byte_hours=40),
}


@pytest.mark.parametrize("unit", BYTES)
def test_what_is_used_beside_calls_counts_in_its_own_unit(unit: BudgetUnit) -> None:
    node = Node()
    node.budget(unit=unit, amount=100.0)
    function = "" if unit is BudgetUnit.BYTE_HOURS else "f"
    for amounts in BYTES.values():
        node.allowance.use("t", function, amounts)
    assert node.ledger.used == 40.0
    node.allowance.use("other", function, BYTES[unit])
    node.enter().settle(ended(1000))
    assert (node.ledger.used, node.ledger.reserved) == (40.0, 0.0)
    node.allowance.use("t", function, BYTES[unit])
    node.allowance.use("t", function, BYTES[unit])
    failure = node.refused().failure
    assert failure is not None and failure.type == "BudgetUsedUp"
    assert [fact.percent for fact in node.told] == [80, 100]


def test_a_hard_budget_in_bytes_cuts_off_who_it_is_of() -> None:
    node, changes = Node(), []
    cutting = node.allowance.cutting
    cutting.changed = lambda: changes.append(cutting.cuts("t", "f"))
    node.budget(unit=BudgetUnit.EGRESS_OUT, amount=100.0, function="f")
    node.allowance.use("t", "f", Amounts(egress_out=99))
    assert not cutting.cuts("t", "f") and changes == []
    node.allowance.use("t", "g", Amounts(egress_out=500))
    assert changes == []
    node.allowance.use("t", "f", Amounts(egress_out=1))
    assert changes == [True] and not cutting.cuts("t", "g") and not cutting.cuts("u", "f")
    node.allowance.use("t", "f", Amounts(egress_out=10**12))
    assert changes == [True]
    node.ledger.lift(node.now, node.now + 60, node.now)
    cutting.look()
    assert changes == [True, False]
    node.now += 61
    cutting.look()
    assert changes == [True, False, True]
    node.now += 86_400  # another day
    cutting.look()
    assert changes[-1] is False
    node.allowance.use("t", "f", Amounts(egress_out=100))
    node.allowance.remove("t", "b")
    assert changes[-2:] == [True, False] and not cutting.cuts("t", "f")


@pytest.mark.parametrize("changes", [{"hard": False}, {"unit": BudgetUnit.BYTE_HOURS}])
def test_others_cut_nobody_off(changes: dict[str, Any]) -> None:
    node = Node()
    node.budget(**{"unit": BudgetUnit.EGRESS_IN, "amount": 1.0, **changes})
    node.allowance.use("t", "f", Amounts(egress_in=5, byte_hours=5))
    assert not node.allowance.cutting.cuts("t", "f")


def test_a_clock_that_is_set_back_opens_nothing() -> None:
    node = Node()
    node.budget(unit=BudgetUnit.EGRESS_IN, amount=1.0)
    node.allowance.use("t", "f", Amounts(egress_in=1))
    node.now -= 10 * 86_400
    node.allowance.cutting.look()
    assert node.allowance.cutting.cuts("t", "f")


def test_one_of_who_answers_cuts_off_what_is_his() -> None:
    node = Node()
    answerable = {"function:t/f": "user:ada"}.get
    node.allowance.answerable = answerable  # type: ignore[assignment]
    node.allowance.cutting._answerable = answerable  # type: ignore[assignment]
    node.budget(unit=BudgetUnit.EGRESS_IN, amount=1.0, account="user:ada")
    node.allowance.use("t", "g", Amounts(egress_in=1))
    assert not node.allowance.cutting.cuts("t", "f")
    node.allowance.use("t", "f", Amounts(egress_in=1))
    assert node.allowance.cutting.cuts("t", "f") and not node.allowance.cutting.cuts("t", "g")


def test_money_is_that_of_the_price_list() -> None:
    node = Node()
    node.budget(unit=BudgetUnit.MONEY, amount=1.0)
    node.enter().settle(ended(3_600_000_000))
    assert node.ledger.used == pytest.approx(0.0400 + 0.0000002 + 0.000015 / 8, rel=1e-3)


@pytest.mark.parametrize(
    ("scope", "counted"),
    [
        ({"function": "f"}, [("f", ADA), ("f", TOKEN), ("f", ANONYMOUS)]),
        ({"caller": "token:ci"}, [("f", TOKEN), ("g", TOKEN)]),
        ({"account": "user:ada"}, [("f", TOKEN), ("g", TOKEN)]),
        ({"function": "g", "caller": "user:ada"}, [("g", ADA)]),
    ],
)
def test_of_whom_it_is(scope: dict[str, str], counted: list[tuple[str, Principal]]) -> None:
    node = Node()
    node.budget(amount=100.0, **scope)
    found = []
    for name in ("f", "g"):
        for by in (ADA, TOKEN, ANONYMOUS):
            if node.enter(by, name) is not None:
                found.append((name, by))
    assert found == counted


def test_a_call_is_refused_by_any_and_reserved_of_none_then() -> None:
    node = Node()
    node.budget(name="a", amount=100.0)
    node.budget(name="z", amount=1.0)
    node.enter()
    node.refused()
    assert node.allowance.ledgers["t"]["a"].reserved == 1.0


def test_its_owner_is_told_at_half_most_and_all() -> None:
    node = Node()
    node.budget(amount=10.0)
    for _ in range(10):
        node.enter().settle(ended())
    for _ in range(5):
        node.refused()
    assert [(each.percent, each.budget) for each in node.told] == [(50, "b"), (80, "b"), (100, "b")]
    assert all(isinstance(each, BudgetReached) and each.hard for each in node.told)


def test_one_that_has_no_room_is_used_up_even_if_a_little_is_left() -> None:
    node = Node()
    node.budget(amount=1.5)
    node.enter().settle(ended())
    node.refused()
    assert [each.percent for each in node.told] == [50, 100]


def test_what_is_reserved_for_calls_that_run_is_no_budget_used_up() -> None:
    node = Node()
    node.budget(amount=1.0, unit=BudgetUnit.CPU_SECONDS)
    for cpu_us in (40_000, *(10_000,) * 87):
        node.enter().settle(ended(cpu_us))
    running = []
    with pytest.raises(RefusedError) as refusal:
        running.extend(node.enter() for _ in range(20))
    failure = refusal.value.failure
    assert failure is not None and failure.type == "BudgetReserved"
    assert refusal.value.retry_after == 1 and refusal.value.message == DETAIL
    assert node.ledger.reserved > 0.03 and [each.percent for each in node.told] == [50, 80]
    for each in running:
        each.settle(ended(10_000))
    while node.ledger.used < 0.985:
        node.enter().settle(ended(10_000))
    node.refused()
    assert node.ledger.used < 1.0 and [each.percent for each in node.told] == [50, 80, 100]


def test_a_quota_of_each_caller() -> None:
    node = Node()
    node.quota()
    assert node.enter(ADA).fields[1] == (b"ratelimit", b'"q";r=1;t=5')
    node.enter(ADA)
    refusal = node.refused(ADA)
    assert refusal.retry_after == 5 and refusal.failure.type == "QuotaUsedUp"  # type: ignore[union-attr]
    assert dict(refusal.fields)[b"ratelimit"] == b'"q";r=0;t=5', "as Retry-After"
    assert node.enter(TOKEN) is not None
    node.steady += 5
    assert node.enter(ADA) is not None


@pytest.mark.parametrize("seconds", [1, 60, 3600, 86_400])
def test_one_who_is_refused_is_told_one_time_to_come_back(seconds: int) -> None:
    node = Node()
    node.quota(calls=1, seconds=seconds)
    node.enter(ADA)
    node.steady += seconds / 4
    refusal = node.refused(ADA)
    text = dict(refusal.fields)[b"ratelimit"].decode()
    assert refusal.retry_after == int(text.rpartition("t=")[2])
    node.steady += refusal.retry_after - 0.999 if seconds > 1 else 0
    node.refused(ADA)
    node.steady += 1
    assert node.enter(ADA) is not None


def test_a_quota_of_each_address_and_of_a_function() -> None:
    node = Node()
    node.quota(each=QuotaEach.ADDRESS, calls=1)
    node.enter(ANONYMOUS, address="192.0.2.1")
    node.refused(ANONYMOUS, address="192.0.2.1")
    node.enter(ANONYMOUS, address="192.0.2.2")
    assert node.enter(ANONYMOUS) is None  # from no network
    node.enter(ANONYMOUS, address="2001:db8:0:1::1")
    node.refused(ANONYMOUS, address="2001:db8:0:1::2")  # who has one address of it has them all
    node.enter(ANONYMOUS, address="2001:db8:0:2::1")
    node.refused(ANONYMOUS, address="::ffff:192.0.2.1")
    node = Node()
    node.quota(each=QuotaEach.FUNCTION, calls=1, function="f")
    node.enter(ADA)
    node.refused(TOKEN)
    assert node.enter(ADA, "g") is None


def test_who_is_refused_by_one_quota_keeps_his_tokens_of_the_others() -> None:
    node = Node()
    node.quota(name="a", calls=100)
    node.quota(name="b", calls=1, each=QuotaEach.FUNCTION)
    node.enter(ADA)
    for _ in range(20):
        node.refused(ADA)
    assert node.allowance.rates["t"]["a"].left("user:ada", node.steady) == 99.0


def test_a_slowed_function_runs_two_at_once() -> None:
    node = Node()
    anomalies = node.allowance.anomalies
    anomalies.learn({("t", "f"): [[36.0, 36.0, 36.0]]})
    anomalies.look({("t", "f"): 0.0})
    node.steady += 5
    anomalies.look({("t", "f"): 150.0})
    tickets = [node.enter() for _ in range(2)]
    refusal = node.refused()
    assert refusal.failure is not None and refusal.failure.type == "CostAnomaly"
    assert node.enter(name="g") is None
    tickets[0].settle(ended())
    tickets[0].drop()
    assert node.enter() is not None
    node.refused()


def test_removed_is_removed() -> None:
    node = Node()
    node.budget()
    node.quota()
    assert node.allowance.remove("t", "b") and node.allowance.remove("t", "q")
    assert not node.allowance.remove("t", "b")
    assert node.enter() is None


def test_what_is_set_or_removed_counts_from_the_next_call_of_a_known_caller() -> None:
    node = Node()
    node.budget(name="a", amount=100.0)
    node.enter()
    node.budget(name="b", amount=1.0)
    node.enter()
    node.refused()
    node.allowance.remove("t", "b")
    node.enter()
    node.quota(calls=1)
    node.enter()
    node.refused()
    assert node.allowance.ledgers["t"]["a"].reserved == 4.0


def test_who_answers_for_a_known_caller_is_asked_again_after_a_second() -> None:
    node = Node()
    node.budget(amount=100.0, account="user:ada")
    assert node.enter(TOKEN) is not None
    node.allowance.answerable = lambda caller: caller
    node.now += 1
    assert node.enter(TOKEN) is None
    node.allowance.answerable = lambda _caller: "user:ada"
    node.now -= 3600  # the clock was set back
    assert node.enter(TOKEN) is not None


def test_callers_of_which_is_known_what_holds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "_MOST_KNOWN", 8)
    node = Node()
    node.budget(amount=1e6)
    for number in range(50):
        assert node.enter(Principal(kind=PrincipalKind.TOKEN, id=str(number))) is not None
        assert len(node.allowance._bounds) <= 8
    assert node.ledger.reserved == 50.0


def test_other_prices_count_from_the_next_call_and_of_a_day_from_its_first() -> None:
    text = """
    name = "own"
    version = "1"
    currency = "EUR"
    [[prices]]
    from = 2020-01-01
    until = 2026-11-24
    million_requests = "1000000"
    [[prices]]
    from = 2026-11-24
    million_requests = "3000000"
    """
    node = Node()
    node.now = datetime(2026, 11, 23, 23, 59, 58, tzinfo=UTC).timestamp()
    node.budget(unit=BudgetUnit.MONEY, amount=100.0, per=BudgetPer.MONTH)
    node.enter().settle(ended())
    assert node.ledger.used < 0.0001
    node.allowance.use_prices(read_prices(text.encode(), "own"))
    for seconds, more in ((0, 1.0), (1, 1.0), (1, 3.0), (86_400, 3.0)):
        node.now += seconds
        before = node.ledger.used
        ticket = node.enter()
        assert node.ledger.reserved >= more
        ticket.settle(ended())
        assert node.ledger.used - before == pytest.approx(more)


def test_a_call_is_reserved_of_none_where_the_last_budget_refuses_a_known_caller() -> None:
    node = Node()
    node.budget(name="a", amount=100.0)
    node.budget(name="m", amount=50.0)
    node.budget(name="z", amount=0.5)
    for _ in range(20):
        node.refused()
    ledgers = node.allowance.ledgers["t"]
    assert [ledgers[name].reserved for name in "amz"] == [0.0, 0.0, 0.0]
    assert ledgers["z"].refused == 20
