"""Whether somebody signed a bundle with Sigstore, for `casemate verify`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from casemate.cli.errors import CommandError
from casemate.model.errors import CasemateError


def signed_with_sigstore(
    attestation: Path, signer: str, trusted_root: Path | None, bundle: Path, digest: str
) -> tuple[bool, str]:
    """Tell whether `signer` signed a statement about a bundle, and what there is to say.

    It has to be about the bundle's digest, or, for an archive, about that file. Raises
    CommandError for a file that cannot be read.
    """
    from casemate.sigstore import (
        MAX_BUNDLE_BYTES,
        MAX_ROOT_BYTES,
        public_good,
        read_bundle,
        read_root,
        read_statement,
        shown,
        verified,
    )

    data = _content(attestation, MAX_BUNDLE_BYTES)
    root = _content(trusted_root, MAX_ROOT_BYTES) if trusted_root is not None else None
    try:
        keys = read_root(root, str(trusted_root)) if root is not None else public_good()
        found = verified(read_bundle(data), keys)
        subject = read_statement(found.payload).subject
    except CasemateError as error:
        return False, error.message
    known = {digest}
    if bundle.is_file():
        with bundle.open("rb") as file:
            known.add(hashlib.file_digest(file, "sha256").hexdigest())
    if len(subject) != 1 or subject[0].digest.get("sha256") not in known:
        return False, f"what {shown(found.identity)} signed is not about this bundle"
    if shown(found.identity) != signer:
        return False, f"it was signed by {shown(found.identity)}, not by {signer}"
    return True, f"signed by {signer} on {found.logged:%Y-%m-%d %H:%M} UTC"


def _content(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
