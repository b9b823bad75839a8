"""The bundle of a version that is on a node, as it lies in the project's folder or is built there.

A node hands out no code. What a folder has is the version if its digest is, and nothing else is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from casemate.cli.building import BUNDLES, Workspace
from casemate.cli.errors import CommandError
from casemate.cli.names import FunctionName, require_manifest
from casemate.cli.own_folder import own_folder
from casemate.model.errors import CasemateError

if TYPE_CHECKING:
    from casemate.build.bundle import BuiltBundle
    from casemate.model.deployment import Version

_DIGEST = re.compile(r"[0-9a-f]{64}")


def bundle_of(name: FunctionName, version: Version, manifest: Path | None) -> BuiltBundle:
    """Return a version's bundle, held against its digest. Raises CommandError, saying why not."""
    if _DIGEST.fullmatch(version.digest) is None:
        raise CommandError(f"The node names no digest of {name}@{version.number}.")
    try:
        path = require_manifest(manifest)
        return _built(path, version) or _build(path, name, version)
    except CasemateError as error:
        raise CommandError(
            f"The code of {name}@{version.number} is not here: {error.message}",
            next_step="Go to the project's folder as it was when that version was built.",
        ) from error


def _built(manifest: Path, version: Version) -> BuiltBundle | None:
    """Return the bundle if it lies there and is sound."""
    from casemate.build import ArchiveError, verify
    from casemate.build.bundle import BuiltBundle

    folder = own_folder(manifest.absolute().parent, BUNDLES / version.digest)
    if not folder.is_dir():
        return None
    try:
        found = verify(folder)
    except ArchiveError:
        return None
    return BuiltBundle(digest=version.digest, path=folder, manifest=found, warnings=())


def _build(manifest: Path, name: FunctionName, version: Version) -> BuiltBundle:
    workspace = Workspace(manifest, ())
    spec = workspace.project.function(name.function)
    if workspace.project.name != name.project or spec is None:
        raise CommandError(f"The project at {workspace.root} has no {name}.")
    workspace.chosen = [spec]
    (built,) = workspace.build(None, relock=False)
    if built.digest != version.digest:
        raise CommandError(f"What is at {workspace.root} is something else.")
    return built
