"""What tells that two bundles have the same dependencies, file by file."""

from __future__ import annotations

import hashlib

import msgspec

from casemate.model.bundle import BundleManifest

_FOLDER = "deps/"


def fingerprint(manifest: BundleManifest) -> str | None:
    """Return what two bundles share if their dependencies are equal; None without any.

    It is of the files by name and content, not of the lock: what one lock installs need not be
    the same everywhere. The interpreter they are for, and whose they are, count as well.
    """
    if manifest.lock_sha256 is None:
        return None
    files = [file for file in manifest.files if file.path.startswith(_FOLDER)]
    if not files:
        return None
    what = (manifest.project, manifest.function.python, manifest.lock_sha256, files)
    return hashlib.sha256(msgspec.json.encode(what, order="sorted")).hexdigest()
