"""What a signed statement is about (in-toto, version 1), as far as that is asked for."""

from __future__ import annotations

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.sigstore.errors import AttestationError

STATEMENT = "https://in-toto.io/Statement/v1"


class Subject(msgspec.Struct, frozen=True):
    """What a statement is about. Digests are by algorithm, in hex."""

    name: str
    digest: dict[str, str]


class Statement(msgspec.Struct, frozen=True):
    """A statement, without what it says."""

    kind: str = msgspec.field(name="_type")
    subject: list[Subject]
    predicate_type: str = msgspec.field(name="predicateType", default="")


def read_statement(payload: bytes) -> Statement:
    """Return what a statement is about. Raises AttestationError."""
    try:
        return msgspec.json.decode(payload, type=decodable(Statement))
    except (ValueError, *DECODING_ERRORS) as error:
        raise AttestationError("It is no in-toto statement.") from error
