"""Operations on baselines: what is usual of a function."""

from __future__ import annotations

from casemate.model.baseline import Aspect, Baseline, BaselineState, Usual
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation, on_function
from casemate.operations.fields import Name

_PATH = "/functions/{project}/{function}/baseline"
_SHOWN = Baseline(
    project="shop",
    function="checkout",
    state=BaselineState.LOCKED,
    since=1764201600.0,
    calls=1000,
    withheld=2,
    locked_at=1764288000.0,
    locked_by="node",
    version=8,
    differences=("+ table orders put",),
    usual=(
        Usual(aspect=Aspect.CALLER, values=("token:9f2c51aa03b1e7d4",)),
        Usual(aspect=Aspect.GRANT, values=("table orders get",)),
        Usual(aspect=Aspect.DURATION, low=4, high=63),
    ),
)


class ShowBaseline(Operation[Baseline], frozen=True, kw_only=True):
    """Show what is usual for a function, and whether it is still being learned."""

    declared = Declaration(
        http=f"GET {_PATH}",
        tag="functions",
        action=Action.FUNCTION_READ,
        on=on_function,
        problems=(404,),
        answer=_SHOWN,
    )
    project: Name
    function: Name


class LockBaseline(Operation[Baseline], frozen=True, kw_only=True):
    """Stop learning: whatever a function has not done until now is unusual."""

    declared = Declaration(
        http=f"POST {_PATH}/lock",
        tag="functions",
        action=Action.GRANT_APPROVE,
        on=on_function,
        problems=(404,),
        answer=_SHOWN,
    )
    project: Name
    function: Name


class ResetBaseline(Operation[Baseline], frozen=True, kw_only=True):
    """Learn from the beginning what is usual for a function."""

    declared = Declaration(
        http=f"POST {_PATH}/reset",
        tag="functions",
        action=Action.GRANT_APPROVE,
        on=on_function,
        problems=(404,),
        answer=_SHOWN,
    )
    project: Name
    function: Name
