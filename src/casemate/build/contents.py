"""Checks of a bundle's manifest, the same for one just built, on disk, or in an archive."""

from __future__ import annotations

import re
import unicodedata

import msgspec

from casemate.build.errors import ArchiveError, SourceTreeError
from casemate.build.limits import (
    MAX_BUNDLE_BYTES,
    MAX_BUNDLE_FILES,
    MAX_MANIFEST_BYTES,
)
from casemate.build.tree import check_collisions, check_path
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.bundle import BUNDLE_FORMAT, DIGEST_PATTERN, BundleFile, BundleManifest
from casemate.model.function import (
    HANDLER_PATTERN,
    NAME_PATTERN,
    SUPPORTED_PYTHONS,
    named_resources,
)

MANIFEST_NAME = "bundle.json"
PARTS = ("code/", "deps/")


def check_digest(digest: str) -> None:
    """Raise ArchiveError unless `digest` is 64 lower-case hexadecimal digits."""
    if not re.fullmatch(DIGEST_PATTERN, digest, re.ASCII) or digest.endswith("\n"):
        raise ArchiveError(f"{digest[:80]!r} is not a digest; expected 64 hexadecimal digits.")


def decode_manifest(data: bytes, expected_digest: str) -> BundleManifest:
    """Return the manifest that `data` encodes, if it is the one with the expected digest.

    Raises ArchiveError if it is another, is not in its canonical encoding, or says what a bundle
    may not.
    """
    check_digest(expected_digest)
    if len(data) > MAX_MANIFEST_BYTES:
        raise ArchiveError(f"{MANIFEST_NAME} is larger than {MAX_MANIFEST_BYTES} bytes.")
    try:
        manifest = msgspec.json.decode(data, type=decodable(BundleManifest))
    except DECODING_ERRORS as error:
        raise ArchiveError(f"{MANIFEST_NAME} is not a bundle's manifest: {error}.") from error
    if manifest.canonical() != data:
        raise ArchiveError(f"{MANIFEST_NAME} is not in its canonical encoding.")
    if manifest.digest() != expected_digest:
        raise ArchiveError(
            f"The bundle has the digest {manifest.digest()}, expected {expected_digest}."
        )
    check_manifest(manifest)
    return manifest


def check_manifest(manifest: BundleManifest) -> None:
    """Raise ArchiveError if a manifest says what a bundle may not."""
    function = manifest.function
    checks = (
        (manifest.format == BUNDLE_FORMAT, f"the format is {manifest.format}, not {BUNDLE_FORMAT}"),
        (_matches(NAME_PATTERN, manifest.project), "the project's name is not valid"),
        (_matches(NAME_PATTERN, function.name), "the function's name is not valid"),
        (_matches(HANDLER_PATTERN, function.handler), "the handler is not `module:function`"),
        (function.python in SUPPORTED_PYTHONS, "the Python version is missing or not supported"),
        (
            manifest.resources.granted(named_resources(function)) == manifest.resources,
            "a resource that the function neither is granted nor names",
        ),
        (
            not _undeclared(manifest),
            f"granted but not declared: {', '.join(_undeclared(manifest))}"[:300],
        ),
        (
            manifest.lock_sha256 is None or _matches(DIGEST_PATTERN, manifest.lock_sha256),
            "the lock's hash is not valid",
        ),
        (len(manifest.files) <= MAX_BUNDLE_FILES, f"more than {MAX_BUNDLE_FILES} files"),
        (
            sum(file.size for file in manifest.files) <= MAX_BUNDLE_BYTES,
            f"more than {MAX_BUNDLE_BYTES // 1024 // 1024} MiB",
        ),
    )
    for fine, problem in checks:
        if not fine:
            raise ArchiveError(f"{MANIFEST_NAME}: {problem}.")
    _check_files(manifest.files)


def _undeclared(manifest: BundleManifest) -> list[str]:
    """Return the grants whose bucket, table, queue or topic does not come with the bundle."""
    names = manifest.resources.names()
    return [
        ascii(grant.text)
        for grant in named_resources(manifest.function)
        if grant.kind in names and grant.name not in names[grant.kind]
    ]


def _check_files(files: tuple[BundleFile, ...]) -> None:
    previous = ""
    for file in files:
        shown = ascii(file.path)[:200]
        if not file.path.startswith(PARTS):
            raise ArchiveError(f"{MANIFEST_NAME}: {shown} is neither below code/ nor deps/.")
        if file.path <= previous:
            raise ArchiveError(f"{MANIFEST_NAME}: {shown} is a duplicate or out of order.")
        if file.size < 0 or not _matches(DIGEST_PATTERN, file.sha256):
            raise ArchiveError(f"{MANIFEST_NAME}: size or hash of {shown} is not valid.")
        previous = file.path
    try:
        for file in files:
            check_path(file.path)
        check_collisions(file.path for file in files)
    except SourceTreeError as error:
        raise ArchiveError(f"{MANIFEST_NAME}: {error.message}") from error


def _matches(pattern: str, value: str) -> bool:
    return (
        re.fullmatch(pattern, value, re.ASCII) is not None
        and not value.endswith("\n")
        and unicodedata.is_normalized("NFC", value)
    )
