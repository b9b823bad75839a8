"""Operations on recordings: what went into invocations that failed, and came out of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.invocation import Outcome
from casemate.model.principal import Action
from casemate.model.recording import Content, Frame, Recording, RecordingSummary
from casemate.operations.declaration import (
    Declaration,
    Effect,
    Operation,
    on_chosen,
    on_project,
)
from casemate.operations.fields import Id, Name, OnlyFunction, OnlyProject

_PATH = "/recordings/{project}/{id}"
_SUMMARY = RecordingSummary(
    id="inv_01a21a5c499d6d1728d66ddc",
    project="shop",
    function="checkout",
    version=8,
    trigger="invoke",
    outcome=Outcome.HANDLER_ERROR,
    error_id="err_2f1f25ef71e873e660435a53",
    at=1764201600.0,
    expires_at=1764806400.0,
    size=2048,
)
_Invocation = Annotated[Id, msgspec.Meta(description="That of the invocation.")]


class RecordingList(msgspec.Struct, frozen=True, kw_only=True):
    """Which invocations were recorded, newest first."""

    recordings: tuple[RecordingSummary, ...]


class ListRecordings(Operation[RecordingList], frozen=True, kw_only=True):
    """List which invocations were recorded, without their content; at most 1000."""

    declared = Declaration(
        http="GET /recordings",
        tag="records",
        action=Action.RECORDINGS_READ,
        on=on_chosen,
        answer=RecordingList(recordings=(_SUMMARY,)),
    )
    project: OnlyProject | None = None
    function: OnlyFunction | None = None


class ShowRecording(Operation[Recording], frozen=True, kw_only=True):
    """Show event and answer of a recorded invocation. That somebody looked is recorded first.

    Bytes are in base64. Values of secrets are removed.
    """

    declared = Declaration(
        http=f"GET {_PATH}",
        tag="records",
        recorded=True,
        action=Action.RECORDINGS_READ,
        on=on_project,
        problems=(404,),
        answer=Recording(
            summary=_SUMMARY,
            content=Content(
                event=b'{"order":1042}',
                frames=(
                    Frame(True, b'{"n":1,"op":"table.get","table":"orders","key":"1042"}'),
                    Frame(False, b'{"n":1,"ok":{}}', b'{"value":{}}'),
                ),
                reply=b"",
            ),
        ),
    )
    project: Name
    id: _Invocation


class RemoveRecording(Operation[None], frozen=True, kw_only=True):
    """Delete a recording."""

    declared = Declaration(
        http=f"DELETE {_PATH}",
        tag="records",
        effect=Effect.DESTROY,
        action=Action.RECORDINGS_WRITE,
        on=on_project,
        status=HTTPStatus.NO_CONTENT,
        problems=(404,),
    )
    project: Name
    id: _Invocation
