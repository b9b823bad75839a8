"""`casemate budget`: what may be used at the most."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.errors import UsageError
from casemate.cli.operation_command import Call, answered
from casemate.cli.options import ForOption, JsonOption, ReasonOption, command, new_app
from casemate.cli.terminal import YELLOW, note, print_json, print_line, print_table
from casemate.cli.text import moment
from casemate.cli.times import lasting
from casemate.model.budget import BudgetState, QuotaState, Unusual
from casemate.model.errors import CasemateError
from casemate.operations.budgets import (
    BudgetsFound,
    LetRun,
    LiftBudget,
    ListBudgets,
    RemoveBudget,
    SetBudget,
    SetQuota,
)
from casemate.operations.functions import ListFunctions

MOST = 1e15
app = new_app("See, set, lift and remove budgets and quotas.")


def _amount(given: str) -> float:
    try:
        amount = float(given)
    except ValueError:
        amount = 0.0
    if not 0 < amount <= MOST:
        raise UsageError(f"The amount is {given!r}, expected a number above 0.")
    return amount


@answered(app, ListBudgets, examples="$ casemate budget ls\n$ casemate budget ls --json")
def ls(found: BudgetsFound) -> None:
    """List budgets and quotas, and how much of each is used.

    A *hard* budget refuses what would exceed it (429; kept events wait), a *soft* one only tells
    its owner. *refused* are the calls since the node's start. A budget that is *lifted* refuses
    nothing until then. A quota bounds calls within so many seconds: for *each* caller, address, or
    the whole function; *known* is how many of these it tells apart now. A function is *slowed*
    while it costs far more than it usually does.
    """
    print_table(
        ("budget", "of", "used", "amount", "%", "kind", "refused", "begins anew", "lifted until"),
        [_columns(each) for each in found.budgets],
        below=("refused", "begins anew", "lifted until"),
        empty="There are no budgets; casemate budget set makes one.",
    )
    if found.quotas:
        print_line()
        print_table(
            ("quota", "of", "calls", "seconds", "each", "known", "refused"),
            [_quota_columns(each) for each in found.quotas],
            below=("known",),
            empty="",
        )
    if found.unusual:
        print_line()
        print_table(
            ("function", "slowed", "lifted until"),
            [_unusual_columns(each) for each in found.unusual],
            empty="",
        )
    if found.budgets or found.quotas or found.unusual:
        note("What the words mean: casemate budget ls --help")


def _unusual_columns(each: Unusual) -> tuple[str, ...]:
    until = f"{moment(each.lifted_until)} by {each.lifted_by}" if each.lifted_until else ""
    return f"{each.project}/{each.function}", each.reason, until


def _number(amount: float) -> str:
    """Return an amount as bills tell it: to a millionth, and without an exponent."""
    return f"{amount:,.6f}".rstrip("0").rstrip(".")


def _columns(state: BudgetState) -> tuple[str, ...]:
    budget = state.budget
    unit = state.currency or budget.unit.value
    of = (budget.function, budget.caller, budget.account)
    return (
        f"{budget.project}/{budget.name}",
        " ".join(each for each in of if each) or "all",
        _number(state.used),
        f"{_number(budget.amount)} {unit} per {budget.per.value}",
        f"{state.percent:.1f}",
        "hard" if budget.hard else "soft",
        str(state.refused),
        moment(state.resets_at) if state.resets_at else "",
        moment(state.lifted_until) if state.lifted_until else "",
    )


def _quota_columns(state: QuotaState) -> tuple[str, ...]:
    quota = state.quota
    return (
        f"{quota.project}/{quota.name}",
        quota.function or "all",
        str(quota.calls),
        str(quota.seconds),
        quota.each.value,
        str(state.told_apart),
        str(state.refused),
    )


@answered(
    app,
    SetBudget,
    read={"amount": _amount},
    examples="""\
$ casemate budget set shop month 50 --hard
$ casemate budget set shop checkout 10000 --unit requests --per day --function checkout
$ casemate budget set shop ci 3600 --unit cpu-seconds --account user:ada
$ casemate budget set shop out 1e9 --unit egress-out --per day --hard
""",
)
def set(found: BudgetState, call: Call) -> None:
    """Set a budget, replacing one of the same name.

    At 50, 80 and 100 percent its owner is told (casemate findings, casemate alert). With a hard
    budget, calls that would exceed it are refused with 429, and stored events wait. A hard budget
    in bytes (egress-in, egress-out) also ends connections to outside hosts.
    """
    _print(found)
    _tell_of_used_up(found)
    _tell_of_nothing(call, found.budget.project, found.budget.function)


@command(
    app,
    examples="""\
$ casemate budget lift shop month --for 2h --reason 'the sale goes on until noon'
$ casemate budget lift shop month --for 0s --reason 'the sale is over'
""",
)
def lift(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="The project.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the budget.")],
    for_: ForOption,
    reason: ReasonOption,
    json: JsonOption = False,
) -> None:
    """Let a hard budget refuse nothing for a while; `--for 0s` ends that.

    Who did it and why is recorded first.
    """
    wanted = LiftBudget(project=project, name=name, seconds=lasting(for_), reason=reason)
    with connect() as client:
        found = client.call(wanted)
    if json:
        print_json(found)
    else:
        _print(found)


@command(
    app,
    examples="""\
$ casemate budget let-run shop checkout --for 2h --reason 'the sale goes on until noon'
$ casemate budget let-run shop checkout --for 0s --reason 'the sale is over'
""",
)
def let_run(
    project: Annotated[str, typer.Argument(metavar="PROJECT", help="The project.")],
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="The function.")],
    for_: ForOption,
    reason: ReasonOption,
    json: JsonOption = False,
) -> None:
    """Do not slow a function that costs far more than usual; `--for 0s` ends that.

    Who did it and why is recorded first. Budgets still apply.
    """
    wanted = LetRun(project=project, function=function, seconds=lasting(for_), reason=reason)
    with connect() as client:
        found = client.call(wanted)
    if json:
        print_json(found)
    elif found.lifted_until:
        print_line(f"{project}/{function} is not slowed until {moment(found.lifted_until)}.")
    else:
        print_line(f"{project}/{function} is slowed again where it costs far more than usual.")


@answered(
    app,
    RemoveBudget,
    examples="$ casemate budget rm shop month --yes",
    confirm="Remove the budget or quota {it.project}/{it.name}?",
    removed="{it.project}/{it.name}",
)
def rm(call: Call) -> None:
    """Remove a budget or a quota."""
    print_line(f"{call.operation.project}/{call.operation.name} is removed.")


@answered(
    app,
    SetQuota,
    examples="""\
$ casemate budget quota shop visitors 60 --each address
$ casemate budget quota shop search 1000 --seconds 1 --each function --function search
""",
)
def quota(found: QuotaState, call: Call) -> None:
    """Set a quota: calls within some seconds, for each caller, each address, or the function.

    Answers say in RateLimit-Policy and RateLimit what is left.
    """
    quota = found.quota
    print_line(f"{quota.project}/{quota.name}: {allowed_by(found)}.")
    _tell_of_nothing(call, quota.project, quota.function)


def _tell_of_used_up(state: BudgetState) -> None:
    """Say so if more was used before than it allows: a finding follows at once."""
    if state.percent < 100:
        return
    effect = "calls are refused" if state.budget.hard else "nothing is refused, and it is found"
    note(f"As much was used before it was set: {effect}. A higher amount leaves room.", YELLOW)


def _tell_of_nothing(call: Call, project: str, function: str | None) -> None:
    """Say so if it bounds what is not there: a name may be mistyped, or deployed later."""
    try:
        there = call.client.call(ListFunctions()).functions
    except CasemateError:
        return  # it is set all the same
    if not any(each.project == project and function in (None, each.name) for each in there):
        what = f"function {project}/{function}" if function else f"project {project}"
        note(f"There is no {what} on the node that you may see: it bounds nothing yet.", YELLOW)


def used_of(state: BudgetState) -> str:
    """Return how much of a budget is used: `21.04 of 50 EUR per month used (42.1 %), hard`."""
    budget = state.budget
    unit = state.currency or budget.unit.value
    kind = "hard" if budget.hard else "soft"
    return (
        f"{_number(state.used)} of {_number(budget.amount)} {unit} per {budget.per.value} used "
        f"({state.percent:.1f} %), {kind}"
    )


def allowed_by(state: QuotaState) -> str:
    """Return what a quota allows: `60 calls in 60 s for each address`."""
    quota = state.quota
    return f"{quota.calls} calls in {quota.seconds} s for each {quota.each.value}"


def _print(state: BudgetState) -> None:
    print_line(f"{state.budget.project}/{state.budget.name}: {used_of(state)}.")
    if state.lifted_until:
        print_line(f"Lifted until {moment(state.lifted_until)} by {state.lifted_by}.")
