"""`casemate show`: what a function is granted and what bounds it, within the terminal's width."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest
from test_cli_operate import SPEC

from casemate.cli import terminal
from casemate.model.budget import Budget, BudgetPer, BudgetUnit, Quota, QuotaEach
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from support.facts import ADA

GRANTS = (
    Grant(kind=GrantKind.BUCKET, name="uploads", actions=("read", "list"), prefixes=("in/",)),
    Grant(kind=GrantKind.TABLE, name="orders", actions=("get", "put", "query", "delete")),
    Grant(kind=GrantKind.EGRESS, name="api.example.com:443", actions=("connect",)),
)


def deployed(node, **spec: object) -> FunctionSpec:
    """Deploy shop/cart."""
    changed = msgspec.structs.replace(SPEC, **spec)
    node.control.bundles["a" * 64] = b""
    node.control.specs["a" * 64] = changed
    asyncio.run(node.control.deploy("shop", "cart", "a" * 64, approve=True, by=ADA))
    return changed


def bounded(node) -> None:
    """Set bounds: of the function, of its project, of another function and of another project."""
    kept = node.parts.service.budgets

    async def put() -> None:
        for project, name, function in (
            ("shop", "month", None),
            ("shop", "carts", "cart"),
            ("shop", "others", "ship"),
            ("bank", "month", None),
        ):
            per, unit = BudgetPer.MONTH, BudgetUnit.REQUESTS
            budget = Budget(
                project=project, name=name, amount=50.0, unit=unit, per=per, hard=True,
                function=function, caller="token:9f2c51aa03b1e7d4" if function else None,
            )  # fmt: skip
            await kept.set(budget, ADA)
            quota = Quota(
                project=project, name=f"{name}-calls", calls=60, seconds=60, each=QuotaEach.ADDRESS,
                function=function,
            )  # fmt: skip
            await kept.set_quota(quota, ADA)

    asyncio.run(put())


def test_grants_are_shown_and_where_all_is(cli, node) -> None:
    deployed(node, grants=GRANTS)
    shown = cli("show", "shop/cart").out
    assert "grants" in shown and "casemate grants show shop/cart" in shown
    assert 'bucket uploads: read, list below "in/"; table orders: get, put' in shown
    found = json.loads(cli("show", "shop/cart", "--json").out)
    assert [grant["name"] for grant in found["versions"][0]["spec"]["grants"]] == [
        "uploads",
        "orders",
        "api.example.com:443",
    ]


def test_of_many_grants_the_first_are_shown(cli, node) -> None:
    many = tuple(
        Grant(kind=GrantKind.QUEUE, name=f"queue-{n}", actions=("send",)) for n in range(40)
    )
    call = Grant(kind=GrantKind.FUNCTION, name="ship", actions=("invoke",))
    deployed(node, grants=(*many, call))
    shown = cli("show", "shop/cart").out
    assert "queue-7" in shown and "queue-8" not in shown
    assert "32 more of kind queue; function ship: invoke" in shown, "no kind is left out"


def test_nothing_granted_and_nothing_that_bounds_it(cli, node) -> None:
    deployed(node)
    lines = cli("show", "shop/cart").out.splitlines()
    assert "  grants     none" in lines
    assert not [line for line in lines if line.strip().startswith(("budget", "quota"))]


def test_what_bounds_it_is_shown_to_who_may_see_that(cli, node, monkeypatch) -> None:
    deployed(node)
    bounded(node)
    lines = cli("show", "shop/cart").out.splitlines()
    assert [line.strip() for line in lines if line.strip().startswith(("budget", "quota"))] == [
        "budget     carts by token:9f2c51aa03b1e7d4: 0 of 50 requests per month used (0.0 %), hard",
        "budget     month of all of shop: 0 of 50 requests per month used (0.0 %), hard",
        "quota      carts-calls: 60 calls in 60 s for each address",
        "quota      month-calls of all of shop: 60 calls in 60 s for each address",
    ]
    found = json.loads(cli("show", "shop/cart", "--json").out)
    assert [each["budget"]["name"] for each in found["budgets"]] == ["carts", "month"]
    assert [each["quota"]["name"] for each in found["quotas"]] == ["carts-calls", "month-calls"]
    own = node.parts.accounts.add("cm_k_" + "b" * 43, "developer@shop/cart")
    monkeypatch.setenv("CASEMATE_KEY", own)
    found = json.loads(cli("show", "shop/cart", "--json").out)
    assert (found["budgets"], found["quotas"]) == ([], [])


@pytest.mark.parametrize("columns", ["80", "60"])
def test_it_fits_a_terminal_and_names_stay_whole(cli, node, monkeypatch, columns: str) -> None:
    long = "n" * 60
    deployed(
        node,
        grants=(*GRANTS, Grant(kind=GrantKind.TABLE, name=long, actions=("get", "put"))),
    )
    bounded(node)
    monkeypatch.setattr(terminal.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    lines = cli("show", "shop/cart").out.splitlines()
    for name in (long, "token:9f2c51aa03b1e7d4:", "api.example.com:443:", "a" * 64):
        assert any(name in line for line in lines), name
    assert all(len(line) <= int(columns) or "a" * 64 in line or long in line for line in lines)
