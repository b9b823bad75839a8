"""Who published a file, by the attestations (PEP 740) that its index has.

The index says who the Trusted Publisher was; signatures are not verified here. So a publisher is
as true as the index, and pinning one protects from a stolen password or token of a project, not
from the index itself.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from casemate.decoding import decodable
from casemate.package_index.errors import IndexAnswerError

_MAX_BUNDLES = 20
_MAX_TEXT = 200


class _Publisher(msgspec.Struct, frozen=True):
    kind: str
    repository: str = ""
    workflow: str = ""
    workflow_filepath: str = ""
    email: str = ""


class _Envelope(msgspec.Struct, frozen=True):
    statement: str


class _Attestation(msgspec.Struct, frozen=True):
    envelope: _Envelope


class _Bundle(msgspec.Struct, frozen=True):
    publisher: _Publisher
    attestations: list[_Attestation]


class _Provenance(msgspec.Struct, frozen=True):
    attestation_bundles: list[_Bundle]


class _Subject(msgspec.Struct, frozen=True):
    name: str
    digest: dict[str, str]


class _Statement(msgspec.Struct, frozen=True):
    subject: list[_Subject]


def publisher_of(data: bytes, filename: str, sha256: str) -> str | None:
    """Return who published a file, such as `GitHub:owner/repository:publish.yml`.

    None where the document names nobody. Raises IndexAnswerError for one that is of another file.
    """
    try:
        document = msgspec.json.decode(data, type=decodable(_Provenance))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise IndexAnswerError(
            f"The attestations of {filename} cannot be read: {str(error)[:200]}."
        ) from error
    if len(document.attestation_bundles) > _MAX_BUNDLES:
        raise IndexAnswerError(f"{filename} has more than {_MAX_BUNDLES} attestation bundles.")
    found = set()
    for bundle in document.attestation_bundles:
        for attestation in bundle.attestations:
            _check_subject(attestation.envelope.statement, filename, sha256)
        if bundle.attestations:
            found.add(_shown(bundle.publisher))
    return ",".join(sorted(found)) or None


def _check_subject(statement: str, filename: str, sha256: str) -> None:
    try:
        decoded = msgspec.json.decode(
            base64.b64decode(statement, validate=True), type=decodable(_Statement)
        )
    except (msgspec.MsgspecError, binascii.Error, ValueError, RecursionError) as error:
        raise IndexAnswerError(f"An attestation of {filename} has no valid statement.") from error
    subjects = [(each.name, each.digest.get("sha256", "").lower()) for each in decoded.subject]
    if subjects != [(filename, sha256)]:
        raise IndexAnswerError(
            f"An attestation that the index gives for {filename} is of another file.",
            next_step="Do not use that release; tell whoever runs the index.",
        )


def _shown(publisher: _Publisher) -> str:
    """Return a publisher as one word: what a lock and an exception hold."""
    place = publisher.repository or publisher.email
    parts = (publisher.kind, place, publisher.workflow or publisher.workflow_filepath)
    text = ":".join(part for part in parts if part)
    return "".join(c if c.isprintable() and c not in " ," else "?" for c in text)[:_MAX_TEXT]
