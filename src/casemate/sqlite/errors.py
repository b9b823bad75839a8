"""What the rooms on top of this package never see raised: they translate it."""

from __future__ import annotations

from pathlib import Path


class FileGoneError(Exception):
    """A file of an open database was removed or replaced; inside of the adapters only."""

    def __init__(self, path: Path) -> None:
        """Keep which."""
        super().__init__(path.name)
        self.path = path
