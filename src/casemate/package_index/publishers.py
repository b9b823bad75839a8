"""Who published a file, by the attestations (PEP 740) that its index has.

Each is verified: a publisher is who signed, as the signer's certificate has it, and not as the
index says, which has to say the same.
"""

from __future__ import annotations

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.package_index.errors import IndexAnswerError, UnverifiedError
from casemate.package_index.listing import told_by_name
from casemate.sigstore import (
    STATEMENT,
    Attestation,
    AttestationError,
    TrustedRoot,
    of_attestation,
    read_statement,
    shown,
    verified,
)

_MAX_ATTESTATIONS = 20
_SAYS_WHO = frozenset(
    ("https://docs.pypi.org/attestations/publish/v1", "https://slsa.dev/provenance/v1")
)
"""Types of statements by which somebody published a file; others hold, and say nothing of that."""
_LIE = "Do not use that release; tell whoever runs the index."


class _Publisher(msgspec.Struct, frozen=True):
    kind: str
    repository: str = ""
    workflow: str = ""
    workflow_filepath: str = ""
    email: str = ""
    project_id: str = ""
    pipeline_definition_id: str = ""


class _Bundle(msgspec.Struct, frozen=True):
    publisher: _Publisher
    attestations: list[Attestation]


class _Provenance(msgspec.Struct, frozen=True):
    attestation_bundles: list[_Bundle]


def publisher_of(data: bytes, filename: str, sha256: str, root: TrustedRoot) -> str | None:
    """Return who published a file, such as `GitHub:owner/repository:publish.yml`.

    None where the document names nobody. Raises IndexAnswerError for one that cannot be read,
    UnverifiedError where one attestation in it is of another file or does not hold.
    """
    try:
        document = msgspec.json.decode(data, type=decodable(_Provenance))
    except DECODING_ERRORS as error:
        raise IndexAnswerError(
            f"The attestations of {filename} cannot be read: {str(error)[:200]}."
        ) from error
    bundles = document.attestation_bundles
    if max(len(bundles), sum(len(one.attestations) for one in bundles)) > _MAX_ATTESTATIONS:
        raise IndexAnswerError(f"{filename} has more than {_MAX_ATTESTATIONS} attestations.")
    found = set()
    for bundle in bundles:
        for attestation in bundle.attestations:
            if _verified(attestation, bundle.publisher, filename, sha256, root):
                found.add(shown(_named(bundle.publisher)))
    return ",".join(sorted(found)) or None


def _verified(
    attestation: Attestation, said: _Publisher, filename: str, sha256: str, root: TrustedRoot
) -> bool:
    """Tell whether an attestation, which holds, says who published a file.

    Raises IndexAnswerError, UnverifiedError.
    """
    # What is of another file is named as that, whether it holds or not.
    says_who = _check_subject(attestation.envelope.statement, filename, sha256)
    try:
        who = verified(of_attestation(attestation), root).identity
    except AttestationError as error:
        raise UnverifiedError(
            f"An attestation of {filename} is not believed. {error.message}", next_step=_LIE
        ) from error
    if who != _named(said):
        raise UnverifiedError(
            f"The index says that {filename} was published by {shown(_named(said))}; its "
            f"attestation was signed by {shown(who)}.",
            next_step=_LIE,
        )
    return says_who


def _check_subject(statement: bytes, filename: str, sha256: str) -> bool:
    """Tell whether a statement, which is of a file, is one of its publication."""
    try:
        decoded = read_statement(statement)
    except AttestationError as error:
        raise IndexAnswerError(f"An attestation of {filename} has no valid statement.") from error
    subjects = [(each.name, each.digest.get("sha256", "").lower()) for each in decoded.subject]
    if len(subjects) != 1 or not _is_of(subjects[0], filename, sha256):
        raise UnverifiedError(
            f"An attestation that the index gives for {filename} is of another file.",
            next_step=_LIE,
        )
    return decoded.kind == STATEMENT and decoded.predicate_type in _SAYS_WHO


def _is_of(subject: tuple[str, str], filename: str, sha256: str) -> bool:
    """Tell whether a subject is a file. Names may be spelled in ways that mean the same."""
    name, digest = subject
    same = name == filename or (
        told_by_name(name) is not None
        and told_by_name(name) == told_by_name(filename)
        and name.rpartition(".")[2] == filename.rpartition(".")[2]
    )
    return same and digest == sha256


def _named(publisher: _Publisher) -> tuple[str, ...]:
    """Return a publisher as certificates have one."""
    ways: dict[str, tuple[str, ...]] = {
        "GitHub": (publisher.repository, publisher.workflow),
        "GitLab": (publisher.repository, publisher.workflow_filepath),
        "Google": (publisher.email,),
        "CircleCI": (publisher.project_id, publisher.pipeline_definition_id),
    }
    return (publisher.kind, *ways.get(publisher.kind, ()))
