"""A bundle that is there: its folder, or its archive, named by its digest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from casemate.cli.errors import CommandError
from casemate.kernel.drafts import temporary_folder

if TYPE_CHECKING:
    from casemate.model.bundle import BundleManifest

_DIGEST_CHARS = 64


@contextmanager
def opened_bundle(path: Path) -> Iterator[tuple[Path, BundleManifest]]:
    """Give the folder and the manifest of a bundle, all of which was held against its digest.

    Nothing in it is run. Raises CommandError, ArchiveError.
    """
    from casemate.build import unpack, verify

    path = path.absolute()  # `.` has no name
    if path.is_dir():
        yield path, verify(path)
        return
    digest = path.name[:_DIGEST_CHARS]
    with temporary_folder("casemate-bundle-") as temporary:
        folder = temporary / digest
        try:
            with path.open("rb") as archive:
                manifest = unpack(archive, folder, digest)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        yield folder, manifest
