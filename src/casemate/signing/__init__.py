"""Signed statements about bundles: DSSE envelopes, in-toto statements, SLSA build provenance, SBOM.

Pure: it signs with a key that it is given and says what an envelope says and who signed it. It
keeps no keys, knows no node, and does not judge whose signature is enough. May import `model` only.
"""

from casemate.model.signing import signing_payload
from casemate.signing.dsse import PAYLOAD_TYPE, SignatureError, opened, sealed
from casemate.signing.keys import (
    SigningKey,
    key_id,
    proof_of,
    require_proof,
    require_public,
)
from casemate.signing.statements import (
    comparable_sbom,
    migrated_provenance,
    provenance_of,
    sbom_statement,
)
from casemate.signing.vouching import Vouched, read_vouched

__all__ = [
    "PAYLOAD_TYPE",
    "SignatureError",
    "SigningKey",
    "Vouched",
    "comparable_sbom",
    "key_id",
    "migrated_provenance",
    "opened",
    "proof_of",
    "provenance_of",
    "read_vouched",
    "require_proof",
    "require_public",
    "sbom_statement",
    "sealed",
    "signing_payload",
]
