"""Operations on trials: a version gets a share of the calls for a time, and then all or none."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.deployment import LIVE, Alias, AliasTarget, Trial, TrialTerms
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation, on_function
from casemate.operations.fields import Moment, Name, number

_PATH = "/functions/{project}/{function}/trial"
_Tried = Annotated[int, number("The version that is tried.", least=1)]
_TRIED = Alias(
    project="shop",
    function="checkout",
    name=LIVE,
    targets=(AliasTarget(version=7, weight=90), AliasTarget(version=8, weight=10)),
    changed_at=1764201600.0,
    trial=Trial(version=8, back=7, until=1764201690.0),
)


class StartTrial(Operation[Alias], frozen=True, kw_only=True):
    """Send a share of the calls to a version for a time. Afterwards all go where they went before.

    `live` must point to one version, or to a trial of this one, which then continues with the new
    terms. The trial ends by itself on the node, also after a restart. The newer of both versions
    must have the routes and queues of the other.
    """

    declared = Declaration(
        http=f"POST {_PATH}",
        tag="functions",
        action=Action.FUNCTION_ALIAS,
        on=on_function,
        problems=(404, 409, 413, 415, 422),
        example={"version": 8, "terms": {"weight": 10, "seconds": 90}},
        answer=_TRIED,
    )
    project: Name
    function: Name
    version: _Tried
    terms: TrialTerms


class EndTrial(Operation[Alias], frozen=True, kw_only=True):
    """End a trial: all calls go to the version that was tried, or to the one before it.

    If `live` was pointed elsewhere, or the trial has already ended, the answer is 409 and nothing
    changes.
    """

    declared = Declaration(
        http=f"POST {_PATH}/end",
        tag="functions",
        action=Action.FUNCTION_ALIAS,
        on=on_function,
        problems=(404, 409, 413, 415, 422),
        example={"version": 8, "since": 1764201600.0, "promote": True},
        answer=msgspec.structs.replace(
            _TRIED, targets=(AliasTarget(version=8, weight=100),), trial=None
        ),
    )
    project: Name
    function: Name
    version: _Tried
    since: Annotated[Moment, msgspec.Meta(description="`changed_at` of the alias that began it.")]
    promote: Annotated[bool, msgspec.Meta(description="All calls go to the version from now on.")]
