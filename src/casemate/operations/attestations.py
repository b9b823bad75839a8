"""Operations on builders' keys and what they signed, as stored. The node's own: `supply` asks."""

from __future__ import annotations

from casemate.model.evidence import Evidence
from casemate.model.signing import Attestation, BuilderKey, SigningRule
from casemate.operations.declaration import Decided, Declaration, Effect, Operation


class ReadBuilderKeys(Operation[tuple[BuilderKey, ...]], frozen=True, kw_only=True):
    """Return every builder's key, oldest first, revoked ones among them."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)


class KeepBuilderKey(Operation[None], frozen=True, kw_only=True):
    """Keep a key of a principal, in place of what was kept of it."""

    declared = Declaration(decided=Decided.INSIDE)
    key: BuilderKey


class ReadSigningRules(Operation[tuple[SigningRule, ...]], frozen=True, kw_only=True):
    """Return the rules of all projects that have one."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)


class KeepSigningRule(Operation[None], frozen=True, kw_only=True):
    """Keep a project's rule; one without keys is forgotten."""

    declared = Declaration(decided=Decided.INSIDE)
    rule: SigningRule


class KeepAttestations(Operation[None], frozen=True, kw_only=True):
    """Keep what vouches for bundles, all or none.

    ConflictError if one of the statements is kept already. What waits since `forget_before` (Unix
    time), and belongs to no version, goes.
    """

    declared = Declaration(decided=Decided.INSIDE)
    attestations: tuple[Attestation, ...]
    forget_before: float = 0.0


class ReadAttestations(Operation[tuple[Attestation, ...]], frozen=True, kw_only=True):
    """Return what vouches for a bundle, oldest first."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    digest: str


class CountWaitingAttestations(Operation[tuple[int, int]], frozen=True, kw_only=True):
    """Return how many a principal has brought with which nothing was deployed, and their bytes."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    principal: str


class ReadWaitingSigners(
    Operation[tuple[tuple[tuple[str, ...], bool], ...]], frozen=True, kw_only=True
):
    """Return who has signed what nothing was deployed with, of all bundles, each once.

    Ids of the keys, and whether something signed with Sigstore came with it.
    """

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)


class ReadUnattested(Operation[tuple[tuple[str, str, str], ...]], frozen=True, kw_only=True):
    """Return digest, project and function of each deployed bundle for which nobody vouches."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)


class ReadEvidence(Operation[Evidence | None], frozen=True, kw_only=True):
    """Return which packages of a bundle were seen loaded; None if nothing was seen."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    digest: str


class KeepEvidence(Operation[None], frozen=True, kw_only=True):
    """Keep what was seen of a bundle, in place of what was before."""

    declared = Declaration(decided=Decided.INSIDE)
    evidence: Evidence
