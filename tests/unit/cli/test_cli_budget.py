"""Budgets for what is not there are set, and that is said: a name may be mistyped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from casemate.cli.commands.budget import _number, _tell_of_nothing, _tell_of_used_up
from casemate.cli.errors import DeniedError
from casemate.cli.operation_command import Call
from casemate.model.budget import Budget, BudgetPer, BudgetState, BudgetUnit
from casemate.model.deployment import DeployedFunction
from casemate.operations.functions import Functions


class Client:
    def call(self, _: Any) -> Functions:
        there = DeployedFunction(project="shop", name="pay", versions=(), aliases=())
        return Functions(functions=(there,))


class Closed:
    def call(self, _: Any) -> Functions:
        raise DeniedError("no")


@pytest.mark.parametrize(
    ("project", "function", "said"),
    [
        ("shop", None, ""),
        ("shop", "pay", ""),
        ("shpo", None, "no project shpo"),
        ("shop", "pya", "no function shop/pya"),
        ("other", "pay", "no function other/pay"),
    ],
)
def test_what_bounds_nothing_is_told(
    project: str, function: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = Call(SimpleNamespace(), cast("Any", Client()))
    _tell_of_nothing(call, project, function)
    told = capsys.readouterr().err
    assert said in told and bool(said) == bool(told)
    _tell_of_nothing(Call(SimpleNamespace(), cast("Any", Closed())), project, function)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("percent", "hard", "said"),
    [(99.9, False, ""), (100.0, False, "nothing is refused"), (250.0, True, "calls are refused")],
)
def test_what_was_used_up_before_it_was_set_is_told(
    percent: float, hard: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = Budget(
        project="shop",
        name="month",
        amount=100.0,
        unit=BudgetUnit.REQUESTS,
        per=BudgetPer.MONTH,
        hard=hard,
    )
    _tell_of_used_up(BudgetState(budget=budget, used=percent, reserved=0.0, percent=percent))
    told = capsys.readouterr().err
    assert said in told and bool(said) == bool(told)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (4.89948e-06, "0.000005"),
        (50, "50"),
        (0, "0"),
        (1e12, "1,000,000,000,000"),
        (1234567.5, "1,234,567.5"),
    ],
)
def test_amounts_are_in_plain_digits(value: float, shown: str) -> None:
    assert _number(value) == shown


def test_a_function_where_a_project_is_meant_is_told_before_anything_is_sent(cli) -> None:
    for words in (
        ("quota", "links/go", "visitors", "5"),
        ("set", "links/go", "month", "5"),
        ("rm", "links/go", "month", "--yes"),
    ):
        refused = cli("budget", *words)
        assert refused.code == 2 and "'links/go'" in refused.err
        assert "links ... --function go" in refused.err or "project alone: links" in refused.err


@pytest.mark.parametrize("name", ["a/b", "", ".", ".."])
def test_what_is_no_name_of_a_quota_is_told_before_anything_is_sent(cli, name: str) -> None:
    refused = cli("budget", "quota", "links", name, "5")
    assert refused.code == 2 and "is no name" in refused.err
