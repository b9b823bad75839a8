"""What the two envelopes of a bundle say together, checked step by step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from casemate.decoding import decodable
from casemate.model.signing import Envelope
from casemate.signing.dsse import SignatureError, opened
from casemate.signing.statements import (
    BUILD_TYPE,
    MIGRATED_TYPE,
    PROVENANCE,
    SBOM,
    SBOM_NAME,
    decoded_statement,
    written,
)


class _Metadata(msgspec.Struct, kw_only=True):
    invocationId: str  # noqa: N815
    finishedOn: str | None = None  # noqa: N815


class _Byproduct(msgspec.Struct, kw_only=True):
    name: str
    digest: dict[str, str]


class _Builder(msgspec.Struct, kw_only=True):
    id: str


class _Run(msgspec.Struct, kw_only=True):
    builder: _Builder
    metadata: _Metadata
    byproducts: list[_Byproduct] = []


class _Definition(msgspec.Struct, kw_only=True):
    buildType: str  # noqa: N815
    externalParameters: dict[str, Any]  # noqa: N815


class _Provenance(msgspec.Struct, kw_only=True):
    buildDefinition: _Definition  # noqa: N815
    runDetails: _Run  # noqa: N815


class Vouched(msgspec.Struct, frozen=True, kw_only=True):
    """What signed envelopes say about a bundle."""

    statement: str
    """SHA-256 of the provenance's payload."""
    keys: frozenset[str]
    """Ids of the keys that signed all of it."""
    project: str
    function: str
    migrated: bool
    at: float | None
    """Unix time at which it was signed, by the signer's clock; None of what was migrated."""
    sbom: dict[str, Any] | None


def read_vouched(
    digest: str, provenance: Envelope, sbom: Envelope | None, public_keys: Mapping[str, bytes]
) -> Vouched:
    """Return what the envelopes of a bundle say and who signed both.

    Raises SignatureError if one does not hold, is about another bundle, or they do not belong
    together.
    """
    # (1) signatures, before a byte of what was signed is looked at
    payload, signed = opened(provenance, public_keys)

    # (2) the provenance
    predicate = decoded_statement(payload, PROVENANCE, digest).predicate
    try:
        said = msgspec.convert(predicate, decodable(_Provenance))
    except msgspec.ValidationError as error:
        raise SignatureError(f"The provenance is not as SLSA v1 has it: {error}.") from error
    definition, run = said.buildDefinition, said.runDetails
    if definition.buildType not in (BUILD_TYPE, MIGRATED_TYPE):
        raise SignatureError(f"The build is of an unknown type, {definition.buildType[:80]!r}.")
    migrated = definition.buildType == MIGRATED_TYPE
    if run.builder.id not in {f"urn:casemate:builder:{key}" for key in signed}:
        raise SignatureError("The provenance names another builder than the one who signed it.")
    place = definition.externalParameters
    if place.keys() != {"project", "function"} or not all(type(v) is str for v in place.values()):
        raise SignatureError("The provenance names no function, or more than that.")

    # (3) the SBOM, which belongs to this provenance and no other
    document = None
    if not migrated:
        document = _sbom(digest, sbom, run.byproducts, signed, public_keys)
    elif sbom is not None:
        raise SignatureError("There is an SBOM to a provenance that has none.")
    return Vouched(
        statement=hashlib.sha256(payload).hexdigest(),
        keys=signed,
        project=place["project"],
        function=place["function"],
        migrated=migrated,
        at=None if migrated else _moment(run.metadata.finishedOn),
        sbom=document,
    )


def _sbom(
    digest: str,
    envelope: Envelope | None,
    byproducts: list[_Byproduct],
    signed: frozenset[str],
    public_keys: Mapping[str, bytes],
) -> dict[str, Any]:
    if envelope is None:
        raise SignatureError("The SBOM is missing.")
    payload, also = opened(envelope, public_keys)
    if also != signed:
        raise SignatureError("SBOM and provenance are signed by different keys.")
    named = [(each.name, each.digest) for each in byproducts]
    if named != [(SBOM_NAME, {"sha256": hashlib.sha256(payload).hexdigest()})]:
        raise SignatureError("The SBOM is not the one that the provenance names.")
    return decoded_statement(payload, SBOM, digest).predicate


def _moment(text: str | None) -> float:
    # Not strptime, which imports a module when it is first called: too late in a gateway.
    try:
        moment = datetime.fromisoformat(text or "")
        if moment.tzinfo == UTC and written(moment.timestamp()) == text:
            return moment.timestamp()
    except (ValueError, OverflowError) as error:
        raise SignatureError("The provenance does not say when it was signed.") from error
    raise SignatureError("The time in the provenance is not written as it should be.")
