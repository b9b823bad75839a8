"""What a build produces and a node stores: an immutable bundle named by its digest."""

from __future__ import annotations

import hashlib

import msgspec

from casemate.model.function import FunctionSpec
from casemate.model.grant import Resources

BUNDLE_FORMAT = 1
_LATER_FIELDS = (
    "cors",
    "internal",
    "grants",
    "environment",
    "triggers",
    "event_format",
    "contract",
    "delivery",
    "guard",
    "logs",
    "baseline",
    "recordings",
    "errors",
    "layout",
    "fresh",
    "packages",
    "grants_in_tables",
)
"""Fields of a function that the first release did not have."""
_LATER_LIMITS = ("warm",)
_LATER_BASELINE = ("system_calls",)
_LATER_ROUTE_FIELDS = ("delivery_headers", "contract", "asynchronous")
DIGEST_PATTERN = r"^[0-9a-f]{64}$"
MAX_ARCHIVE_BYTES = 512 * 1024 * 1024
"""Of a bundle that is packed."""
DEPENDENCIES = "deps/"
"""Below it are files of packages of others; those of the function's own are below `code/`."""
MAX_PIECES = 500
"""Pieces of dependencies that a node is asked for together."""


class BundleFile(msgspec.Struct, frozen=True, kw_only=True):
    """One regular file of a bundle. `path` is relative, `/`-separated, without `..`."""

    path: str
    size: int
    sha256: str


class LockedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """One dependency as locked: the exact wheel that was installed."""

    name: str
    version: str


class BundleManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `bundle.json`, which names every other file of the bundle by hash.

    Code is below `code/`, dependencies are below `deps/`.
    """

    format: int = BUNDLE_FORMAT
    project: str
    function: FunctionSpec
    """`function.python` is always set here: compiled code fits one minor version."""
    resources: Resources = Resources()
    """What the project declares and this function is granted, or names in triggers and
    destinations."""
    lock_sha256: str | None
    """Hash of the lock file's text; None without dependencies."""
    packages: tuple[LockedPackage, ...] = ()
    files: tuple[BundleFile, ...] = ()
    """Sorted by path."""

    def canonical(self) -> bytes:
        """Return the one encoding of this manifest: JSON, keys sorted, no white space.

        What came with later releases is left out where it says nothing, so that the digests of
        bundles that were built before stay what they are.
        """
        values = msgspec.to_builtins(self)
        if self.resources == Resources():
            del values["resources"]
        spec = values["function"]
        fresh = msgspec.to_builtins(FunctionSpec(name="", handler=""))
        for name in _LATER_FIELDS:
            if spec[name] == fresh[name]:
                del spec[name]
        for name in _LATER_LIMITS:
            if spec["limits"][name] == fresh["limits"][name]:
                del spec["limits"][name]
        baseline = spec.get("baseline", {})
        for name in _LATER_BASELINE:
            if name in baseline and baseline[name] == fresh["baseline"][name]:
                del baseline[name]
        for route in spec["http"]:
            for name in _LATER_ROUTE_FIELDS:
                if not route[name]:
                    del route[name]
        return msgspec.json.encode(values, order="sorted")

    def digest(self) -> str:
        """Return the bundle's name: the SHA-256 of its canonical encoding, in hex."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def pieces(self) -> dict[str, str]:
        """Return what stands in the folder of dependencies, with what two bundles share if it is
        equal: packages, and what they have installed beside these.

        Whose they are and the interpreter they are for count as well.
        """
        files: dict[str, list[BundleFile]] = {}
        for file in self.files:
            if (name := piece_of(file.path)) is not None:
                files.setdefault(name, []).append(file)
        return {
            name: hashlib.sha256(
                msgspec.json.encode((self.project, self.function.python, name, its), order="sorted")
            ).hexdigest()
            for name, its in files.items()
        }

    def dependencies_digest(self) -> str | None:
        """Return what two bundles share if their dependencies are equal; None without any.

        It is of the files by name and content, not of the lock: what one lock installs need not be
        the same everywhere. The interpreter they are for, and whose they are, count as well.
        """
        files = [file for file in self.files if file.path.startswith(DEPENDENCIES)]
        if self.lock_sha256 is None or not files:
            return None
        what = (self.project, self.function.python, self.lock_sha256, files)
        return hashlib.sha256(msgspec.json.encode(what, order="sorted")).hexdigest()


def piece_of(path: str) -> str | None:
    """Return the piece of dependencies that a file of a bundle belongs to; None: to none."""
    if not path.startswith(DEPENDENCIES):
        return None
    return path[len(DEPENDENCIES) :].partition("/")[0]
