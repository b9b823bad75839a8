"""Operations on budgets, quotas and prices: what may be used at the most, and what it costs."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.budget import (
    MAX_LIFT,
    Budget,
    BudgetPer,
    BudgetState,
    BudgetUnit,
    Quota,
    QuotaEach,
    QuotaState,
    Unusual,
)
from casemate.model.principal import Action
from casemate.operations.declaration import (
    Declaration,
    Operation,
    on_project,
    on_project_or_node,
)
from casemate.operations.fields import Name, OnlyProject, Reason, number, text, whole
from casemate.operations.given import DURATION, Given

MAX_PRICES = 64 * 1024
_PATH = "/budgets/{project}/{name}"
_LiftedFor = Annotated[
    int,
    number("For how many seconds; 0 ends it.", least=0, most=MAX_LIFT),
    Given(flags="--for", metavar=DURATION),
]
_WHO = whole(r"^[a-z]{4,9}:[A-Za-z0-9][A-Za-z0-9_./@-]{0,254}$")
_ACCOUNT = whole(r"^(?:node|[a-z]{4,9}:[A-Za-z0-9][A-Za-z0-9_./@-]{0,254})$")
_BUDGET = BudgetState(
    budget=Budget(
        project="shop",
        name="month",
        amount=50.0,
        unit=BudgetUnit.MONEY,
        per=BudgetPer.MONTH,
        hard=True,
    ),
    used=21.04,
    reserved=0.0002,
    percent=42.08,
    currency="EUR",
    resets_at=1798761600.0,
)
_QUOTA = QuotaState(
    quota=Quota(project="shop", name="visitors", calls=60, seconds=60, each=QuotaEach.ADDRESS),
    told_apart=17,
    refused=3,
)
_UNUSUAL = Unusual(
    project="shop",
    function="checkout",
    lifted_until=1796131200.0,
    lifted_by="user:ada",
    lifted_for="the sale goes on until noon",
)
_Function = Annotated[
    Name, msgspec.Meta(description="Only what this function of the project uses.")
]
_Who = Annotated[
    str,
    msgspec.Meta(pattern=_WHO, max_length=264, examples=["token:9f2c51aa03b1e7d4"]),
]


class BudgetsFound(msgspec.Struct, frozen=True, kw_only=True):
    """Budgets and quotas, by project and name."""

    budgets: tuple[BudgetState, ...]
    quotas: tuple[QuotaState, ...]
    unusual: tuple[Unusual, ...] = ()
    """Functions that are slowed for what they cost, and those that are not for a while."""


class PricesFound(msgspec.Struct, frozen=True, kw_only=True):
    """The price list of a node."""

    name: str
    version: str
    currency: str
    text: str
    """As its file is, in TOML."""


class SetBudget(Operation[BudgetState], frozen=True, kw_only=True):
    """Set a budget of a project: how much may be used, in which time, and what happens then.

    The node reports when 50, 80 and 100 percent are used. A hard budget also refuses calls that
    would exceed it (429), and stored events wait. A hard budget in bytes also ends connections to
    outside hosts.
    """

    declared = Declaration(
        http=f"PUT {_PATH}",
        tag="records",
        action=Action.BUDGET_WRITE,
        on=on_project,
        problems=(409, 422),
        example={"amount": 50.0, "unit": "money", "per": "month", "hard": True},
        answer=_BUDGET,
    )
    project: Name
    name: Annotated[Name, msgspec.Meta(description="Name of the budget.")]
    amount: Annotated[
        float,
        msgspec.Meta(ge=0.000001, le=1e15, description="How much may be used."),
        Given(metavar="N"),
    ]
    unit: Annotated[
        BudgetUnit,
        msgspec.Meta(
            description="`money`, `requests`, `cpu-seconds`, `gb-seconds`, `egress-in` or "
            "`egress-out` (bytes), or `byte-hours` of what the project keeps."
        ),
        Given(metavar="UNIT"),
    ] = BudgetUnit.MONEY
    per: Annotated[
        BudgetPer,
        msgspec.Meta(description="`hour` (the last sixty minutes), `day` or `month`."),
        Given(metavar="TIME-SPAN"),
    ] = BudgetPer.MONTH
    hard: Annotated[bool, msgspec.Meta(description="Refuse calls that would exceed it.")] = False
    function: _Function | None = None
    caller: Annotated[_Who, msgspec.Meta(description="Only what this caller has used.")] | None = (
        None
    )
    account: (
        Annotated[
            str,
            msgspec.Meta(
                pattern=_ACCOUNT,
                max_length=264,
                examples=["user:ada"],
                description="Only what callers of this account have used: `user:ada`; `node` for "
                "the node itself, such as its first token.",
            ),
        ]
        | None
    ) = None


class LiftBudget(Operation[BudgetState], frozen=True, kw_only=True):
    """Let calls exceed a hard budget for a while. This is recorded before it takes effect."""

    declared = Declaration(
        http=f"POST {_PATH}/lift",
        tag="records",
        action=Action.BUDGET_WRITE,
        on=on_project,
        problems=(404, 409),
        example={"seconds": 3600, "reason": "the sale goes on until noon"},
        answer=_BUDGET,
    )
    project: Name
    name: Annotated[Name, msgspec.Meta(description="Name of the budget.")]
    seconds: _LiftedFor
    reason: Reason


class LetRun(Operation[Unusual], frozen=True, kw_only=True):
    """Do not slow a function down for a while, although it costs far more than usual.

    This is recorded before it takes effect. Budgets still apply.
    """

    declared = Declaration(
        http="POST /unusual/{project}/{function}/lift",
        tag="records",
        action=Action.BUDGET_WRITE,
        on=on_project,
        problems=(404, 409),
        example={"seconds": 3600, "reason": "the sale goes on until noon"},
        answer=_UNUSUAL,
    )
    project: Name
    function: Annotated[Name, msgspec.Meta(description="The function.")]
    seconds: _LiftedFor
    reason: Reason


class RemoveBudget(Operation[None], frozen=True, kw_only=True):
    """Remove a budget or a quota."""

    declared = Declaration(
        http=f"DELETE {_PATH}",
        tag="records",
        action=Action.BUDGET_WRITE,
        on=on_project,
        problems=(404,),
        status=HTTPStatus.NO_CONTENT,
    )
    project: Name
    name: Annotated[Name, msgspec.Meta(description="Name of the budget or quota.")]


class ListBudgets(Operation[BudgetsFound], frozen=True, kw_only=True):
    """List budgets and quotas, and how much of each is used."""

    declared = Declaration(
        http="GET /budgets",
        tag="records",
        action=Action.INVOCATION_READ,
        on=on_project_or_node,
        answer=BudgetsFound(budgets=(_BUDGET,), quotas=(_QUOTA,), unusual=(_UNUSUAL,)),
    )
    project: OnlyProject | None = None


class SetQuota(Operation[QuotaState], frozen=True, kw_only=True):
    """Set a quota of a project: how many calls may come in how many seconds, and from whom.

    Answers state what is left in the fields `RateLimit-Policy` and `RateLimit`.
    """

    declared = Declaration(
        http="PUT /quotas/{project}/{name}",
        tag="records",
        action=Action.BUDGET_WRITE,
        on=on_project,
        problems=(409,),
        example={"calls": 60, "seconds": 60, "each": "address"},
        answer=_QUOTA,
    )
    project: Name
    name: Annotated[Name, msgspec.Meta(description="Name of the quota.")]
    calls: Annotated[int, number("How many calls.", least=1, most=1_000_000)]
    seconds: Annotated[int, number("Within how many seconds.", least=1, most=86_400)] = 60
    each: Annotated[
        QuotaEach,
        msgspec.Meta(
            description="For whom it counts: each `caller`, each `address`, or the `function`."
        ),
        Given(metavar="WHOM"),
    ] = QuotaEach.CALLER
    function: (
        Annotated[Name, msgspec.Meta(description="Only calls of this function of the project.")]
        | None
    ) = None


class ShowPrices(Operation[PricesFound], frozen=True, kw_only=True):
    """Show the price list of the node."""

    declared = Declaration(
        http="GET /prices",
        tag="records",
        action=Action.NODE_READ,
        answer=PricesFound(name="example", version="1", currency="EUR", text="..."),
    )


class SetPrices(Operation[PricesFound], frozen=True, kw_only=True):
    """Replace the node's price list. From now on budgets in money use it."""

    declared = Declaration(
        http="PUT /prices",
        tag="records",
        action=Action.BUDGET_WRITE,
        example={"text": 'name = "ours"\n'},
        answer=PricesFound(name="ours", version="1", currency="EUR", text="..."),
    )
    text: Annotated[str, text("The list, in TOML.", least=1, most=MAX_PRICES)]
