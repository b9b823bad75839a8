"""What is signed about a bundle: in-toto statements (v1) of its provenance (SLSA v1) and its SBOM.

Statements have one encoding: JSON, keys sorted, no white space. Any other is refused, so that no
two readers find different things in the same bytes.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.bundle import BundleManifest
from casemate.signing.dsse import SignatureError

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
SBOM = "https://cyclonedx.org/bom"
BUILD_TYPE = "urn:casemate:build:1"
MIGRATED_TYPE = "urn:casemate:migrated:1"
"""Nobody is known to have built it: the node found it deployed when it began to ask."""
SBOM_NAME = "sbom.cdx.json"


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An in-toto statement."""

    kind: str = msgspec.field(name="_type")
    subject: tuple[dict[str, Any], ...]
    predicateType: str  # noqa: N815
    predicate: dict[str, Any]


def written(at: float) -> str:
    """Return a Unix time as statements have it (RFC 3339, in UTC, whole seconds)."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def encoded(value: Any) -> bytes:
    """Return the one encoding."""
    return msgspec.json.encode(value, order="sorted")


def decoded_statement(payload: bytes, predicate_type: str, digest: str) -> Statement:
    """Return a statement about the bundle with this digest alone. Raises SignatureError."""
    try:
        statement = msgspec.json.decode(payload, type=decodable(Statement))
        canonical = encoded(statement) == payload
    except DECODING_ERRORS as error:
        raise SignatureError(f"The payload is no in-toto statement: {str(error)[:200]}.") from error
    if not canonical:
        raise SignatureError("The statement is not in its canonical encoding.")
    if statement.kind != STATEMENT or statement.predicateType != predicate_type:
        raise SignatureError(
            f"The statement is a {statement.kind[:60]!r} of {statement.predicateType[:60]!r}, "
            f"expected {STATEMENT} of {predicate_type}."
        )
    named = [each.get("digest") for each in statement.subject]
    if named != [{"sha256": digest}]:
        raise SignatureError(
            "The statement is about something else than this bundle.",
            next_step="Sign the bundle that is uploaded.",
        )
    return statement


def _statement(name: str, digest: str, predicate_type: str, predicate: dict[str, Any]) -> bytes:
    return encoded(
        Statement(
            kind=STATEMENT,
            subject=({"name": name, "digest": {"sha256": digest}},),
            predicateType=predicate_type,
            predicate=predicate,
        )
    )


def sbom_statement(manifest: BundleManifest, document: bytes) -> bytes:
    """Return the statement that a bundle is made of what an SBOM says."""
    name = f"{manifest.project}/{manifest.function.name}"
    return _statement(name, manifest.digest(), SBOM, msgspec.json.decode(document))


def provenance_of(
    manifest: BundleManifest, sbom: bytes, *, builder: str, at: float, run: str, version: str
) -> bytes:
    """Return the statement of who built a bundle, of what and when.

    `sbom` is the payload of its SBOM's statement, `run` is different for each signing, `version`
    that of this Casemate.
    """
    function = manifest.function
    moment = written(at)
    dependencies = [
        {"uri": f"pkg:pypi/{package.name}@{package.version}"} for package in manifest.packages
    ]
    if manifest.lock_sha256 is not None:
        dependencies.append({"name": "lock", "digest": {"sha256": manifest.lock_sha256}})  # type: ignore[dict-item]
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"project": manifest.project, "function": function.name},
            "internalParameters": {"python": function.python, "casemate": version},
            "resolvedDependencies": dependencies,
        },
        "runDetails": {
            "builder": {"id": f"urn:casemate:builder:{builder}", "version": {"casemate": version}},
            "metadata": {"invocationId": run, "startedOn": moment, "finishedOn": moment},
            "byproducts": [
                {"name": SBOM_NAME, "digest": {"sha256": hashlib.sha256(sbom).hexdigest()}}
            ],
        },
    }
    name = f"{manifest.project}/{function.name}"
    return _statement(name, manifest.digest(), PROVENANCE, predicate)


def migrated_provenance(
    project: str, function: str, digest: str, *, builder: str, run: str
) -> bytes:
    """Return the statement that a bundle was deployed before the node asked for signatures."""
    predicate = {
        "buildDefinition": {
            "buildType": MIGRATED_TYPE,
            "externalParameters": {"project": project, "function": function},
        },
        "runDetails": {
            "builder": {"id": f"urn:casemate:builder:{builder}"},
            "metadata": {"invocationId": run},
        },
    }
    return _statement(f"{project}/{function}", digest, PROVENANCE, predicate)


def comparable_sbom(document: dict[str, Any]) -> bytes:
    """Return an SBOM without which release wrote it: what two of the same bundle have alike."""
    rest = {name: value for name, value in document.items() if name != "metadata"}
    component = document.get("metadata", {}).get("component")
    return encoded({**rest, "component": component})
