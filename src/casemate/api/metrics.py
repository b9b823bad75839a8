"""The operation on how functions do, in numbers."""

from __future__ import annotations

from http import HTTPStatus

from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.model.metrics import Metrics
from casemate.operations import metrics
from casemate.operations.metrics import ShowMetrics

performs = Performers()


@performs(ShowMetrics)
async def _metrics(wanted: ShowMetrics, call: Call) -> Metrics:
    if wanted.function is not None and wanted.project is None:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The query has `function` but no `project`, expected both."
        )
    return await call.service.metrics(wanted.project, wanted.function, wanted.node)


OPERATIONS = all_served(metrics, performs)
