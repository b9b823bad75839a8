"""Operations on recordings."""

from __future__ import annotations

from http import HTTPStatus

from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.evidence.keeping import ASK_ANOTHER
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.recording import Recording
from casemate.operations import recordings
from casemate.operations.recordings import (
    ListRecordings,
    RecordingList,
    RemoveRecording,
    ShowRecording,
)
from casemate.operations.records import ShowInvocation

performs = Performers()


@performs(ListRecordings)
async def _list(wanted: ListRecordings, call: Call) -> RecordingList:
    if wanted.function is not None and wanted.project is None:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The query has `function` but no `project`; expected both."
        )
    found = await call.service.recordings.list(wanted.project, wanted.function)
    return RecordingList(recordings=found)


@performs(ShowRecording)
async def _show(wanted: ShowRecording, call: Call) -> Recording:
    try:
        return await call.service.recordings.show(wanted.project, wanted.id)
    except NotFoundError as error:
        raise await _elsewhere(error, wanted, call) from None


@performs(RemoveRecording)
async def _remove(wanted: RemoveRecording, call: Call) -> None:
    try:
        await call.service.recordings.remove(wanted.project, wanted.id)
    except NotFoundError as error:
        raise await _elsewhere(error, wanted, call) from None


async def _elsewhere(
    error: NotFoundError, wanted: ShowRecording | RemoveRecording, call: Call
) -> NotFoundError:
    """Return which node has served an invocation, and has its recording if there is one."""
    if not call.service.nodes.name:
        return error
    try:
        record = await call.service.control.recorded(ShowInvocation(id=wanted.id))
        if record.project != wanted.project or record.node in ("", call.service.nodes.name):
            return error
    except CasemateError:
        return error
    return NotFoundError(
        f"There is no recording of {wanted.id} here: the node {record.node} has served it, and "
        "recordings stay where they were made.",
        next_step=f"Ask that node, whose address casemate nodes ls shows: {ASK_ANOTHER}=ADDRESS "
        f"casemate recordings show {wanted.project} {wanted.id}",
    )


OPERATIONS = all_served(recordings, performs)
