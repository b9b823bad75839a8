"""Makes folders visible to the unprivileged uid that sandboxes start under.

A root supervisor starts bubblewrap as another uid, which may not be able to walk to a path such
as a home folder. So the supervisor binds each folder below one that everybody can walk to, in a
mount namespace of its own: nothing of this shows outside, and it is gone when the process is.
"""

from __future__ import annotations

import os
from pathlib import Path

import casemate.runner
from casemate.model.errors import ProtectionMissingError
from casemate.runner import linux

_STAGE = Path("/run/casemate")


class Staging:
    """Where the sandbox's folders are found by the uid that starts sandboxes."""

    def __init__(self, bundles: Path, uid: int | None, gid: int | None) -> None:
        """Stage for `uid`, or with None (an ordinary user) use the paths as they are."""
        self.uid, self.gid = uid, gid
        self.bundles = str(bundles.resolve())
        self.runner = str(Path(casemate.runner.__file__).parent)
        self._staged: dict[str, str] = {}
        if uid is not None:
            self._enter_own_mount_namespace()

    @staticmethod
    def _enter_own_mount_namespace() -> None:
        try:
            _STAGE.mkdir(mode=0o755, exist_ok=True)
            linux.unshare(linux.CLONE_NEWNS)
            linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
            flags = linux.MS_NOSUID | linux.MS_NODEV
            linux.mount("tmpfs", str(_STAGE), "tmpfs", flags, "size=64k,mode=755")
        except OSError as error:
            raise ProtectionMissingError(
                f"The supervisor cannot make a mount namespace: {error}",
                next_step="run as root with CAP_SYS_ADMIN, or as an ordinary user",
            ) from error

    def visible(self, path: str) -> str:
        """Return a path at which `uid` finds the folder `path`."""
        if self.uid is None:
            return path
        if path not in self._staged:
            target = str(_STAGE / str(len(self._staged)))
            os.mkdir(target, 0o755)  # noqa: PTH102
            linux.mount(path, target, None, linux.MS_BIND)
            self._staged[path] = target
        return self._staged[path]
