"""What was given to projects, as the store keeps it."""

from __future__ import annotations

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.route import RouteClaim
from casemate.store.errors import StoreError

CLAIMS_VALUE = "route-claims"
"""Name of the node's value in the store."""


def read_claims(stored: bytes | None) -> tuple[RouteClaim, ...]:
    """Return the claims; StoreError if they cannot be read: routes would be anybody's then."""
    if stored is None:
        return ()
    try:
        return msgspec.json.decode(stored, type=decodable(tuple[RouteClaim, ...]))
    except DECODING_ERRORS as error:
        raise StoreError(
            "Which routes were given to which projects cannot be read.",
            next_step="Start the Casemate that wrote it, or restore the store from a backup.",
        ) from error


def write_claims(claims: tuple[RouteClaim, ...]) -> bytes:
    """Return what `read_claims` reads."""
    return msgspec.json.encode(claims)
