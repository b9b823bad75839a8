"""The folder `.casemate` of a project, in which commands make and delete what is theirs.

A project may be a stranger's, and a repository can hold links: what is written or deleted through
one would be anywhere on this machine.
"""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath

from casemate.cli.errors import CommandError


def own_folder(root: Path, below: PurePosixPath) -> Path:
    """Return a folder of ours within a project, which need not be there yet.

    Raises CommandError if it is, or is reached through, anything but a folder.
    """
    path = root
    for part in below.parts:
        path /= part
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            break
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        if not stat.S_ISDIR(mode):
            raise CommandError(
                f"{path} is {'a symbolic link' if stat.S_ISLNK(mode) else 'no folder'}, expected "
                "a folder of the project.",
                next_step="See where it leads, remove it, and run this again.",
            )
    return root / below
