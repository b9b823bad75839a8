"""What every importer is: it says which files are its own, and makes applications of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from casemate.audit.model import Application
from casemate.audit.workspace import Workspace


class Source(msgspec.Struct, frozen=True):
    """A file that may be a manifest, read once for all importers."""

    file: str
    documents: tuple[Any, ...]


class Importer(Protocol):
    """One kind of manifest."""

    name: str
    by_folder: bool
    """All that it recognises in one folder is one source, named by the first file."""

    def recognises(self, source: Source) -> bool:
        """Tell whether the file is one of its kind."""
        ...

    def inner(self, source: Source, workspace: Workspace) -> Iterable[str]:
        """Return files that it brings in, which are not applications by themselves."""
        ...

    def read(self, source: Source, workspace: Workspace) -> Iterable[Application]:
        """Return the applications in it. What cannot be resolved is in them, never raised."""
        ...
