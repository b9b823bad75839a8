"""What somebody signed about bundles with Sigstore, for `casemate verify` and `casemate deploy`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from casemate.cli.errors import CommandError
from casemate.model.errors import CasemateError
from casemate.model.signing import MAX_SIGSTORE_CHARS, MAX_TRUSTED_ROOT_CHARS


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
    if not found.is_by(signer):
        at = f" at {found.reference!a}" if found.reference else ""
        return False, f"it was signed by {shown(found.identity)}{at}, not by {signer}"
    return True, f"signed by {signer} on {found.logged:%Y-%m-%d %H:%M} UTC"


class SignedFile(NamedTuple):
    """A Sigstore bundle in a file, read."""

    path: Path
    text: str
    about: tuple[str, ...]
    """Digests of what it is about."""


def read_signed(files: Iterable[Path]) -> list[SignedFile]:
    """Return what files hold, before there is a bundle; the node verifies. Raises CommandError."""
    from casemate.sigstore import read_bundle, read_statement

    found = []
    for path in files:
        data = _content(path, MAX_SIGSTORE_CHARS)
        if len(data) > MAX_SIGSTORE_CHARS:
            raise CommandError(
                f"{path} is larger than {MAX_SIGSTORE_CHARS} bytes, expected a Sigstore bundle.",
                next_step="Name the file in which the builder signed, such as NAME.sigstore.json.",
            )
        try:
            subject = read_statement(read_bundle(data).payload).subject
            about = tuple(one.digest.get("sha256", "") for one in subject)
            found.append(SignedFile(path, data.decode(), about))
        except (CasemateError, UnicodeDecodeError) as error:
            why = error.message if isinstance(error, CasemateError) else "It is not text."
            raise CommandError(f"{path} cannot be used. {why}") from error
    return found


def about_bundles(files: Iterable[SignedFile], digests: Sequence[str]) -> dict[str, str]:
    """Return what files hold by the digest of the bundle that each is about.

    Raises CommandError for a file that is about none of these bundles, or about one again.
    """
    found: dict[str, str] = {}
    for path, text, about in files:
        if len(about) != 1 or about[0] not in digests:
            raise CommandError(
                f"{path} is about {', '.join(each[:64] for each in about[:3]) or 'nothing'!a}; "
                f"built were {', '.join(digests)}.",
                next_step="Have the digest signed that `casemate build --json` prints, build the "
                "same source and lock here, with the same patch version of Python, and keep what "
                "was signed out of the source folder.",
            )
        if about[0] in found:
            raise CommandError(f"{path} is about a bundle that another --sigstore is about.")
        found[about[0]] = text
    return found


def read_trusted_root(path: str) -> str:
    """Return the keys in a file, which a node reads."""
    data = _content(Path(path), MAX_TRUSTED_ROOT_CHARS)
    if len(data) > MAX_TRUSTED_ROOT_CHARS:
        raise CommandError(f"{path} is larger than {MAX_TRUSTED_ROOT_CHARS} bytes.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not text.") from error


def kept_signing(sigstore: str, trusted_root: str, digest: str) -> tuple[bool, str]:
    """Tell whether what a node keeps of a Sigstore signing holds, and what there is to say."""
    from casemate.sigstore import public_good, read_bundle, read_root, read_statement, shown
    from casemate.sigstore import verified as verified_by

    try:
        root = read_root(trusted_root.encode(), "the rule's") if trusted_root else public_good()
        found = verified_by(read_bundle(sigstore.encode()), root)
        about = [one.digest for one in read_statement(found.payload).subject]
    except CasemateError as error:
        return False, error.message
    if about != [{"sha256": digest}]:
        return False, f"what {shown(found.identity)} signed is not about this bundle"
    at = f" at {found.reference!a}" if found.reference else ""
    # Of another instance than the public one only the node says which keys are trusted.
    whose = ", by keys that the node names" if trusted_root else ""
    moment = f"{found.logged:%Y-%m-%d %H:%M} UTC"
    return True, f"signed by {shown(found.identity)}{at} on {moment}{whose}"


def _content(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be read: {error.strerror}.",
            next_step="Name a file that is there and that you may read.",
        ) from error
