"""The project's folder: what a path of the manifest leads to, never outside of it."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from casemate.manifest.problem import quoted
from casemate.manifest.rejection import RejectedValueError

_REQUIREMENTS_NAME = re.compile(
    r".+\.(?:txt|in)|pyproject\.toml|uv\.lock|pylock\.toml|pylock\.[^.]+\.toml"
)
"""Names of requirements files; those of lock files are fixed by PEP 751."""

_FOUND = {
    errno.ENOENT: "which does not exist",
    errno.ELOOP: "a loop of symbolic links",
    errno.ENOTDIR: "which leads through a file as if it were a folder",
    errno.ENAMETOOLONG: "whose name is too long",
}


class ProjectFolder:
    """A folder whose real place on the disk every path must stay in.

    What it says holds at the moment of the check; whoever opens the files checks again.
    """

    def __init__(self, root: Path) -> None:
        """Resolve `root`; OSError if that cannot be done."""
        self._root = Path(os.path.realpath(root, strict=True))

    def source(self, relative: str) -> Path:
        """Return the real path of a source folder, or raise RejectedValueError."""
        expected = "an existing folder inside the project"
        path = self.resolve(relative, expected)
        if not path.is_dir():
            raise RejectedValueError(expected, f"{quoted(relative)}, which is not a folder")
        return path

    def requirements(self, relative: str) -> Path:
        """Return the real path of a requirements file, or raise RejectedValueError."""
        expected = "an existing file inside the project"
        path = self.resolve(relative, expected)
        if not path.is_file():
            raise RejectedValueError(expected, f"{quoted(relative)}, which is not a regular file")
        if not _REQUIREMENTS_NAME.fullmatch(Path(relative).name):
            raise RejectedValueError(
                "a file called *.txt, *.in, pyproject.toml, uv.lock, pylock.toml or "
                "pylock.<name>.toml",
                quoted(relative),
            )
        return path

    def contract(self, relative: str) -> Path:
        """Return the real path of a contract's file, or raise RejectedValueError."""
        expected = "an existing file inside the project"
        path = self.resolve(relative, expected)
        if not path.is_file():
            raise RejectedValueError(expected, f"{quoted(relative)}, which is not a regular file")
        if not relative.endswith(".json"):
            raise RejectedValueError("a file called *.json", quoted(relative))
        return path

    def resolve(self, relative: str, expected: str) -> Path:
        """Return the real path of something that exists, or raise RejectedValueError."""
        try:
            path = Path(os.path.realpath(self._root / relative, strict=True))
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                why = _FOUND.get(error.errno, f"which cannot be read ({error.strerror})")
            else:
                why = "which is not a valid path"
            raise RejectedValueError(expected, f"{quoted(relative)}, {why}") from error
        if not path.is_relative_to(self._root):
            raise RejectedValueError(
                expected,
                f"{quoted(relative)}, which leads out of the project through a symbolic link",
            )
        return path
