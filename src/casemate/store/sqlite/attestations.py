"""Builders' keys, what they signed, and rules of projects, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from casemate.decoding import decodable
from casemate.model.deployment import NewVersion
from casemate.model.errors import ConflictError
from casemate.model.evidence import Evidence
from casemate.model.signing import Attestation, BuilderKey, Envelope, SigningRule
from casemate.operations.attestations import (
    CountWaitingAttestations,
    KeepAttestations,
    KeepBuilderKey,
    KeepEvidence,
    KeepSigningRule,
    ReadAttestations,
    ReadBuilderKeys,
    ReadEvidence,
    ReadSigningRules,
    ReadUnattested,
    ReadWaitingSigners,
)
from casemate.operations.performing import DirectPerformers
from casemate.sqlite import engine

_KEY_COLUMNS = ", ".join(BuilderKey.__struct_fields__)
_PLACES = ", ".join("?" * len(BuilderKey.__struct_fields__))
SELECT_KEYS = f"SELECT {_KEY_COLUMNS} FROM builder_key ORDER BY added_at, id, principal"  # noqa: S608
_NEW_KEY = ", ".join(f"{name} = excluded.{name}" for name in BuilderKey.__struct_fields__)
PUT_KEY = (
    f"INSERT INTO builder_key ({_KEY_COLUMNS}) VALUES ({_PLACES}) "  # noqa: S608
    f"ON CONFLICT (id, principal) DO UPDATE SET {_NEW_KEY}"
)
_INSERT = """
    INSERT INTO attestation
        (digest, statement, keys, principal, at, provenance, sbom, used_at, needed, sigstore,
            signing)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_SELECT = """
    SELECT digest, statement, keys, principal, at, provenance, sbom, used_at, needed, sigstore,
        signing
    FROM attestation WHERE digest = ? ORDER BY at, statement
"""
_PRUNE = """
    DELETE FROM attestation WHERE at < ? AND digest NOT IN (SELECT digest FROM version)
"""
_USE = """
    UPDATE attestation SET used_at = ?, needed = ?, keys = ?
    WHERE digest = ? AND statement = ? AND used_at IS NULL
"""
_SIGNING_USED = """
    SELECT count(*) FROM attestation WHERE used_at IS NOT NULL AND signing <> '' AND signing =
        (SELECT signing FROM attestation WHERE digest = ? AND statement = ?)
"""
_WAITING_SIGNERS = """
    SELECT DISTINCT keys, CASE WHEN sigstore = '' THEN 0 ELSE 1 END
    FROM attestation WHERE used_at IS NULL
"""
_UNATTESTED = """
    SELECT digest, min(project), min(function) FROM version
    WHERE digest NOT IN (SELECT digest FROM attestation WHERE used_at IS NOT NULL)
    GROUP BY digest ORDER BY digest
"""
SELECT_RULES = """
    SELECT project, keys, threshold, signers, trusted_root FROM signing_rule ORDER BY project
"""
DELETE_RULE = "DELETE FROM signing_rule WHERE project = ?"
INSERT_RULE = """
    INSERT INTO signing_rule (project, keys, threshold, signers, trusted_root)
    VALUES (?, ?, ?, ?, ?)
"""

performs = DirectPerformers()


@performs(ReadBuilderKeys)
def keys(connection: engine.Connection, _operation: ReadBuilderKeys) -> tuple[BuilderKey, ...]:
    """Return every key."""
    return tuple(
        BuilderKey(**dict(zip(BuilderKey.__struct_fields__, row, strict=True)))
        for row in connection.execute(SELECT_KEYS)
    )


@performs(KeepBuilderKey)
def keep_key(connection: engine.Connection, operation: KeepBuilderKey) -> None:
    """Insert or replace a key of a principal."""
    connection.execute(PUT_KEY, msgspec.structs.astuple(operation.key))


@performs(ReadSigningRules)
def rules(connection: engine.Connection, _operation: ReadSigningRules) -> tuple[SigningRule, ...]:
    """Return all rules, by project."""
    rows = connection.execute(SELECT_RULES)
    return tuple(
        SigningRule(
            project=project,
            keys=msgspec.json.decode(named, type=tuple[str, ...]),
            threshold=threshold if named != "[]" else 0,
            signers=msgspec.json.decode(signers, type=tuple[str, ...]),
            trusted_root=root,
        )
        for project, named, threshold, signers, root in rows
    )


@performs(KeepSigningRule)
def keep_rule(connection: engine.Connection, operation: KeepSigningRule) -> None:
    """Replace a project's rule; one that asks for nothing is none."""
    rule = operation.rule
    connection.execute(DELETE_RULE, (rule.project,))
    if rule.asks:
        keys, signers = (msgspec.json.encode(each).decode() for each in (rule.keys, rule.signers))
        # Without keys the threshold says nothing; a release that knows of keys alone counts to 1.
        row = (rule.project, keys, max(rule.threshold, 1), signers, rule.trusted_root)
        connection.execute(INSERT_RULE, row)


@performs(KeepAttestations)
def keep(connection: engine.Connection, operation: KeepAttestations) -> None:
    """Insert attestations. ConflictError if one is there already."""
    if operation.forget_before:
        connection.execute(_PRUNE, (operation.forget_before,))
    for one in operation.attestations:
        row = (
            one.digest,
            one.statement,
            msgspec.json.encode(one.keys).decode(),
            one.principal,
            one.at,
            msgspec.json.encode(one.provenance),
            None if one.sbom is None else msgspec.json.encode(one.sbom),
            one.used_at,
            one.needed,
            one.sigstore,
            one.signing,
        )
        if connection.execute(_INSERT, row).rowcount != 1:
            raise ConflictError(
                f"The statement {one.statement[:12]} was brought before.",
                next_step="Sign again: each signature is for one deploy.",
            )


@performs(ReadAttestations)
def attestations(
    connection: engine.Connection, operation: ReadAttestations
) -> tuple[Attestation, ...]:
    """Return what vouches for a bundle."""
    return tuple(_read(row) for row in connection.execute(_SELECT, (operation.digest,)))


def _read(row: Sequence[Any]) -> Attestation:
    digest, statement, named, principal, at, provenance, sbom, *others = row
    used_at, needed, sigstore, signing = others
    return Attestation(
        digest=digest,
        statement=statement,
        keys=msgspec.json.decode(named, type=tuple[str, ...]),
        principal=principal,
        at=at,
        provenance=msgspec.json.decode(provenance, type=decodable(Envelope)),
        sbom=None if sbom is None else msgspec.json.decode(sbom, type=decodable(Envelope)),
        used_at=used_at,
        needed=needed,
        sigstore=sigstore,
        signing=signing,
    )


@performs(CountWaitingAttestations)
def waiting(connection: engine.Connection, operation: CountWaitingAttestations) -> tuple[int, int]:
    """Count what a principal has brought and nothing was deployed with."""
    count, size = connection.execute(
        "SELECT count(*), total(length(provenance) + coalesce(length(sbom), 0) "
        "+ length(sigstore)) "
        "FROM attestation WHERE principal = ? AND used_at IS NULL",
        (operation.principal,),
    ).fetchone()
    return int(count), int(size)


@performs(ReadWaitingSigners)
def waiting_signers(
    connection: engine.Connection, _operation: ReadWaitingSigners
) -> tuple[tuple[tuple[str, ...], bool], ...]:
    """Return the different signers of what nothing was deployed with."""
    return tuple(
        (msgspec.json.decode(named, type=tuple[str, ...]), bool(sigstore))
        for named, sigstore in connection.execute(_WAITING_SIGNERS)
    )


@performs(ReadUnattested)
def unattested(
    connection: engine.Connection, _operation: ReadUnattested
) -> tuple[tuple[str, str, str], ...]:
    """Return deployed bundles for which nobody vouches."""
    return tuple((row[0], row[1], row[2]) for row in connection.execute(_UNATTESTED))


@performs(ReadEvidence)
def evidence(connection: engine.Connection, operation: ReadEvidence) -> Evidence | None:
    """Return what was seen of a bundle."""
    row = connection.execute(
        "SELECT seen FROM bundle_evidence WHERE digest = ?", (operation.digest,)
    ).fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=decodable(Evidence))


@performs(KeepEvidence)
def keep_evidence(connection: engine.Connection, operation: KeepEvidence) -> None:
    """Replace what was seen of a bundle, and forget that of bundles that no version has."""
    connection.execute(
        "DELETE FROM bundle_evidence WHERE digest NOT IN (SELECT digest FROM version)"
    )
    connection.execute(
        "INSERT INTO bundle_evidence VALUES (?, ?) "
        "ON CONFLICT (digest) DO UPDATE SET seen = excluded.seen",
        (operation.evidence.digest, msgspec.json.encode(operation.evidence).decode()),
    )


def use(connection: engine.Connection, new: NewVersion, at: float) -> None:
    """Note that a version is deployed with these; ConflictError if one was used before."""
    for voucher in new.vouchers:
        (used,) = connection.execute(_SIGNING_USED, (new.digest, voucher.statement)).fetchone()
        if used:
            raise ConflictError(
                "What was signed with Sigstore was used for another deploy.",
                next_step="Have it signed again: each signature is for one deploy.",
            )
        keys = msgspec.json.encode(voucher.keys).decode()
        row = (at, new.needed, keys, new.digest, voucher.statement)
        if connection.execute(_USE, row).rowcount != 1:
            raise ConflictError(
                f"The signature {voucher.statement[:12]} was used for another deploy.",
                next_step="Sign again: casemate deploy does this.",
            )
