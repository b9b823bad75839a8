"""Operations on evidence: what is on record of an incident, in an archive under hold."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.principal import Action
from casemate.operations.declaration import TAR, Declaration, Operation
from casemate.operations.fields import Id, text
from casemate.operations.given import Given

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


class EvidenceList(msgspec.Struct, frozen=True, kw_only=True):
    """Archives, the newest first."""

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
    """Put what is on record of an incident into one archive, whose hash stands in the journal.

    Records, logs, errors, denials, recordings, grants, the SBOM and the state of functions that it
    is about, entries of the journal, findings and what playbooks did. It is kept whatever retention
    deletes, until its hold is ended. Needs the right to read each of these on the node.
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
    """List archives of evidence of an incident, the newest first."""

    declared = Declaration(
        http="GET /incidents/{id}/evidence",
        tag="incidents",
        action=Action.INCIDENTS_READ,
        answer=EvidenceList(evidence=(_VIEW,)),
    )
    id: Id


class FetchEvidence(Operation[bytes], frozen=True, kw_only=True):
    """Return an archive of evidence, to be taken elsewhere; that it was is recorded.

    Needs the same rights as to gather it.
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
    """End the hold of an archive, which is deleted."""

    declared = Declaration(
        http="POST /evidence/{id}/release",
        tag="incidents",
        action=Action.RECORDINGS_WRITE,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 413, 415),
        example={"reason": "the case is closed"},
    )
    id: _EvidenceId
    reason: Annotated[
        str,
        text("Why, for who asks later.", least=1, most=256),
        Given(flags="--reason", metavar="TEXT"),
    ]
