"""Operations on the node itself: health, status."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

import casemate
from casemate.api.performing import Call, Performers
from casemate.api.service import json_response
from casemate.model import node
from casemate.operations.node import Health, NodeHealth, NodeStatus, Readiness, Ready, Wellbeing

performs = Performers()
"""All but the description, which is of all the parts of the API."""


@performs(Health)
async def _health(_operation: Health, call: Call) -> Wellbeing:
    status = "ok" if call.service.health().ok else "not ok"
    return Wellbeing(status=status, version=casemate.__version__)


@performs(Ready)
async def _ready(_operation: Ready, call: Call) -> Response:
    ready = call.service.health().ready
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return json_response(Readiness(ready=ready), status)


@performs(NodeHealth)
async def _parts(_operation: NodeHealth, call: Call) -> node.NodeHealth:
    return call.service.health()


@performs(NodeStatus)
async def _status(_operation: NodeStatus, call: Call) -> node.NodeStatus:
    return await call.service.control.node_status()
