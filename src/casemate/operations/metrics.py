"""Operations on how functions do, in numbers."""

from __future__ import annotations

from casemate.model.metrics import Metrics
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation, on_chosen
from casemate.operations.fields import OnlyFunction, OnlyProject
from casemate.operations.nodes import OnlyNode


class ShowMetrics(Operation[Metrics], frozen=True, kw_only=True):
    """Show how functions do: calls, errors, durations, instances, and what they measure themselves.

    Of nodes that share their state it is what all of them have counted together. The same numbers
    of one node, and those of the node itself, are at `GET /metrics` for Prometheus.
    """

    declared = Declaration(
        http="GET /metrics",
        tag="records",
        action=Action.INVOCATION_READ,
        on=on_chosen,
        problems=(404,),
    )
    project: OnlyProject | None = None
    function: OnlyFunction | None = None
    node: OnlyNode | None = None
