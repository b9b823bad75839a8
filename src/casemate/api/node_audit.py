"""The audit of the node itself."""

from __future__ import annotations

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.operations import node_audit
from casemate.operations.node_audit import (
    AuditNode,
    ListNodeScores,
    NodeAuditHistory,
    NodeAuditReport,
)

performs = Performers()


@performs(AuditNode)
async def _audit(wanted: AuditNode, call: Call) -> NodeAuditReport:
    return await call.service.audit.report(wanted.project)


@performs(ListNodeScores)
async def _history(wanted: ListNodeScores, call: Call) -> NodeAuditHistory:
    return NodeAuditHistory(points=await call.service.audit.history(wanted.limit))


OPERATIONS = all_served(node_audit, performs)
