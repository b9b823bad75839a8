"""Why a bundle is not deployed, or not started."""

from __future__ import annotations

from casemate.model.bundle import BundleManifest
from casemate.model.errors import ConflictError, NotFoundError, QuotaError
from casemate.model.facts import Actor
from casemate.model.signing import SigningRule


class UnsignedError(ConflictError):
    """Nobody vouches for the bundle who would have to."""


class NotVouchedError(NotFoundError):
    """Nobody vouches for the bundle any more, so nothing of it is started."""


def unsigned(
    manifest: BundleManifest, rule: SigningRule, found: int, by: Actor, reason: str
) -> UnsignedError:
    """Return what to say where `found` of the keys that are needed have signed."""
    name = f"{manifest.project}/{manifest.function.name}"
    why = f" What was brought does not count: {reason}" if reason else ""
    if not rule.keys:
        return UnsignedError(
            f"The bundle of {name} is not signed by a key of {by.principal}, who deploys it.{why}",
            next_step="Deploy with `casemate deploy`, which signs; a program sends "
            "PUT /api/v1/bundles/DIGEST/attestation first. Each signature is for one deploy.",
        )
    return UnsignedError(
        f"The bundle of {name} is signed by {found} of the keys that {manifest.project} asks for; "
        f"expected {rule.threshold} of {len(rule.keys)}.{why}",
        next_step=f"Have those who hold them sign it: `casemate sign {name}`.",
    )


def unsigned_ahead(rule: SigningRule, found: int, key: str | None) -> UnsignedError:
    """Return what to say where no bundle could have the word of enough keys, whichever it is."""
    own = f"Yours, {key[:12]}," if key is not None else "The one that this machine would make"
    also = "" if key in rule.keys else f" {own} is none of them."
    return UnsignedError(
        f"{rule.project} asks for the signatures of {rule.threshold} of {len(rule.keys)} keys; "
        f"with those that wait for a deploy there would be {found}.{also}",
        next_step="Have those who hold them sign first, on the same source: `casemate sign`.",
    )


def unsigned_by_signers(rule: SigningRule) -> UnsignedError:
    """Return what to say where nothing came, or waits, that was signed with Sigstore."""
    return UnsignedError(
        f"{rule.project} asks for the word of {' or '.join(rule.signers)}, and nothing that was "
        "signed with Sigstore is there.",
        next_step="Have that build sign the bundle's digest, and deploy with --sigstore FILE.",
    )


def too_many(by: Actor, count: int, size: int, *, most: tuple[int, int]) -> QuotaError:
    """Return what to say to who has brought as much as may wait, `most` of it and of its bytes."""
    return QuotaError(
        f"{by.principal} has brought {count} attestations of {size} bytes that nothing was "
        f"deployed with, expected at most {most[0]}, and {most[1]} bytes.",
        next_step="Deploy; unused signatures are forgotten after a month.",
    )
