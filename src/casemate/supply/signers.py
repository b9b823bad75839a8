"""What was signed about bundles with Sigstore: whether it holds, and is by whom is asked.

Nothing is asked of a network. A statement is about one bundle, by its digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from casemate.model.bundle import BundleManifest
from casemate.model.errors import InvalidInputError
from casemate.model.signing import Attestation, SigningRule
from casemate.shown_text import printable
from casemate.signing import SignatureError
from casemate.sigstore import (
    AttestationError,
    TrustedRootError,
    Verified,
    public_good,
    read_bundle,
    read_root,
    read_statement,
    shown,
    verified,
)
from casemate.supply.errors import UnsignedError

DAY = 86_400.0
MAX_AGE_SECONDS = 30 * DAY
"""Between signing and deploying."""
MAX_AHEAD_SECONDS = DAY
"""How far the signer's clock may be ahead of the node's."""


def read_signing(digest: str, sigstore: str, trusted_root: str, now: float) -> Verified:
    """Return who signed that a bundle is what it is, by the keys that are trusted.

    `trusted_root` is empty for those of the public instance. Raises SignatureError.
    """
    try:
        root = (
            read_root(_bytes(trusted_root), "The rule's trusted root")
            if trusted_root
            else public_good()
        )
        found = verified(read_bundle(_bytes(sigstore)), root)
        statement = read_statement(found.payload)
    except (AttestationError, TrustedRootError) as error:
        raise SignatureError(
            f"The Sigstore bundle does not hold. {error.message}",
            next_step="Have the build sign the bundle's digest again, or give no --sigstore.",
        ) from error
    if [one.digest for one in statement.subject] != [{"sha256": digest}]:
        raise SignatureError(
            f"What {shown(found.identity)} signed with Sigstore is not about the bundle "
            f"{digest[:12]} alone.",
            next_step="Have the build sign the digest that `casemate build --json` prints.",
        )
    require_fresh(found.logged.timestamp(), now, f"{shown(found.identity)} signed it with Sigstore")
    return found


def require_fresh(signed_at: float, now: float, what: str) -> None:
    """Raise SignatureError for what was signed too long ago, or is of a time to come.

    The clock of either machine may have been set meanwhile: the node's time is told with it, so
    that it can be seen which of them is wrong.
    """
    age = now - signed_at
    if age > MAX_AGE_SECONDS:
        raise SignatureError(
            f"{what} {age / DAY:.1f} days ago, by the clock of this node, where it is "
            f"{_moment(now)}; expected at most {MAX_AGE_SECONDS / DAY:.0f} days.",
            next_step="Sign again. If it was signed just now, set the clock that is wrong: of this "
            "node, or of the machine that signed.",
        )
    if age < -MAX_AHEAD_SECONDS:
        raise SignatureError(
            f"{what} {-age / DAY:.1f} days later than the clock of this node says, where it is "
            f"{_moment(now)}; expected at most {MAX_AHEAD_SECONDS / DAY:.0f} day.",
            next_step="Set the clock that is wrong, of this node or of the machine that signed; "
            "then sign again.",
        )


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def require_usable(rule: SigningRule) -> None:
    """Raise InvalidInputError for a rule that nobody could meet, or that says nothing."""
    for what, named in (("A key", rule.keys), ("A signer", rule.signers)):
        if len(set(named)) != len(named):
            raise InvalidInputError(f"{what} is named more than once, expected each one once.")
    if rule.keys and not 1 <= rule.threshold <= len(rule.keys):
        raise InvalidInputError(
            f"{rule.threshold} of {len(rule.keys)} keys can never have signed.",
            next_step="Name more keys, or ask for fewer.",
        )
    if rule.trusted_root:
        if not rule.signers:
            raise InvalidInputError(
                "A trusted root is for signers, and none is named.",
                next_step="Name one: --signer GitHub:owner/repository:build.yml@refs/heads/main",
            )
        read_root(_bytes(rule.trusted_root), "The trusted root")


def signed_for(
    manifest: BundleManifest,
    rule: SigningRule,
    brought: Sequence[Attestation],
    clock: Callable[[], float],
) -> Attestation:
    """Return the newest of those brought that came with the word of one of a rule's signers.

    Raises UnsignedError, which says why the others are not enough.
    """
    wanted = " or ".join(rule.signers)
    reason = "Nothing that was signed with Sigstore came with it."
    used = used_signings(brought)
    for one in reversed(brought):
        if not one.sigstore:
            continue
        if one.signing in used:
            reason = "What was signed with Sigstore was used for another deploy."
            continue
        try:
            found = read_signing(one.digest, one.sigstore, rule.trusted_root, clock())
        except SignatureError as error:
            reason = error.message
            continue
        if found.signing == one.signing and any(found.is_by(each) for each in rule.signers):
            return one
        reason = f"It was signed by {shown_whole(found)}."
    raise UnsignedError(
        f"{rule.project} asks for the word of {wanted} on the bundle of "
        f"{rule.project}/{manifest.function.name}. {reason}",
        next_step="Have that build sign its digest, and deploy with --sigstore FILE.",
    )


def used_signings(brought: Iterable[Attestation]) -> frozenset[str]:
    """Return which signings a version was deployed with."""
    return frozenset(one.signing for one in brought if one.signing and one.used_at is not None)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def shown_whole(found: Verified) -> str:
    """Return who signed, with the branch or tag that was built."""
    at = printable(found.reference[:200])
    return f"{shown(found.identity)}@{at}" if at else shown(found.identity)
