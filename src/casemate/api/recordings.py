"""Operations on recordings."""

from __future__ import annotations

from http import HTTPStatus

from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.model.recording import Recording
from casemate.operations import recordings
from casemate.operations.recordings import (
    ListRecordings,
    RecordingList,
    RemoveRecording,
    ShowRecording,
)

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
    return await call.service.recordings.show(wanted.project, wanted.id)


@performs(RemoveRecording)
async def _remove(wanted: RemoveRecording, call: Call) -> None:
    await call.service.recordings.remove(wanted.project, wanted.id)


OPERATIONS = all_served(recordings, performs)
