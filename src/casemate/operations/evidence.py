"""Operations on evidence: what is on record of an incident, in an archive under hold."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.principal import Action
from casemate.operations.declaration import TAR, Declaration, Operation
from casemate.operations.fields import Id, Reason, number

_EvidenceId = Annotated[Id, msgspec.Meta(description="Id of an archive of evidence.")]


class EvidenceView(msgspec.Struct, frozen=True, kw_only=True):
    """An archive of evidence."""

    id: str
    incident: str
    sha256: str
    """Of the archive, as the journal has it."""
    size: int
    files: int
    at: float
    by: str
    left_out: tuple[str, ...]
    """What there was no room or no right for, or could not be read."""
    node: str = ""
    """Which of the nodes that share their state keeps it; empty: there is one."""


class EvidenceList(msgspec.Struct, frozen=True, kw_only=True):
    """Archives, newest first."""

    evidence: tuple[EvidenceView, ...]


_VIEW = EvidenceView(
    id="evi_9f2c51aa03b1e7d4",
    incident="inc_9f2c51aa03b1e7d4",
    sha256="9f2c51aa03b1e7d49f2c51aa03b1e7d49f2c51aa03b1e7d49f2c51aa03b1e7d4",
    size=183296,
    files=12,
    at=1764201700.0,
    by="user:ada",
    left_out=(),
)


class GatherEvidence(Operation[EvidenceView], frozen=True, kw_only=True):
    """Put everything on record about an incident into one archive, and its hash into the journal.

    The archive contains the records, logs, errors, denials, recordings, grants, SBOM and state of
    the functions concerned, journal entries, findings, and what playbooks did. Retention does not
    delete it until its hold is ended. Needs the right to read each of these on the node.
    """

    declared = Declaration(
        http="POST /incidents/{id}/evidence",
        tag="incidents",
        action=Action.RECORDINGS_READ,
        problems=(404, 409, 429),
        status=HTTPStatus.CREATED,
        answer=_VIEW,
    )
    id: Id


class ListEvidence(Operation[EvidenceList], frozen=True, kw_only=True):
    """List archives of evidence of an incident, newest first."""

    declared = Declaration(
        http="GET /incidents/{id}/evidence",
        tag="incidents",
        action=Action.INCIDENTS_READ,
        answer=EvidenceList(evidence=(_VIEW,)),
    )
    id: Id


class FetchEvidence(Operation[bytes], frozen=True, kw_only=True):
    """Return an archive of evidence. The download is recorded.

    Needs the same rights as making the archive.
    """

    declared = Declaration(
        http="GET /evidence/{id}",
        tag="incidents",
        action=Action.RECORDINGS_READ,
        answer_type=TAR,
        recorded=True,
        problems=(404, 429, 503),
    )
    id: _EvidenceId


class ReleaseEvidence(Operation[None], frozen=True, kw_only=True):
    """End the hold of an archive, and delete the archive."""

    declared = Declaration(
        http="POST /evidence/{id}/release",
        tag="incidents",
        action=Action.RECORDINGS_WRITE,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 413, 415),
        example={"reason": "the case is closed"},
    )
    id: _EvidenceId
    reason: Reason


class HoldView(msgspec.Struct, frozen=True, kw_only=True):
    """What of an incident is under legal hold."""

    incident: str
    functions: tuple[str, ...]
    since: float
    until: float
    """Of what was on record then: when that was."""
    expires_at: float
    """When it ends unless it is renewed."""
    reason: str
    by: str
    records: int
    """Invocations, errors, lines of logs and denials."""
    bytes: int
    recordings: int


class Holds(msgspec.Struct, frozen=True, kw_only=True):
    """Holds, the one that ends first on top."""

    holds: tuple[HoldView, ...]


_HOLD = HoldView(
    incident=_VIEW.incident,
    functions=("shop/report",),
    since=1764198000.0,
    until=1764201700.0,
    expires_at=1766793700.0,
    reason="case 17",
    by="user:ada",
    records=412,
    bytes=183296,
    recordings=3,
)


class HoldIncident(Operation[HoldView], frozen=True, kw_only=True):
    """Protect what is on record about an incident's functions from retention, for some days.

    This covers the invocations, errors, log lines, denials and recordings that are stored now, from
    an hour before the incident on, but nothing that comes later. Asking again renews the hold. It
    ends by itself.
    """

    declared = Declaration(
        http="POST /incidents/{id}/hold",
        tag="incidents",
        action=Action.INCIDENTS_WRITE,
        problems=(404, 409, 413, 415, 422),
        example={"days": 30, "reason": "case 17"},
        answer=_HOLD,
    )
    id: Id
    days: Annotated[int, number("For how many days, from now on.", least=1, most=90)] = 30
    reason: Reason


class ReleaseHold(Operation[None], frozen=True, kw_only=True):
    """End a legal hold: retention applies again to what it protected."""

    declared = Declaration(
        http="POST /incidents/{id}/hold/release",
        tag="incidents",
        action=Action.RECORDINGS_WRITE,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 413, 415),
        example={"reason": "the case is closed"},
    )
    id: Id
    reason: Reason


class ListHolds(Operation[Holds], frozen=True, kw_only=True):
    """List legal holds, the one that ends first on top."""

    declared = Declaration(
        http="GET /holds",
        tag="incidents",
        action=Action.INCIDENTS_READ,
        answer=Holds(holds=(_HOLD,)),
    )
