"""Who vouches for what runs: builders' keys of a node, what they signed, and whether it is enough.

    brought (an attestation) ──▶ kept ──▶ used up by one deploy ──▶ held against each start

It judges signatures, not code. What envelopes say is read by `signing`, what was signed with
Sigstore by `sigstore`; files are the bundle store's. May import `store`'s port, these, `facts` and
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
