"""Verifies Sigstore signatures: attestations of packages (PEP 740), and bundles.

Signatures, certificates (Fulcio), their log, and the log of signatures (Rekor 1) are verified
against keys that are stored here or given. It uses no network and signs nothing. The reader of a
statement decides what it means. May import `model` only.
"""

from casemate.sigstore.bundle import MAX_BUNDLE_BYTES, Attestation, of_attestation, read_bundle
from casemate.sigstore.errors import AttestationError, TrustedRootError
from casemate.sigstore.identity import shown
from casemate.sigstore.root import MAX_ROOT_BYTES, TrustedRoot, public_good, read_root
from casemate.sigstore.statement import STATEMENT, read_statement
from casemate.sigstore.verification import Verified, verified

__all__ = [
    "MAX_BUNDLE_BYTES",
    "MAX_ROOT_BYTES",
    "STATEMENT",
    "Attestation",
    "AttestationError",
    "TrustedRoot",
    "TrustedRootError",
    "Verified",
    "of_attestation",
    "public_good",
    "read_bundle",
    "read_root",
    "read_statement",
    "shown",
    "verified",
]
