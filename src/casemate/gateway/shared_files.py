"""Equal dependencies of one project's bundles are the same files: in memory once, warm for all.

A file is shared if two bundles of a project name it alike, with the same hash; both were checked
against that when they were unpacked, and nothing writes to them ever again. What zygotes see of it
are inodes of their own (see `runner/root.py`), so that locks and watches connect nobody. Never
across projects.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.gateway.intact import taken
from casemate.model.bundle import BundleFile, BundleManifest

_DEPENDENCIES = "deps/"


class _Set(NamedTuple):
    """Equal dependencies: of which project, for which interpreter, by which lock."""

    project: str
    python: str | None
    lock: str


class SharedFiles:
    """Which unpacked bundles share files. `link` blocks; all else runs on the event loop."""

    def __init__(self, unpacked: Path) -> None:
        """Look after bundles in this folder."""
        self._unpacked = unpacked
        self._members: dict[_Set, dict[str, int]] = {}
        self._set_of: dict[str, _Set] = {}

    def _manifest(self, digest: str) -> BundleManifest | None:
        try:
            data = (self._unpacked / digest / "bundle.json").read_bytes()
            return msgspec.json.decode(data, type=decodable(BundleManifest))
        except (OSError, *DECODING_ERRORS):
            return None

    def link(self, digest: str) -> tuple[_Set, int] | None:
        """Make the dependencies of an unpacked bundle that nobody uses yet those of another one.

        Returns what it belongs to and the bytes that are shared, or would be with the next one;
        None without dependencies. A file that cannot be linked stays as it is.
        """
        manifest = self._manifest(digest)
        if manifest is None or manifest.lock_sha256 is None:
            return None
        kind = _Set(manifest.project, manifest.function.python, manifest.lock_sha256)
        own = [file for file in manifest.files if file.path.startswith(_DEPENDENCIES)]
        for other in [one for one in self._members.get(kind, {}) if one != digest]:
            found = self._manifest(other)
            if found is not None:
                return kind, self._link_all(digest, own, other, found.files)
        return kind, sum(taken(file.size) for file in own)

    def _link_all(
        self, digest: str, own: Iterable[BundleFile], other: str, theirs: Iterable[BundleFile]
    ) -> int:
        known = set(theirs)
        shared = 0
        draft = self._unpacked / digest / ".shared"
        for file in own:
            if file not in known:
                continue
            # Whatever is in the way (the other was just removed): then it stays a copy.
            with contextlib.suppress(OSError):
                os.link(self._unpacked / other / file.path, draft, follow_symlinks=False)
                draft.replace(self._unpacked / digest / file.path)
                shared += taken(file.size)
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        return shared

    def joined(self, digest: str, linked: tuple[_Set, int] | None) -> None:
        """Remember what `link` has returned."""
        if linked is not None:
            kind, shared = linked
            self._members.setdefault(kind, {})[digest] = shared
            self._set_of[digest] = kind

    def left(self, digest: str) -> None:
        """Forget a bundle whose files are removed."""
        kind = self._set_of.pop(digest, None)
        if kind is not None:
            self._members[kind].pop(digest, None)
            if not self._members[kind]:
                del self._members[kind]

    def saved(self, digest: str) -> int:
        """Return the bytes of a bundle that count for others it shares them with."""
        kind = self._set_of.get(digest)
        if kind is None:
            return 0
        members = self._members[kind]
        shared = min(members.values())
        return shared - shared // len(members)
