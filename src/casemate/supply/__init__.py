"""Who vouches for running bundles: the node's builder keys, their signatures, and the verdict.

    brought (an attestation) ──▶ kept ──▶ used up by one deploy ──▶ held against each start

It judges signatures, not code. `signing` reads envelopes, `sigstore` verifies Sigstore signatures,
and the bundle store has the files. May import `store`'s port, these, `facts` and
`model`.
"""

from casemate.supply.errors import NotVouchedError, UnsignedError
from casemate.supply.evidence import EvidenceKeeper
from casemate.supply.keys import BuilderKeys
from casemate.supply.signatures import Admitted, Signatures

__all__ = [
    "Admitted",
    "BuilderKeys",
    "EvidenceKeeper",
    "NotVouchedError",
    "Signatures",
    "UnsignedError",
]
