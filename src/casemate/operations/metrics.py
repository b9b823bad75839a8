"""Operations on how functions do, in numbers."""

from __future__ import annotations

from casemate.model.metrics import Metrics
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation, on_chosen
from casemate.operations.fields import OnlyFunction, OnlyProject
from casemate.operations.nodes import OnlyNode


class ShowMetrics(Operation[Metrics], frozen=True, kw_only=True):
    """Show figures of functions: calls, errors, durations, instances, and their own metrics.

    Nodes that share their state are counted together. The figures of one node, with those of the
    node itself, are at `GET /metrics` for Prometheus.
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
